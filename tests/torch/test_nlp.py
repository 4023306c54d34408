"""Nonlinear programs: gradients against finite differences, tilts, transforms, failures."""

import copy
import pickle

import pytest
import torch

import lpgd
from lpgd.torch import LPLayer, NLPLayer, QPLayer
from tests.hock_schittkowski import FLAT, PROBLEMS

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of its own jvp
FLOAT = {"dtype": torch.float64}
KINDS = [("symbolic", "ipopt"), ("layer", "slsqp"), ("layer", "pounce")]
PACKAGES = {"ipopt": "casadi", "pounce": "pounce", "slsqp": "scipy"}


def made(problem, kind, engine, **options):
    pytest.importorskip(PACKAGES[engine])
    return getattr(problem, kind)(engine=engine, **options)


@pytest.mark.parametrize("kind, engine", KINDS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_gradients_are_finite_differences_of_the_solution(name, kind, engine):
    """In the parameters and in finite bounds, of x and of all multipliers."""
    if engine == "pounce" and name in ("HS100", "HS113"):
        pytest.skip("takes long, and SLSQP solves the same functions")
    problem = PROBLEMS[name]
    layer = made(problem, kind, engine)
    boxes = {k: v for k, v in problem.boxes.items() if k != "start"}
    data = [part.clone().requires_grad_() for part in (problem.p, *boxes.values())]

    def loss(*data):
        given = dict(zip(boxes, data[1:], strict=True))
        found = layer(data[0], **given, start=problem.boxes["start"], return_duals=True)
        weights = torch.linspace(1, 2, found.x.numel(), **FLOAT)
        duals = torch.cat([found.y, found.z, found.z_box])
        return (weights * found.x).sum() + 0.1 * duals.sum(), found.x

    value, x = loss(*data)
    assert x.tolist() == pytest.approx(problem.solution, abs=1e-6)
    gradients = torch.autograd.grad(value, data)
    assert layer.stats.unverified == 0.0
    worst, size = 0.0, max(1.0, max(float(g.abs().max()) for g in gradients))
    for place, gradient in enumerate(gradients):
        for i in range(len(gradient)):
            step = torch.zeros_like(data[place])
            step[i] = 1e-5 * max(1.0, abs(data[place][i].item()))
            ends = [
                float(
                    loss(
                        *[
                            d.detach() + s * step if k == place else d.detach()
                            for k, d in enumerate(data)
                        ]
                    )[0]
                )
                for s in (1.0, -1.0)
            ]
            slope = (ends[0] - ends[1]) / (2 * float(step[i]))
            worst = max(worst, abs(slope - gradient[i].item()))
    assert worst <= 1e-6 * size
    assert layer.stats.re_solves == 0


@pytest.mark.parametrize("kind, engine", KINDS)
@pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.Exact()], ids=str)
def test_a_flat_problem_is_flagged(rule, kind, engine):
    layer = made(FLAT, kind, engine, rule=rule)
    p = FLAT.p.requires_grad_()
    x = layer(p, **FLAT.boxes)
    (x[0] - x[2]).backward()
    assert layer.stats.unverified == 1.0


@pytest.mark.parametrize("tau", [1e-3, 0.1, 5.0])
@pytest.mark.parametrize("kind, engine", KINDS[:2])
def test_a_fixed_tau_has_the_tilted_solutions(tau, kind, engine):
    """Predicted or solved, they are those of the problem with the tilt among its data."""
    problem = PROBLEMS["HS43"]
    layer = made(problem, kind, engine, rule=lpgd.LPGD(tau))
    p, dx = problem.p.requires_grad_(), torch.tensor([1.0, -2.0, 0.5, 1.0], **FLOAT)
    layer(p, **problem.boxes).backward(dx)
    predicted = layer.stats.set_ups == 1
    assert predicted == (tau < 5.0)

    def tilted(t):
        def f(x, p, t):
            return problem.f(x, p) + (t * dx * x).sum()

        rows = lambda x, p, t: torch.stack(problem.g(x, p))  # noqa: E731
        own = NLPLayer(f, 4, rows, engine="slsqp", ranks=(1, 0))
        found = own(problem.p, torch.tensor(t, **FLOAT), **problem.boxes, return_duals=True)
        w = problem.p.requires_grad_()
        value = problem.f(found.x, w) + (found.z * torch.stack(problem.g(found.x, w))).sum()
        return torch.autograd.grad(value, w)[0]

    expected = (tilted(tau) - tilted(-tau)) / (2 * tau)
    torch.testing.assert_close(p.grad, expected, rtol=1e-7, atol=1e-7)


def quadratic(x, P, q, G, h):
    return 0.5 * x @ P @ x + q @ x


