"""Envelopes of losses that are functions, over a user's Lagrangian."""

import pytest
import torch
from torch.autograd import gradcheck

import lpgd
from lpgd.torch import CvxpyLayer, EnvelopeLoss, QPLayer, SaddleLayer
from tests.torch.lossy import LOSSES, lagrangian, newton

# of its own jvp
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
F = torch.float64
RULE = lpgd.LPGD(0.1)


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F)


def program(size, n=3, m=1, seed=0):
    root = draw(seed, size, n, n)
    P = root @ root.mT + torch.eye(n, dtype=F)
    return P, draw(seed + 1, size, n), draw(seed + 2, size, m, n), 0.3 * draw(seed + 3, size, m)


def layer(**options):
    given = {"ranks": (2, 1, 2, 1), "check": True, **options}
    return SaddleLayer(lagrangian, newton, RULE, **given)


@pytest.mark.parametrize(
    "name, linearize", [("squares", False), ("soft", True), ("quartic", False)]
)
def test_values_are_below_the_loss_and_gradients_exact(name, linearize):
    own = layer(linearize=linearize)
    loss = EnvelopeLoss(own, LOSSES[name], 0.3, targets=(1,), reduction="none")
    data, target = program(12), draw(9, 12, 3)
    found, x = loss(*data, target=target), own(*data)
    plain = torch.stack([LOSSES[name](a, b) for a, b in zip(x, target, strict=True)])
    assert found.shape == (12,)
    assert (found <= plain + 1e-9).all()
    assert (found < plain - 1e-4).any()
    small = EnvelopeLoss(own, LOSSES[name], 1e-6, targets=(1,), reduction="none")
    torch.testing.assert_close(small(*data, target=target), plain, rtol=1e-4, atol=1e-4)
    some = [part[:1].clone().requires_grad_() for part in (target, *data[1:])]
    check = lambda target, *rest: loss(data[0][:1], *rest, target=target)  # noqa: E731
    assert gradcheck(check, some, eps=1e-4, atol=1e-6, rtol=1e-6)


def test_a_quadratic_loss_has_the_numbers_of_the_quadratic_program():
    data, target = program(4), draw(9, 4, 3)
    found = []
    for loss in (
        EnvelopeLoss(layer(), lambda x, t: 0.5 * (x - t).square().sum(), 0.7, targets=(1,)),
        EnvelopeLoss(QPLayer(), "quadratic", 0.7),
    ):
        own = [part.clone().requires_grad_() for part in (*data, target)]
        P, q, A, b, t = own
        given = (
            (P, q, A, b)
            if loss.layer is not None and isinstance(loss.layer, SaddleLayer)
            else (P, q, None, None, A, b)
        )
        value = loss(*given, target=t)
        found.append([value, *torch.autograd.grad(value, own)])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


