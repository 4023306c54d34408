"""ConicLayer: gradients over every cone, structure, batches, failures."""

import sys

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.func import jacrev, vmap

import lpgd
from lpgd.testing.cone_programs import KINDS, plant
from lpgd.torch import ConicLayer, ConicSolution, Sparse
from tests.conic_oracle import gradients

NAMES = sorted(KINDS)
DATA = ("P", "q", "A", "b")
# Central differences leave tau^2; the solver's error enters divided by tau.
RULES = [
    ("moreau", lpgd.LPGD(1e-4), 1e-6),
    ("moreau", lpgd.Exact(), 1e-9),
    (lpgd.MoreauEngine(polish=False), lpgd.LPGD(3e-3), 1e-4),
    ("clarabel", lpgd.LPGD(1e-4), 1e-6),
    ("clarabel", lpgd.Exact(), 1e-9),
    ("scs", lpgd.LPGD(1e-4), 1e-6),
    ("scs", lpgd.Exact(), 1e-9),
]


def data_of(case):
    values = {name: torch.tensor(case.params[name].values) for name in DATA}
    return {name: v[0] if len(v) == 1 else v for name, v in values.items()}


def leaves(data):
    return {name: value.detach().clone().requires_grad_() for name, value in data.items()}


def weights_of(solution, seed=5):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(t.shape, generator=draw, dtype=t.dtype) for t in solution]


def pull(layer, data, weights=None, **arguments):
    """Gradients of <weights, outputs>."""
    given = leaves(data)
    solution = layer(**{**given, **{k: v(given) for k, v in arguments.items()}}, return_duals=True)
    weights = weights_of(solution) if weights is None else weights
    sum((w * t).sum() for w, t in zip(weights, solution, strict=True)).backward()
    return {name: value.grad for name, value in given.items()}, weights


def assert_near(found, expected, relative):
    for name, value in expected.items():
        error = (found[name] - value).abs().max() / value.abs().max()
        assert error < relative, f"{name}: {error:.1e}"


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("engine, rule, relative", RULES)
def test_gradients_equal_the_derivative(engine, rule, relative, name, seed):
    case = plant(KINDS[name], seed)
    data = data_of(case)
    found, weights = pull(ConicLayer(KINDS[name], rule, engine=engine), data)
    x, y = torch.tensor(case.solution.x[0]), torch.tensor(case.solution.y[0])
    assert_near(found, gradients(KINDS[name], data, x, y, weights), relative)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_each_output_alone_has_gradients(part):
    case = plant(KINDS["mixed"], 4)
    data = data_of(case)
    layer = ConicLayer(KINDS["mixed"], lpgd.LPGD(3e-3))
    weights = [w * (i == part) for i, w in enumerate(weights_of(layer(**data, return_duals=True)))]
    found, _ = pull(layer, data, weights)
    x, y = torch.tensor(case.solution.x[0]), torch.tensor(case.solution.y[0])
    assert_near(found, gradients(KINDS["mixed"], data, x, y, weights), 2e-4)


@pytest.mark.parametrize("engine", ["moreau", "clarabel", "scs"])
@pytest.mark.parametrize("rule", [lpgd.LPGD(1e-4), lpgd.Exact()], ids=["lpgd", "exact"])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences_of_the_layer(name, rule, engine):
    data = data_of(plant(KINDS[name], 1))
    layer = ConicLayer(KINDS[name], rule, engine=engine)
    weights = weights_of(layer(**data, return_duals=True))
    found, _ = pull(layer, data, weights)
    assert_near(found, {k: _differences(layer, data, k, weights) for k in DATA}, 1e-6)


def _differences(layer, data, name, weights, step=1e-3):
    value = data[name]
    basis = torch.eye(value.numel(), dtype=value.dtype).reshape(-1, *value.shape)
    if name == "P":
        basis = 0.5 * (basis + basis.mT)
    slope = 0
    for factor, weight in ((2, -1 / 12), (1, 2 / 3), (-1, -2 / 3), (-2, 1 / 12)):
        moved = layer(**{**data, name: value + factor * step * basis}, return_duals=True)
        loss = sum((w * t).sum(-1) for w, t in zip(weights, moved, strict=True))
        slope = slope + weight / step * loss
    return slope.reshape(value.shape)


@pytest.mark.parametrize("side", ["average", "lower", "upper"])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_sides_and_rho_tend_to_the_adjoint(side, rho):
    data = data_of(plant(KINDS["mixed"], 2))
    exact, weights = pull(ConicLayer(KINDS["mixed"], lpgd.Exact(rho)), data)
    found, _ = pull(ConicLayer(KINDS["mixed"], lpgd.LPGD(1e-3, rho, side)), data, weights)
    assert_near(found, exact, 1e-3 if side == "average" else 2e-2)


