"""Nonlinear programs in JAX: the numbers of the torch layer, under all transformations."""

import numpy as np
import pytest

import lpgd
from tests.hock_schittkowski import PROBLEMS

pytest.importorskip("casadi")
HS = PROBLEMS["HS71"]


@pytest.fixture(scope="module")
def program():
    import casadi

    from lpgd.jax import NonlinearProgram

    x, p = casadi.SX.sym("x", 4), casadi.SX.sym("p", 3)
    g, h = (casadi.vertcat(*part(x, p)) for part in (HS.g, HS.h))
    return NonlinearProgram(x, p, HS.f(x, p), g, h)


BOXES = {name: box.numpy() for name, box in HS.boxes.items()}
WEIGHTS = np.array([1.0, -2.0, 0.5, 3.0])


@pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.LPGD(1e-2), lpgd.Exact()], ids=str)
def test_numbers_are_those_of_the_torch_layer(jax, program, rule):
    torch = pytest.importorskip("torch")
    from lpgd.jax import solve_nlp

    def loss(p, lb):
        found = solve_nlp(program, p, **{**BOXES, "lb": lb}, return_duals=True, rule=rule)
        return (found.x @ WEIGHTS + found.z.sum() + found.z_box.sum()), found.x

    value, x = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(HS.p.numpy(), BOXES["lb"])
    (_, x), mine = value, x
    p, lb = HS.p.requires_grad_(), HS.boxes["lb"].clone().requires_grad_()
    found = HS.symbolic(rule=rule)(p, **{**HS.boxes, "lb": lb}, return_duals=True)
    theirs = torch.autograd.grad(
        (found.x * torch.tensor(WEIGHTS)).sum() + found.z.sum() + found.z_box.sum(), (p, lb)
    )
    np.testing.assert_allclose(x, found.x.detach(), rtol=1e-12, atol=1e-12)
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_transforms_agree(jax, program):
    from lpgd.jax import solve_nlp

    def solve(p):
        return solve_nlp(program, p, **BOXES)

    batch = HS.p.numpy() * np.linspace(0.98, 1.02, 3)[:, None]
    x = solve(batch)
    mapped = jax.jit(jax.vmap(solve))(batch)
    np.testing.assert_allclose(mapped, x, rtol=1e-13)
    rows = jax.vmap(jax.jacrev(solve))(batch)
    columns = jax.vmap(jax.jacfwd(solve))(batch)
    np.testing.assert_allclose(rows, columns, rtol=1e-6, atol=1e-7)


def test_wrong_calls_are_named(jax, program):
    from lpgd.jax import solve_nlp

    with pytest.raises(lpgd.StructureError, match="has 1 parameters, got 2"):
        solve_nlp(program, HS.p.numpy(), 1.0)
    with pytest.raises(lpgd.StructureError, match=r"params\[0\] must have shape"):
        solve_nlp(program, np.ones(4))
    with pytest.raises(lpgd.StructureError, match="lb must have shape"):
        solve_nlp(program, HS.p.numpy(), lb=np.ones(3))
    with pytest.raises(lpgd.SolverError, match="infeasible"):
        solve_nlp(program, HS.p.numpy(), **{**BOXES, "lb": np.full(4, 6.0)})