def test_a_cvxpy_expression_has_the_same_numbers():
    cp = pytest.importorskip("cvxpy")
    x, q, t = cp.Variable(3), cp.Parameter(3), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x) + q @ x))
    theirs = EnvelopeLoss(CvxpyLayer(problem, [q], [x]), cp.log_sum_exp(x - t), 0.4, targets=[t])
    own = SaddleLayer(
        lambda x, y, q: 0.5 * x @ x + q @ x, lambda p, t: newton((None, *p, None, None), t)[0], RULE
    )
    mine = EnvelopeLoss(own, lambda x, t: torch.logsumexp(x - t, 0), 0.4)
    data = [draw(1, 3).requires_grad_(), draw(2, 3).requires_grad_()]
    values = [loss(data[0], target=data[1]) for loss in (mine, theirs)]
    torch.testing.assert_close(*values, rtol=1e-6, atol=1e-6)
    for one, other in zip(*(torch.autograd.grad(v, data) for v in values), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_several_targets_and_trees():
    def L(x, y, c):
        return c["c"] @ x["x"] + 0.5 * x["x"] @ x["x"]

    def solve(params, tilt):
        (c,) = params
        f = tilt.objective(lambda x: L(x, None, c))
        x = torch.zeros(2, dtype=F)
        for _ in range(9):
            g, H = (
                torch.func.grad(lambda z: f({"x": z}))(x),
                torch.func.jacrev(torch.func.grad(lambda z: f({"x": z})))(x),
            )
            x = x - torch.linalg.solve(H, g)
        return {"x": x}

    def loss(x, low, more):
        return torch.nn.functional.softplus(low - x["x"]).sum() + more["a"] * (x["x"] ** 4).sum()

    own = SaddleLayer(L, solve, RULE, linearize=True)
    envelope = EnvelopeLoss(own, loss, 0.5, targets=())
    with pytest.raises(lpgd.SolverError, match="missing 1 required"):  # one target is not two
        envelope({"c": draw(0, 2)}, target=draw(1, 2))
    batched = SaddleLayer(L, solve, RULE, ranks=({"c": 1},))
    envelope = EnvelopeLoss(batched, loss, 0.5, targets=(1, {"a": 0}), reduction="none")
    data = [
        draw(0, 1, 2).requires_grad_(),
        draw(1, 2).requires_grad_(),
        torch.ones((), dtype=F, requires_grad=True),
    ]
    run = lambda c, low, a: envelope({"c": c}, target=(low, {"a": a}))  # noqa: E731
    assert gradcheck(run, data, eps=1e-5, atol=1e-6, rtol=1e-6)


def test_the_solve_starts_from_the_solution_without_the_loss():
    starts = []

    def solve(params, tilt):
        starts.append((tilt.loss is not None, tilt.start))
        return newton(params, tilt)

    own = SaddleLayer(lagrangian, solve, RULE, ranks=(2, 1, 2, 1))
    loss = EnvelopeLoss(own, LOSSES["squares"], 0.3, targets=(1,))
    data = program(2)
    loss(*data, target=draw(9, 3))
    assert [lossy for lossy, _ in starts[-4:]] == [False, False, True, True]
    torch.testing.assert_close(starts[-1][1][0], own(*data)[1])
    assert loss.stats is own.stats


def test_float32_loses_nothing_but_the_last_digits():
    data, target = program(3), draw(9, 3)
    loss = EnvelopeLoss(layer(), LOSSES["squares"], 1e-4, targets=(1,))
    single = loss(*[part.float() for part in data], target=target.float())
    assert single.dtype == torch.float32
    rough = [part.float().double() for part in data]
    torch.testing.assert_close(
        single.double(), loss(*rough, target=target.float().double()), rtol=1e-6, atol=1e-6
    )


def test_what_is_wrong_is_named():
    own = layer()
    with pytest.raises(lpgd.IllPosedError, match="upper side subtracts the loss"):
        EnvelopeLoss(own, LOSSES["squares"], 0.3, "upper", targets=(1,))
    with pytest.raises(lpgd.StructureError, match="rho must be 0 for a function"):
        EnvelopeLoss(own, LOSSES["squares"], 0.3, rho=0.1, targets=(1,))
    with pytest.raises(lpgd.StructureError, match="give the layer ranks="):
        EnvelopeLoss(own, LOSSES["squares"], 0.3)
    with pytest.raises(lpgd.StructureError, match="a solve of one element"):
        EnvelopeLoss(layer(together=True, check=False), LOSSES["squares"], 0.3, targets=(1,))
    loss = EnvelopeLoss(own, LOSSES["squares"], 0.3, targets=(1,))
    with pytest.raises(lpgd.StructureError, match="has its own weights"):
        loss(*program(2), target=draw(0, 3), weight=draw(0, 3))
    two = EnvelopeLoss(own, lambda x, s, t: (x - s - t).square().sum(), 0.3, targets=(1, 1))
    with pytest.raises(lpgd.StructureError, match="target must have 2 parts, got 1"):
        two(*program(2), target=(draw(0, 3),))
    with pytest.raises(ValueError, match="loss must be one of"):
        EnvelopeLoss(QPLayer(), LOSSES["squares"], 0.3)

    def linear(params, tilt):
        return newton((params[0], tilt.cost(params[1]), *params[2:]), tilt)

    wrong = SaddleLayer(lagrangian, linear, RULE, ranks=(2, 1, 2, 1))
    with pytest.raises(
        lpgd.SolverError, match="a loss is added in whole, which no linear costs express"
    ):
        EnvelopeLoss(wrong, LOSSES["squares"], 0.3, targets=(1,))(*program(2), target=draw(0, 3))


def test_a_solve_that_leaves_the_loss_out_is_found():
    def ignoring(params, tilt):
        return newton(params, type(tilt)())

    own = layer(check=True)
    wrong = SaddleLayer(lagrangian, ignoring, RULE, ranks=(2, 1, 2, 1), check=True)
    data, target = program(2), draw(9, 3)
    EnvelopeLoss(own, LOSSES["squares"], 0.3, targets=(1,))(*data, target=target)
    with pytest.raises(lpgd.SolverError, match="not stationary in x"):
        EnvelopeLoss(wrong, LOSSES["squares"], 0.3, targets=(1,))(*data, target=target)
