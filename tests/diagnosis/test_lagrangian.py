"""``lpgd.diagnose`` of saddle points and nonlinear programs, compared with QPs and LPs."""

import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import LPLayer, NLPLayer, QPLayer, SaddleLayer
from tests.diagnosis import planted
from tests.diagnosis.planted import first_minus_second, squares

F = torch.float64
SIMPLEX = planted.simplex(planted.Torch())
COSTS = torch.from_numpy(planted.COSTS)
lp, qp = LPLayer(), QPLayer()


def vertex(tau):
    """The LP over a simplex that no term of the Lagrangian knows."""
    solve = lambda params, tilt: lp(tilt.cost(params[0]), **SIMPLEX)  # noqa: E731
    return SaddleLayer(lambda x, y, c: c @ x, solve, lpgd.LPGD(tau))


def boxed(x, y, q, h):
    return 0.5 * x @ x + q @ x + y @ (x - h)


def boxed_solve(params, tilt):
    q, h = params
    eye = torch.eye(len(q), dtype=F)
    found = qp(tilt.hessian(eye), tilt.cost(q), eye, tilt.side(h), return_duals=True)
    return found.x, found.z


def saddle(rule, **options):
    return SaddleLayer(boxed, boxed_solve, rule, ranks=(1, 1), nonnegative=True, **options)


def numbers():
    generator = torch.Generator().manual_seed(0)
    q = 2 * torch.randn(6, 3, generator=generator, dtype=F)
    return q.requires_grad_(), torch.full((3,), 0.5, dtype=F)


@pytest.mark.parametrize(
    "rule, linearize",
    [(lpgd.LPGD(0.05), False), (lpgd.LPGD(0.05), True), (lpgd.LPGD(), True), (lpgd.Exact(), True)],
    ids=str,
)
def test_of_saddle_points_it_says_what_it_says_of_the_qp(rule, linearize):
    q, h = numbers()
    found = lpgd.diagnose(saddle(rule, linearize=linearize), q, h, loss=squares)
    eye = torch.eye(3, dtype=F)
    theirs = lpgd.diagnose(QPLayer(rule), eye, q, eye, h, loss=squares)
    mine, other = ([(f.name, f.elements.tolist()) for f in r.findings] for r in (found, theirs))
    assert mine == other
    assert mine
    assert found.elements.active.tolist() == theirs.elements.active.tolist()
    np.testing.assert_allclose(found.elements.gradient, theirs.elements.gradient, atol=1e-8)
    assert found.gradients["params[0]"] == pytest.approx(theirs.gradients["q"], rel=1e-8)
    np.testing.assert_allclose(found.line.envelope, theirs.line.envelope, atol=1e-8)


@pytest.mark.parametrize("tau, cause", [(0.1, "tau below the breakpoint"), (2.0, "no fault found")])
def test_a_vertex_that_the_procedure_alone_knows(tau, cause):
    found = lpgd.diagnose(vertex(tau), COSTS.clone().requires_grad_(), loss=first_minus_second)
    assert found.cause == cause
    assert found.elements.vertex.all()
    assert found.elements.breakpoints[0] == pytest.approx([np.inf, 0.5], rel=0.01)


def test_a_tau_below_the_noise():
    q, h = numbers()
    found = lpgd.diagnose(saddle(lpgd.LPGD(1e-18)), q, h, loss=squares)
    assert found.cause == "tau below the solver's noise"


def test_a_procedure_that_fails():
    def broken(params, tilt):
        if params[0][0] > 0:
            raise ArithmeticError("out of luck")
        return -tilt.cost(params[0])

    layer = SaddleLayer(lambda x, y, q: 0.5 * x @ x + q @ x, broken, lpgd.LPGD(0.1), ranks=(1,))
    q = torch.tensor([[-1.0, 2.0], [1.0, 2.0]], dtype=F, requires_grad=True)
    found = lpgd.diagnose(layer, q, loss=lambda x: squares(x[0]))
    assert found.cause == "not solved"
    assert found.findings[0].elements.tolist() == [1]
    assert found.elements.gradient[0] > 0


@pytest.mark.parametrize("engine", ["slsqp", "ipopt"])
def test_nonlinear_programs(engine):
    """At a corner of a box the derivative is zero; a tilt of the size of the multiplier moves x."""
    q = torch.tensor([[1.0, 0.1], [2.0, 0.1]], dtype=F, requires_grad=True)
    box = {"lb": torch.full((2,), -0.5, dtype=F)}
    loss = lambda x: x[:, 0].sum()  # noqa: E731

    def layer(rule):
        if engine == "slsqp":
            f = lambda x, q: 0.5 * x @ x + q @ x  # noqa: E731
            return NLPLayer(f, 2, rule=rule, ranks=(1,), engine=engine)
        casadi = pytest.importorskip("casadi")
        x, p = casadi.SX.sym("x", 2), casadi.SX.sym("q", 2)
        return NLPLayer.from_casadi(x, p, 0.5 * casadi.sumsqr(x) + casadi.dot(p, x), rule=rule)

    corner = lpgd.diagnose(layer(None), q, **box, loss=loss)
    assert corner.cause == "corner"
    assert corner.elements.active.tolist() == [1, 1]
    fixed = lpgd.diagnose(layer(lpgd.LPGD(0.1)), q, **box, loss=loss)
    assert fixed.cause == "tau below the breakpoint"
    assert fixed.elements.breakpoints == pytest.approx(
        np.array([[0.5, np.inf], [1.5, np.inf]]), rel=0.02
    )
    moved = lpgd.diagnose(layer(lpgd.LPGD(2.0)), q, **box, loss=loss)
    assert moved.cause == "no fault found"
    inside = lpgd.diagnose(layer(None), q, **box, loss=lambda x: x[:, 1].sum())
    assert inside.cause == "no fault found"
    assert inside.gradients == {"params[0]": pytest.approx(2**0.5, rel=1e-6)}