@pytest.mark.parametrize("engine", ["moreau", "clarabel"])
def test_sparse_arguments_have_the_dense_gradients_on_their_places(engine):
    case = plant(KINDS["mixed"], 3, sparse=True)
    places = {name: case.problem.patterns[name] for name in ("P", "A")}
    values = data_of(case)
    forms = {k: sparse.csr_matrix(places[k].matrix(values[k].numpy())) for k in places}
    for name, form in forms.items():
        values[name] = torch.tensor(form.data)
    dense = {**values, **{k: torch.tensor(forms[k].toarray()) for k in forms}}
    layer = ConicLayer(KINDS["mixed"], lpgd.LPGD(1e-2, rho=0.1), engine=engine)
    expected, weights = pull(layer, dense)
    found, _ = pull(layer, values, weights,
                    P=lambda given: Sparse(forms["P"], given["P"]),
                    A=lambda given: Sparse(forms["A"], given["A"]))  # fmt: skip
    for name, form in forms.items():
        at = form.tocoo()
        expected[name] = expected[name][torch.tensor(at.row), torch.tensor(at.col)]
    assert_near(found, expected, 3e-3)


def test_batches_equal_a_loop_and_shared_arguments_sum():
    case = plant(KINDS["mixed"], 0, 3)
    data = data_of(case)
    layer = ConicLayer(KINDS["mixed"], lpgd.LPGD(1e-2))
    found, weights = pull(layer, data)
    for i in range(3):
        alone, _ = pull(layer, {k: v[i] for k, v in data.items()}, [w[i] for w in weights])
        assert_near({k: v[i] for k, v in found.items()}, alone, 1e-9)
    shared = {**data, "P": data["P"][0], "A": data["A"][0], "b": data["b"][0]}
    summed, weights = pull(layer, shared)
    spread, _ = pull(layer, {**data, **{k: shared[k].expand_as(data[k]) for k in "PAb"}}, weights)
    assert_near(summed, {k: v if k == "q" else v.sum(0) for k, v in spread.items()}, 1e-9)
    assert layer(shared["P"], data["q"].reshape(1, 3, -1), shared["A"], shared["b"]).shape[:2] == (
        1,
        3,
    )


