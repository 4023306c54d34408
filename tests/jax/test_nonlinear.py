"""Nonlinear programs in JAX: the numbers of the torch layer, under all transformations."""

import numpy as np
import pytest

import lpgd
from tests.hock_schittkowski import PROBLEMS

HS = PROBLEMS["HS71"]


@pytest.fixture(scope="module")
def program():
    casadi = pytest.importorskip("casadi")
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


def functions(problem):
    """The same problem, of functions of JAX."""
    import jax.numpy as jnp

    from lpgd.jax import NonlinearProgram

    parts = (problem.g, problem.h)
    g, h = (part and (lambda x, p, part=part: jnp.stack(part(x, p))) for part in parts)
    return NonlinearProgram.of_functions(problem.f, len(problem.start), g, h)


@pytest.mark.parametrize(
    "name, engine, rule", [("HS71", "slsqp", lpgd.LPGD()), ("HS43", "pounce", lpgd.LPGD(1e-2))]
)
def test_functions_have_the_numbers_of_the_torch_layer(jax, name, engine, rule):
    """In one compiled program: values, and gradients in the parameters and in the bounds."""
    pytest.importorskip({"slsqp": "scipy"}.get(engine, engine))
    torch = pytest.importorskip("torch")
    from lpgd.jax import solve_nlp

    problem = PROBLEMS[name]
    made, options = functions(problem), {"engine": engine, "rule": rule}
    boxes = {k: box.numpy() for k, box in problem.boxes.items()}

    def loss(p):
        found = solve_nlp(made, p, **boxes, **options, return_duals=True)
        weights = np.linspace(1, 2, len(problem.start))
        return found.x @ weights + sum(part.sum() for part in found[1:]), found.x

    (_, x), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(problem.p.numpy())
    p = problem.p.requires_grad_()
    found = problem.layer(**options)(p, **problem.boxes, return_duals=True)
    weights = torch.linspace(1, 2, len(problem.start), dtype=torch.float64)
    value = found.x @ weights + sum(part.sum() for part in found[1:])
    np.testing.assert_allclose(x, found.x.detach(), rtol=1e-10, atol=1e-10)
    (want,) = torch.autograd.grad(value, p)
    size = max(1.0, float(want.abs().max()))
    np.testing.assert_allclose(slope, want, rtol=0, atol=1e-10 * size)


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_gradients_of_functions_are_finite_differences_of_the_solution(jax, name):
    from lpgd.jax import solve_nlp

    problem = PROBLEMS[name]
    made = functions(problem)
    boxes = {k: box.numpy() for k, box in problem.boxes.items()}

    def solved(p):
        return solve_nlp(made, p, **boxes, engine="slsqp")

    p = problem.p.numpy()
    assert np.asarray(solved(p)).tolist() == pytest.approx(problem.solution, abs=1e-6)
    weights = np.linspace(1, 2, len(problem.start))
    slope = np.asarray(jax.grad(lambda p: solved(p) @ weights)(p))
    for i, step in enumerate(1e-5 * np.maximum(1.0, np.abs(p))):
        way = np.zeros_like(p)
        way[i] = step
        ends = [float(solved(p + sign * way) @ weights) for sign in (1, -1)]
        want = (ends[0] - ends[1]) / (2 * step)
        assert slope[i] == pytest.approx(want, abs=1e-5 * max(1.0, np.abs(slope).max()))


def test_functions_of_pytrees_without_constraints_of_their_own(jax):
    """A minimum within bounds, of which float32 is the caller's dtype."""
    import jax.numpy as jnp

    from lpgd.jax import NonlinearProgram, solve_nlp

    made = NonlinearProgram.of_functions(
        lambda x, p: jnp.square(x - p["to"]).sum() + p["pull"][0] * x[0], 3,
        ranks=({"to": 1, "pull": [0]},),
    )  # fmt: skip
    p = {"to": np.array([[1.0, 2.0, 3.0], [0.0, 0.1, 0.2]], np.float32), "pull": [np.float32(0.5)]}

    def own(p):
        return solve_nlp(made, p, ub=np.full(3, 2.5, np.float32), engine="slsqp")

    for run in (own, jax.jit(own)):
        assert run(p).dtype == np.float32
        np.testing.assert_allclose(run(p), [[0.75, 2.0, 2.5], [-0.25, 0.1, 0.2]], atol=1e-6)
    slope = jax.jit(jax.grad(lambda p: own(p).sum()))(p)
    np.testing.assert_allclose(slope["to"], [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]], atol=1e-5)
    np.testing.assert_allclose(slope["pull"][0], -1.0, atol=1e-5)


def test_every_engine_asks_the_compiled_program(jax, monkeypatch):
    """None of them calls back from a thread of its own, where nobody would be asked."""
    from lpgd.jax import solve_nlp, traced

    pytest.importorskip("pounce")
    monkeypatch.setattr(traced.Traced, "_called", None)
    made, boxes = functions(HS), BOXES
    for engine in ("slsqp", "pounce"):
        run = jax.jit(lambda p, engine=engine: solve_nlp(made, p, **boxes, engine=engine))
        np.testing.assert_allclose(run(HS.p.numpy()), HS.solution, atol=1e-6)


def test_wrong_functions_are_named(jax):
    import jax.numpy as jnp

    from lpgd.jax import NonlinearProgram, solve_nlp

    def solve(*functions):
        return solve_nlp(NonlinearProgram.of_functions(*functions), 1.0, engine="slsqp")

    with pytest.raises(lpgd.StructureError, match="g must return a one-dimensional array"):
        solve(lambda x, p: x.sum(), 2, lambda x, p: x[:, None])
    with pytest.raises(lpgd.StructureError, match="must return a scalar"):
        solve(lambda x, p: x, 2)
    with pytest.raises(lpgd.StructureError, match="h uses a traced value"):
        jax.jit(lambda a: solve(lambda x, p: x.sum(), 2, None, lambda x, p: a * x))(2.0)
    for n in (0, -1, 1.5, True, None):
        with pytest.raises(ValueError, match="n must be an integer >= 1"):
            solve(lambda x, p: x.sum(), n)
    with pytest.raises(TypeError, match="f must be a callable, got 3"):
        solve(3, 2)
    with pytest.raises(TypeError, match="g must be a callable, got 3"):
        solve(lambda x, p: x.sum(), 2, 3)
    with pytest.raises(TypeError, match="program must be a NonlinearProgram"):
        solve_nlp(lambda x, p: x.sum(), 1.0)
    made = NonlinearProgram.of_functions(lambda x, p: jnp.square(x - p).sum(), 1)
    with pytest.raises(lpgd.EngineError, match="'ipopt'"):
        solve_nlp(made, 1.0, engine="ipopt")


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


@pytest.mark.parametrize("value", [lambda x, p: x * p, lambda x, p: None, lambda x, p: (x @ p,)])
def test_objectives_are_scalars(jax, value):
    from lpgd.jax import NonlinearProgram, solve_nlp

    with pytest.raises(lpgd.StructureError, match="f must return a scalar"):
        solve_nlp(NonlinearProgram.of_functions(value, 2), np.ones(2), engine="slsqp")
