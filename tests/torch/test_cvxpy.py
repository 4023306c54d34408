"""CvxpyLayer's solutions against ``problem.solve()``, on every engine that takes the cones."""

import cvxpy as cp
import numpy as np
import pytest
import torch

import lpgd
from lpgd.engines import registry
from lpgd.torch import CvxpyLayer
from tests.cvxpy_programs import LINEAR, MAKERS, Case, box, lp, make, qp

ACCURACY = dict.fromkeys(registry.ENGINES, 2e-5) | {"scs": 1e-4}


def able(case: Case, engine: str) -> bool:
    capabilities = registry.get(engine).capabilities
    cones = capabilities.takes if "conic" in capabilities.families else LINEAR
    family = {"conic", "QP"} if case.quadratic else {"conic", "LP"}
    return case.cones <= cones and bool(family & capabilities.families)


def refused(case: Case, engine: str) -> bool:
    """Whether the engine cannot solve the problem, which the layer then says at once."""
    if engine == "auto" or able(case, engine):
        return False
    with pytest.raises(lpgd.EngineError, match=engine):
        layer_of(case, engine)
    return True


def layer_of(case: Case, engine: str | None = None, **options) -> CvxpyLayer:
    return CvxpyLayer(
        case.problem, case.parameters, case.variables, solver=engine, gp=case.gp, **options
    )


def tensors(case: Case) -> list[torch.Tensor]:
    return [torch.tensor(value, dtype=torch.float64) for value in case.values]


@pytest.mark.parametrize("engine", ["auto", *registry.ENGINES])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_solutions_are_those_of_cvxpy(maker, engine):
    case = make(maker)
    if refused(case, engine):
        return
    found = layer_of(case, engine)(*tensors(case))
    tolerance = ACCURACY.get(engine, 2e-5)
    for got, want, variable in zip(found, case.solution(), case.variables, strict=True):
        assert got.shape == variable.shape
        np.testing.assert_allclose(got.numpy(), want, atol=tolerance, rtol=tolerance)


def bounded(kind: str, n: int = 3) -> tuple[cp.Variable, list[cp.Constraint]]:
    """A variable in a set that a solver may take as a cone on the variable itself."""
    plain = cp.Variable(n)
    return {
        "x >= 0": (plain, [plain >= 0]),
        "x <= 1": (plain, [plain <= 1, plain >= -1]),
        "nonneg": (cp.Variable(n, nonneg=True), []),
        "nonpos": (cp.Variable(n, nonpos=True), []),
        "bounds": (cp.Variable(n, bounds=[-0.5, 0.25]), []),
        "norm(x) <= r": (plain, [cp.norm(plain) <= 0.7]),
        "norm_inf(x) <= r": (plain, [cp.norm(plain, "inf") <= 0.6]),
        "SOC(1, x)": (plain, [cp.SOC(cp.Constant(1.0), plain)]),
        "sum(x) == 1, x >= 0": (plain, [plain >= 0, cp.sum(plain) == 1]),
    }[kind]


BOUNDS = [
    "x >= 0", "x <= 1", "nonneg", "nonpos", "bounds", "norm(x) <= r", "norm_inf(x) <= r",
    "SOC(1, x)", "sum(x) == 1, x >= 0",
]  # fmt: skip


@pytest.mark.parametrize("engine", ["auto", *registry.ENGINES])
@pytest.mark.parametrize("kind", BOUNDS)
@pytest.mark.parametrize("quadratic", [False, True])
def test_bounds_on_variables_hold(kind, engine, quadratic):
    x, rows = bounded(kind)
    q = cp.Parameter(3)
    objective = q @ x + (cp.sum_squares(x) if quadratic else cp.norm(x - 0.1, 1) * 4)
    problem = cp.Problem(cp.Minimize(objective), rows)
    value = np.array([-3.0, 0.5, 2.0])
    kinds = LINEAR | {"soc"} if kind in ("norm(x) <= r", "SOC(1, x)") else LINEAR
    case = Case(problem, [q], [x], [value], kinds, quadratic)
    if refused(case, engine):
        return
    (found,) = layer_of(case, engine)(*tensors(case))
    np.testing.assert_allclose(found.numpy(), case.solution()[0], atol=ACCURACY.get(engine, 2e-5))


def test_semidefinite_variables_stay_so():
    X, C = cp.Variable((2, 2), PSD=True), cp.Parameter((2, 2), symmetric=True)
    problem = cp.Problem(cp.Minimize(cp.trace(C @ X)), [cp.trace(X) == 1])
    value = np.array([[1.0, 2.0], [2.0, -1.0]])
    for engine in ("moreau", "clarabel"):
        (found,) = CvxpyLayer(problem, [C], [X], solver=engine)(torch.tensor(value))
        vector = np.linalg.eigh(value)[1][:, 0]
        np.testing.assert_allclose(found.numpy(), np.outer(vector, vector), atol=1e-5)


@pytest.mark.parametrize(
    "solver, name",
    [(cp.CLARABEL, "clarabel"), ("MOREAU", "moreau"), (cp.DAQP, "daqp"), ("daqp", "daqp"),
     (lpgd.DaqpEngine(), "daqp"), (None, "daqp"), (cp.DIFFCP, "daqp")],
)  # fmt: skip
def test_solvers_have_cvxpys_names_and_ours(solver, name):
    case = make(qp)
    layer = layer_of(case, solver, on_failure="nan")
    with pytest.warns(lpgd.SolverWarning, match=f"^{name}: "):
        layer(torch.full((5, 5), torch.nan), *tensors(case)[1:])


def test_linear_programs_go_to_linear_engines():
    case = make(lp)
    (x, y), (want, dual) = layer_of(case, cp.HIGHS)(*tensors(case)), case.solution()
    np.testing.assert_allclose(x.numpy(), want, atol=1e-7)
    np.testing.assert_allclose(y.numpy(), dual, atol=1e-7)


@pytest.mark.parametrize("solver", ["ECOS", "nonsense"])
def test_unknown_solvers_are_refused_at_once(solver):
    with pytest.raises(lpgd.EngineError, match=r"known engines: auto, .*daqp"):
        layer_of(make(qp), solver)
    with pytest.raises(TypeError, match="engine must be a name or an engine instance"):
        layer_of(make(qp), 3)


def test_mismatches_of_engine_and_problem_are_refused_at_once():
    with pytest.raises(lpgd.EngineError, match="'highs' solves LPs only"):
        layer_of(make(box), "highs")


def test_the_users_problem_stays_as_it_was():
    case = make(qp)
    want = case.solution()
    before = dict(case.problem.__dict__), case.problem._cache.key
    layer_of(case)
    assert (dict(case.problem.__dict__), case.problem._cache.key) == before
    for variable, value in zip(case.variables, want, strict=True):
        np.testing.assert_array_equal(variable.value, value)