def test_a_linear_objective_has_no_p():
    q = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    A = torch.tensor([[0.0, 0.0], [-1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    b = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    for rho in (0.0, 1e-6):
        layer = ConicLayer(lpgd.Cones(soc=(3,)), lpgd.LPGD(1e-2, rho))
        solution = layer(None, q, A, b, return_duals=True)
        assert isinstance(solution, ConicSolution)
        torch.testing.assert_close(solution.x, -q / 5, atol=1e-5, rtol=0)
        torch.testing.assert_close(solution.s, b - A @ solution.x)
        (slope,) = torch.autograd.grad(solution.x[0], q)
        want = torch.tensor([-16.0, 12.0], dtype=torch.float64) / 125
        torch.testing.assert_close(slope, want, atol=1e-4, rtol=0)


def test_float32_goes_in_and_out():
    case = plant(KINDS["soc"], 0, 2)
    data = {name: value.float() for name, value in data_of(case).items()}
    layer = ConicLayer(KINDS["soc"], lpgd.LPGD(1e-2))
    solution = layer(**data, return_duals=True)
    assert {t.dtype for t in solution} == {torch.float32}
    np.testing.assert_allclose(solution.x, case.solution.x, atol=1e-4)
    found, _ = pull(layer, data)
    assert {t.dtype for t in found.values()} == {torch.float32}


def test_vmap_and_jacrev():
    data = data_of(plant(KINDS["soc"], 0, 3))
    layer = ConicLayer(KINDS["soc"], lpgd.LPGD(1e-2))
    torch.testing.assert_close(vmap(layer)(*data.values()), layer(**data))
    one = {name: value[0] for name, value in data.items()}
    jacobian = jacrev(lambda q: layer(one["P"], q, one["A"], one["b"]))(one["q"])
    given = leaves(one)
    row = torch.autograd.grad(layer(**given)[4], given["q"])[0]
    torch.testing.assert_close(jacobian[4], row, atol=1e-9, rtol=0)


def test_wrong_structure_is_refused():
    layer = ConicLayer(lpgd.Cones(nonneg=2), lpgd.LPGD(0.1))
    q, A, b = torch.ones(3), torch.ones(2, 3), torch.ones(2)
    lower = Sparse(sparse.csr_matrix(np.tril(np.ones((3, 3)))), torch.ones(6))
    for given, message in (
        ((None, None, A, b), "q is required"),
        ((None, q, None, b), "A is required"),
        ((None, q, A, None), "b is required"),
        ((None, q, torch.ones(3, 3), torch.ones(3)), "A must have 2 rows"),
        ((torch.ones(2, 2), q, A, b), r"P must have shape \(..., 3, 3\)"),
        ((lower, q, A, b), "both triangles"),
    ):
        with pytest.raises(lpgd.StructureError, match=message):
            layer(*given)
    with pytest.raises(TypeError, match=r"lpgd\.Cones"):
        ConicLayer({"nonneg": 2}, lpgd.LPGD(0.1))
    assert "Cones(zero=0, nonneg=2" in repr(layer)


@pytest.mark.parametrize("engine", ["daqp", lpgd.HighsEngine()])
def test_cones_beyond_an_engine_are_refused_when_the_layer_is_built(engine):
    with pytest.raises(lpgd.EngineError, match="with nonneg, zero rows only, not with soc"):
        ConicLayer(lpgd.Cones(soc=(3,)), lpgd.LPGD(0.1), engine=engine)


@pytest.mark.parametrize(
    "P, message",
    [
        (torch.eye(2), "'highs' solves LPs only, but P is given"),
        (None, "rho > 0 turns the tilted LP into a QP"),
    ],
)
def test_engines_say_what_they_cannot_do(P, message):
    layer = ConicLayer(lpgd.Cones(nonneg=3), lpgd.LPGD(0.1, rho=1.0), engine="highs")
    with pytest.raises(lpgd.EngineError, match=message):
        layer(P, torch.ones(2), torch.ones(3, 2), torch.ones(3))


def test_a_missing_solver_names_its_extra(monkeypatch):
    data = data_of(plant(KINDS["nonneg"], 0))
    monkeypatch.setitem(sys.modules, "clarabel", None)
    with pytest.raises(lpgd.MissingExtraError, match=r'pip install "lpgd\[conic\]"'):
        ConicLayer(KINDS["nonneg"], lpgd.LPGD(0.1), engine="clarabel")(**data)


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("rule", [lpgd.LPGD(1e-4), lpgd.Exact()], ids=["lpgd", "exact"])
def test_linear_rows_go_to_daqp_with_sharp_gradients(rule, form):
    cones = lpgd.Cones(zero=2, nonneg=5)
    case = plant(cones, 3, 2, sparse=form == "sparse")
    data, places = data_of(case), case.problem.patterns
    wrapped = {}
    if places:
        for name in ("P", "A"):
            shape = sparse.csr_matrix(places[name].matrix(data[name][0].numpy()))
            wrapped[name] = lambda given, name=name, shape=shape: Sparse(shape, given[name])
    layer = ConicLayer(cones, rule)
    found, weights = pull(layer, data, **wrapped)
    if rule == lpgd.LPGD(1e-4):
        assert layer.stats.set_ups == 2  # none in backward: DAQP has kept its factorizations
    for i in range(2):
        x, y = (torch.tensor(part[i]) for part in (case.solution.x, case.solution.y))
        one = {k: v[i] for k, v in data.items()}
        for name, pattern in places.items():
            one[name] = torch.tensor(pattern.dense(one[name].numpy()[None])[0])
        expected = gradients(cones, one, x, y, [w[i] for w in weights])
        for name, pattern in places.items():
            expected[name] = expected[name][pattern.rows, pattern.cols]
        assert_near({k: v[i] for k, v in found.items()}, expected, 1e-6)


def test_sparse_linear_programs_go_to_highs():
    n, draw = 200, np.random.default_rng(0)
    form = sparse.vstack([sparse.random(20, n, 0.1, random_state=draw), -sparse.eye(n)]).tocsr()
    b = torch.tensor(np.concatenate([form[:20] @ np.ones(n), np.zeros(n)]))
    q = torch.tensor(draw.uniform(1.0, 2.0, (3, n)), requires_grad=True)
    values = torch.tensor(form.data, requires_grad=True)
    layer = ConicLayer(lpgd.Cones(zero=20, nonneg=n), lpgd.LPGD(1e-2))
    x, y, s = layer(None, q, Sparse(form, values), b, return_duals=True)
    torch.testing.assert_close(s, b - x @ torch.tensor(form.toarray().T))
    (x.square().sum() + s.sum() + y.sum()).backward()
    assert values.grad.shape == values.shape
    cold = ConicLayer(lpgd.Cones(zero=20, nonneg=n), lpgd.LPGD(1e-2), engine="moreau")
    torch.testing.assert_close(cold(None, q, Sparse(form, values), b), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("engine", ["moreau", "clarabel", "scs"])
def test_without_right_hand_sides_the_solution_of_linear_costs_is_zero(engine):
    """Nothing tells the unit of x, so that no other number is near."""
    a = torch.tensor([[-0.23, 0.66, -0.97, 0.88]], dtype=torch.float64)
    q, A = torch.cat([-0.6 * a, -a]), torch.stack([a, a])
    A[:, 0, 0] += 1e-3 * torch.tensor([0.0, 1.0])
    q[1, 0] -= 1e-3
    layer = ConicLayer(lpgd.Cones(zero=1), engine=engine)
    solution = layer(None, q, A, torch.zeros(2, 1, dtype=torch.float64), return_duals=True)
    assert not solution.x.any()
    assert not solution.s.any()
    torch.testing.assert_close(solution.y, torch.tensor([[0.6], [1.0]]).double())