def program(seed=3):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(3, 4, 4, generator=generator, **FLOAT)
    P = root @ root.mT + torch.eye(4)
    q, G = (torch.randn(3, *s, generator=generator, **FLOAT) for s in ((4,), (5, 4)))
    h, ub = (torch.rand(3, k, generator=generator, **FLOAT) for k in (5, 4))
    return [part.requires_grad_() for part in (P, q, G, h, ub)]


@pytest.mark.parametrize(
    "rule",
    [lpgd.LPGD(), lpgd.LPGD(1.0), lpgd.LPGD(0.1, rho=1.0, side="lower"), lpgd.Exact()],
    ids=str,
)
def test_quadratic_programs_have_the_numbers_of_their_own_layer(rule):
    own = NLPLayer(
        quadratic, 4, lambda x, P, q, G, h: G @ x - h, rule=rule, engine="slsqp", ranks=(2, 1, 2, 1)
    )
    found = []
    for layer in (own, QPLayer(rule)):
        P, q, G, h, ub = program()
        x, _, z, box = layer(P, q, G, h, ub=ub, return_duals=True)
        loss = (x * torch.arange(12.0, **FLOAT).reshape(3, 4)).sum() + z.sum() + box.square().sum()
        gradients = torch.autograd.grad(loss, (P, q, G, h, ub))
        found.append([0.5 * (gradients[0] + gradients[0].mT), *gradients[1:]])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-8)


def test_a_vertex_learns_as_one_of_a_linear_program_does():
    c = torch.tensor([-3.0, -2.0], **FLOAT)
    row, one, zero = torch.ones(1, 2, **FLOAT), torch.ones(1, **FLOAT), torch.zeros(2, **FLOAT)
    found = []
    own = NLPLayer(lambda x, c: c @ x, 2, lambda x, c: (x.sum() - 1).reshape(1), engine="slsqp")
    for solve in (lambda c: own(c, lb=zero), lambda c: LPLayer()(c, row, one, lb=zero)):
        mine = c.clone().requires_grad_()
        solve(mine).backward(torch.tensor([1.0, -1.0], **FLOAT))
        found.append(mine.grad)
    assert found[1].any()
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind, engine", KINDS[:2])
def test_transforms_agree(kind, engine):
    problem = PROBLEMS["HS71"]
    layer = made(problem, kind, engine)

    def solve(p):
        return layer(p, **problem.boxes)

    p = problem.p * torch.linspace(0.98, 1.02, 3, **FLOAT)[:, None]
    columns = torch.vmap(torch.func.jacfwd(solve))(p)
    rows = torch.stack([torch.func.jacrev(solve)(one) for one in p])
    torch.testing.assert_close(columns, rows, rtol=1e-6, atol=1e-7)
    assert torch.equal(solve(p), torch.stack([solve(one) for one in p]))
    single = layer(p.float(), **{name: box.float() for name, box in problem.boxes.items()})
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), solve(p), rtol=1e-5, atol=1e-5)


def well(x, p):
    return ((x**2 - 1) ** 2).sum() + p * x.sum()


def test_a_jump_to_another_basin_is_flagged():
    start, p = torch.tensor([0.9], **FLOAT), torch.tensor(0.1, **FLOAT, requires_grad=True)
    near = NLPLayer(well, 1, rule=lpgd.LPGD(0.3), engine="slsqp")
    near(p, start=start).sum().backward()
    assert near.stats.moved == 0
    far = NLPLayer(well, 1, rule=lpgd.LPGD(5.0, side="lower"), engine="slsqp")
    x = far(p, start=start).sum()
    assert x > 0.9
    with pytest.warns(lpgd.SolverWarning, match="1 of 1 tilted solutions are in another basin"):
        x.backward()
    assert far.stats.moved == 1


def test_the_start_chooses_the_solution_and_has_no_gradient():
    layer = NLPLayer(well, 1, ranks=(0,), engine="slsqp")
    start = torch.tensor([[0.9], [-0.9]], **FLOAT, requires_grad=True)
    x = layer(torch.tensor(0.1, **FLOAT, requires_grad=True), start=start)
    assert x[0] > 0.9
    assert x[1] < -0.9
    x.sum().backward()
    assert not start.grad.any()


