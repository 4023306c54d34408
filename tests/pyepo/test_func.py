"""The operations of the drop-in give PyEPO's numbers, with its own models and generators."""

import numpy as np
import pytest
import torch

from tests.pyepo.models import OPERATIONS, Data, model

import pyepo.func as theirs  # isort: skip
import lpgd.pyepo.func as ours
from lpgd import StuckWarning
from lpgd.pyepo import _solvers

pytestmark = [
    pytest.mark.filterwarnings("ignore::lpgd.StuckWarning"),
    pytest.mark.filterwarnings("ignore:CUDA"),
]


@pytest.fixture(scope="module", params=["path", "knapsack", "tour"])
def data(request):
    return Data(request.param)


@pytest.mark.parametrize("name", OPERATIONS)
def test_numbers_are_pyepos(data, name):
    equal_numbers(data, name, "auto")


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_model_may_solve_itself(name):
    equal_numbers(Data("path"), name, "model")


def equal_numbers(data, name, oracle):
    _, expected = data.results(theirs, name)
    operation, found = data.results(ours, name, oracle=oracle)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-7, atol=2e-7 * float(b.abs().max()))
    if name.startswith("AIMLE"):
        assert operation.alpha == pytest.approx(1.002)


@pytest.mark.parametrize("name", OPERATIONS)
def test_results_have_the_type_of_the_costs(name):
    data = Data("path", torch.float32)
    _, expected = data.results(theirs, name)
    _, found = data.results(ours, name)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1, float(b.abs().max())))


@pytest.mark.parametrize("name", ["SPOPlus", "NCE", "prLTR", "DBB"])
def test_the_pool_answers_the_same_calls(data, name):
    def some(package):
        signature, options = OPERATIONS[name]
        options = {**options, "solve_ratio": 0.5, "dataset": data.set}
        operation = getattr(package, name)(data.model, **options)
        operation._branch_rng = np.random.RandomState(7)
        found = []
        for _ in range(8):
            costs = data.cp.clone().requires_grad_()
            out = operation(*data.given(signature, costs))
            out.sum().backward()
            found += [out.detach(), costs.grad]
        return [*found, operation.solpool]

    for a, b in zip(some(ours), some(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-7, atol=2e-7 * float(b.abs().max()))


def test_regularised_frank_wolfe_is_the_qp_that_it_approximates():
    from lpgd import Exact
    from lpgd.torch import QPLayer

    data, weight = Data("path"), 2.0
    costs, arcs = data.cp.clone().requires_grad_(), data.model.arcs
    flow = torch.zeros(20, len(arcs), dtype=torch.float64)
    for edge, (tail, head) in enumerate(arcs):
        flow[tail, edge], flow[head, edge] = -1.0, 1.0
    supply = torch.zeros(20, dtype=torch.float64)
    supply[0], supply[-1] = -1.0, 1.0
    P = weight * torch.eye(len(arcs), dtype=torch.float64)
    x = ours.RFWO(data.model, lambd=weight)(costs)
    y = QPLayer(Exact())(P, costs, A=flow[1:], b=supply[1:], lb=0 * costs.detach()[0])
    np.testing.assert_allclose(x.detach(), y.detach(), atol=1e-9)
    loss = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pulled = [torch.autograd.grad(out, costs, loss)[0] for out in (x, y)]
    np.testing.assert_allclose(*pulled, atol=1e-8)
    value = ours.RFY(data.model, lambd=weight, reduction="none")(costs, data.w)
    optimum = (costs * y + weight / 2 * y**2).sum(1)
    expected = (costs * data.w + weight / 2 * data.w**2).sum(1) - optimum
    np.testing.assert_allclose(value.detach(), expected.detach(), atol=1e-9)
    (slope,) = torch.autograd.grad(value.sum(), costs)
    np.testing.assert_allclose(slope, (data.w - y).detach(), atol=1e-9)


@pytest.mark.parametrize("name", ["RFWO", "RFY"])
@pytest.mark.parametrize("kind", ["path", "knapsack"])
def test_regularised_frank_wolfe_is_pyepos_where_that_converges(name, kind):
    data = Data(kind)
    how = {"lambd": 5.0, "tol": 1e-13, "max_iter": 20_000, "oracle": "auto"}
    found = []
    for package in (ours, theirs):
        options = how if package is ours else {k: v for k, v in how.items() if k != "oracle"}
        operation = getattr(package, name)(data.model, **options)
        costs = data.cp[:3].clone().requires_grad_()
        out = operation(costs, data.w[:3]) if name == "RFY" else operation(costs)
        out.sum().backward()
        found.append((out.detach(), costs.grad))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=2e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=2e-6)