def test_bounds_that_meet_are_one_equality():
    layer = NLPLayer(
        lambda x, p: (x - p).square().sum() + x[0] * x[1], 3, engine="slsqp", rule=lpgd.LPGD()
    )
    p = torch.tensor([1.0, 2.0, 3.0], **FLOAT, requires_grad=True)
    fixed = torch.tensor([0.5], **FLOAT, requires_grad=True)
    lb = torch.cat([fixed, torch.full((2,), -5.0, **FLOAT)])
    ub = torch.cat([fixed, torch.tensor([5.0, 2.0], **FLOAT)])
    found = layer(p, lb=lb, ub=ub, return_duals=True)
    assert found.x.tolist() == pytest.approx([0.5, 1.75, 2.0])
    assert found.z_box.tolist() == pytest.approx([-0.75, 0.0, 2.0])
    gradients = torch.autograd.grad(found.x[1] + found.z_box.sum(), (p, fixed))
    assert gradients[0].tolist() == pytest.approx([2.0, 0.0, 2.0])
    assert gradients[1].tolist() == pytest.approx([-2.0])
    assert (layer.stats.degenerate, layer.stats.unverified) == (0.0, 0.0)


def test_a_kink_and_dependent_rows_are_degenerate():
    p = torch.zeros((), **FLOAT, requires_grad=True)
    kink = NLPLayer(lambda x, p: 0.5 * (x - p).square().sum(), 1, engine="slsqp")
    kink(p, lb=torch.zeros(1, **FLOAT)).sum().backward()
    assert kink.stats.degenerate == 1.0
    rows = NLPLayer(
        lambda x, p: 0.5 * (x - 2 + p).square().sum(),
        1,
        lambda x, p: torch.cat([x - 1, 2 * x - 2]),
        engine="slsqp",
    )
    rows(p, return_duals=True).z.sum().backward()
    assert rows.stats.degenerate == 1.0


@pytest.mark.parametrize("kind, engine", KINDS[:2])
def test_one_infeasible_element_costs_itself(kind, engine):
    problem = PROBLEMS["HS71"]
    p = torch.stack([problem.p, torch.tensor([1.0, 25.0, -1.0], **FLOAT)]).requires_grad_()
    layer = made(problem, kind, engine, on_failure="nan")
    with pytest.warns(lpgd.SolverWarning, match=f"{engine}: forward solve: 1 of 2"):
        x = layer(p, **problem.boxes)
    assert x[1].isnan().all()
    x[0].sum().backward()
    assert p.grad[0].any()
    assert not p.grad[1].any()
    crossed = {**problem.boxes, "lb": torch.full((4,), 6.0, **FLOAT)}
    with pytest.raises(lpgd.SolverError, match="infeasible"):
        made(problem, kind, engine)(problem.p, **crossed)


def test_a_function_that_raises_costs_its_element():
    def picky(x, p):
        if p > 1:
            raise ArithmeticError("too large")
        return (x - p).square().sum()

    layer = NLPLayer(picky, 1, engine="slsqp", ranks=(0,), on_failure="nan")
    with pytest.warns(lpgd.SolverWarning, match="ArithmeticError: too large"):
        x = layer(torch.tensor([0.5, 2.0], **FLOAT))
    assert x[0] == pytest.approx(0.5)
    assert x[1].isnan()


def test_matrices_and_scalars_of_casadi():
    casadi = pytest.importorskip("casadi")
    x, A, s = casadi.MX.sym("x", 3), casadi.MX.sym("A", 2, 3), casadi.MX.sym("s")
    layer = NLPLayer.from_casadi(x, [A, s], casadi.sumsqr(A @ x - 1) + s * casadi.sumsqr(x))

    def closed(A, s):
        eye = torch.eye(3, **FLOAT)
        return torch.linalg.solve(A.mT @ A + s[..., None, None] * eye, A.sum(-2))

    torch.manual_seed(0)
    A, s = torch.randn(4, 2, 3, **FLOAT), torch.tensor(0.5, **FLOAT)
    data = [A.requires_grad_(), s.requires_grad_()]
    torch.testing.assert_close(layer(*data), closed(*data))
    for mine, theirs in zip(
        torch.autograd.grad(layer(*data)[:, 0].sum(), data),
        torch.autograd.grad(closed(*data)[:, 0].sum(), data),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-9)


def test_wrong_expressions_and_shapes_are_named():
    casadi = pytest.importorskip("casadi")
    x, p, q = (casadi.SX.sym(name, 2) for name in "xpq")
    with pytest.raises(lpgd.StructureError, match="depend on q_0, no parameter"):
        NLPLayer.from_casadi(x, p, casadi.dot(x, p) + q[0])
    with pytest.raises(lpgd.StructureError, match="f a scalar"):
        NLPLayer.from_casadi(x, p, x)
    for symbols, which in (((x + 1, p), "x"), ((x, [p, 2 * p]), r"params\[1\]")):
        with pytest.raises(lpgd.StructureError, match=f"{which} must be a symbol"):
            NLPLayer.from_casadi(*symbols, casadi.sumsqr(x))
    layer = NLPLayer.from_casadi(x, p, casadi.sumsqr(x - p))
    with pytest.raises(lpgd.StructureError, match=r"params must have shapes \(\(2,\),\)"):
        layer(torch.ones(3, **FLOAT))
    with pytest.raises(lpgd.EngineError, match="'ipopt'"):
        NLPLayer(well, 1, engine="ipopt")(torch.tensor(1.0, **FLOAT))