@pytest.mark.parametrize("ratio", [1.0, 0.0])
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_cave_is_pyepos(ratio, steps):
    from pyepo.data.dataset import optDataLoader, optDatasetConstrs

    chosen, x, c = model("path")
    batch = next(iter(optDataLoader(optDatasetConstrs(chosen, x, c), batch_size=24)))
    found = []
    for package in (ours, theirs):
        costs = (batch[1] * 1.3 + 0.1).double().requires_grad_()
        operation = package.CaVE(chosen, max_iter=steps, solve_ratio=ratio, reduction="none")
        loss = operation(costs, batch[4])
        loss.sum().backward()
        found.append((loss.detach(), costs.grad))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-5)


def test_exactly_pyepos_classes_are_recognised():
    from lpgd.oracles import TSP, Knapsack, PyEPOGrid

    for kind, own in (("path", PyEPOGrid), ("knapsack", Knapsack), ("tour", TSP)):
        known = model(kind)[0]
        assert isinstance(_solvers.recognised(known), own)
        assert ours.DBB(known, oracle="model")._oracle.__name__ == "solve"
        more = known.addConstr(np.ones(known.num_cost), 1000.0)
        assert _solvers.recognised(more) is None
        derived = type(type(known).__name__, (type(known),), {})
        assert _solvers.recognised(derived(**known.get_config())) is None


def test_a_model_that_was_changed_below_is_asked_itself():
    known = model("path")[0]
    x = known.x
    known._model.addConstr(x[0] == 0)
    assert _solvers.recognised(known) is None
    closed = model("path")[0]
    closed.x.ub = 0.5
    assert _solvers.recognised(closed) is None
    patched = model("knapsack")[0]
    patched.solve = lambda: (np.zeros(10), 0.0)
    assert _solvers.recognised(patched) is None
    relaxed = model("knapsack")[0].relax()
    assert _solvers.recognised(relaxed) is None


def test_a_loss_that_stalls_says_so():
    data = Data("path")
    with pytest.warns(StuckWarning):
        data.results(ours, "DBB", 1, lambd=1e-6)


def test_bad_costs_are_an_error():
    data = Data("path")
    data.cp[2, 1] = torch.nan
    for name in ("SPOPlus", "DBB", "DPO"):
        with pytest.raises(RuntimeError, match="NaN"):
            data.results(ours, name, 1)


def test_options_may_change_in_training():
    data = Data("path")
    operation = ours.DBB(data.model)
    pulled = []
    for value in (10.0, 0.1):
        operation.lambd = value
        costs = data.cp.clone().requires_grad_()
        (operation(costs) * data.c).sum().backward()
        pulled.append(costs.grad)
    _, expected = data.results(theirs, "DBB", 1, lambd=0.1)
    assert not torch.equal(*pulled)
    assert expected[1].shape == pulled[1].shape


def test_a_cotangent_that_is_not_finite_goes_on():
    data = Data("path")
    costs = data.cp.clone().requires_grad_()
    loss = torch.ones_like(costs)
    loss[1, 2] = torch.inf
    ours.DBB(data.model)(costs).backward(loss)
    assert costs.grad[1].isnan().all()
    assert costs.grad[[0, 2]].isfinite().all()


def test_a_knapsack_that_nothing_fits_is_an_error():
    from pyepo.model.grb import knapsackModel

    data = Data("knapsack")
    data.model = knapsackModel(data.model.weights, [-1.0, 5.0])
    for name in ("SPOPlus", "DBB", "IMLE"):
        with pytest.raises(RuntimeError, match=r"infeasible|crashed"):
            data.results(ours, name, 1)


@pytest.mark.parametrize("name", ["PFY", "NCE", "CMAP", "PG", "lsLTR", "prLTR", "ptLTR", "RFY"])
def test_optima_in_the_place_of_solutions_are_not_broadcast(name):
    data = Data("path")
    options = {"dataset": data.set} if name in ("NCE", "CMAP") or "LTR" in name else {}
    operation = getattr(ours, name)(data.model, **options)
    with pytest.raises(ValueError, match="must have shape"):
        operation(torch.ones(4, data.model.num_cost), torch.ones(4, 1))


@pytest.mark.parametrize("name, wrong, value", [
    ("SPOPlus", "processes", None), ("SPOPlus", "processes", 1.5), ("SPOPlus", "processes", "2"),
    ("PG", "two_sides", "no"), ("IMLE", "two_sides", None), ("IMLE", "distribution", 3),
    ("DPO", "variance_reduction", "no"), ("DBB", "oracle", []),
])  # fmt: skip
def test_wrong_options_are_refused(name, wrong, value):
    with pytest.raises(ValueError, match="processors" if wrong == "processes" else wrong):
        getattr(ours, name)(model("path")[0], **{wrong: value})