def test_wrong_arguments_are_named():
    layer = NLPLayer(well, 1, engine="slsqp", ranks=(0,))
    p = torch.tensor(0.1, **FLOAT)
    with pytest.raises(lpgd.StructureError, match=r"lb must have shape \(..., 1\), got \(2,\)"):
        layer(p, lb=torch.zeros(2, **FLOAT))
    with pytest.raises(lpgd.StructureError, match="g must return a one-dimensional tensor"):
        NLPLayer(well, 1, lambda x, p: x[:, None], engine="slsqp")(p)
    with pytest.raises(lpgd.SolverError, match="lb has a NaN entry"):
        layer(p, lb=torch.full((1,), torch.nan, **FLOAT))


def test_layers_can_be_copied_and_pickled():
    pytest.importorskip("casadi")
    problem = PROBLEMS["HS71"]
    layer = problem.symbolic()
    x = layer(problem.p, **problem.boxes)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(problem.p, **problem.boxes), x)
    own = NLPLayer(well, 1, engine="slsqp")
    p, start = torch.tensor(0.1, **FLOAT), torch.tensor([0.9], **FLOAT)
    assert torch.equal(pickle.loads(pickle.dumps(own))(p, start=start), own(p, start=start))


@pytest.mark.parametrize("name", ["HS35", "HS71", "HS100"])
def test_a_solve_starts_warm_near_its_solution(name, monkeypatch):
    """From 10 iterations and more down to few."""
    pytest.importorskip("casadi")
    from lpgd.engines.lagrangian import ipopt

    problem, counts = PROBLEMS[name], []
    find = ipopt.IpoptEngine.find

    def counted(self, family, posed):
        raw = find(self, family, posed)
        symbolic = family.model.symbolic
        counts.append(symbolic.solvers[self, posed.warm is not None].stats()["iter_count"])
        return raw

    monkeypatch.setattr(ipopt.IpoptEngine, "find", counted)
    layer = problem.symbolic()
    layer(problem.p, **problem.boxes)
    program = next(iter(layer._known.values())).program
    arrays = [part.numpy() for part in (problem.p, *problem.boxes.values())]
    forward, _ = program.solve(arrays, (), 2.0**-52, keep=False)
    near = [arrays[0] * 1.001, *arrays[1:]]
    program.solve(near, (), 2.0**-52, keep=False, start=forward.solution)
    assert counts[-1] <= min(5, counts[0] - 1)


def test_processes_have_the_answers_of_one():
    pytest.importorskip("casadi")
    pytest.importorskip("joblib")
    problem, found = PROBLEMS["HS71"], []
    p = problem.p * torch.linspace(0.97, 1.03, 5, **FLOAT)[:, None]
    p[3, 2] = -1.0  # infeasible
    for jobs in (1, 2):
        engine = lpgd.IpoptEngine(n_jobs=jobs)
        layer = problem.symbolic(engine=engine, on_failure="nan")
        with pytest.warns(lpgd.SolverWarning, match="1 of 5"):
            found.append(layer(p, **problem.boxes))
    assert torch.equal(found[0][[0, 1, 2, 4]], found[1][[0, 1, 2, 4]])
    assert found[1][3].isnan().all()


def test_a_large_sparse_program_has_the_gradient_of_dense_matrices(monkeypatch):
    from lpgd.families.lagrangian import symmetric

    ca = pytest.importorskip("casadi")

    n = 450
    x, p = ca.SX.sym("x", n), ca.SX.sym("p", n)
    f = ca.sumsqr(x - p) + 0.1 * ca.sum1(x**4)
    own = NLPLayer.from_casadi(x, [p], f, x[1:] ** 2 + x[:-1] ** 2 - 1.5, x[:40] + x[40:80] - 0.3)
    found, made = [], []
    solve = symmetric.Symmetric.solve
    monkeypatch.setattr(
        symmetric.Symmetric, "solve", lambda self, rhs: made.append(1) or solve(self, rhs)
    )
    for large in (symmetric.LARGE, 10**6):
        monkeypatch.setattr(symmetric, "LARGE", large)
        made.clear()
        at = torch.linspace(-2, 1, n, dtype=torch.float64).cos().requires_grad_()
        (own(at) * torch.linspace(0, 1, n, dtype=torch.float64)).sum().backward()
        assert bool(made) == (large < n)
        found.append(at.grad)
    torch.testing.assert_close(*found, rtol=0, atol=1e-9)
