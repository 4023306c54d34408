"""Oracle layers: shapes of costs, senses, objects, memory, checks of tilts."""

import pickle
import warnings

import numpy as np
import pytest
import torch

import lpgd
from lpgd.oracles import MILP, Assignment, GridPath, Knapsack, Reply, TopK
from lpgd.torch import OracleLayer
from tests.oracles import PATHS, Listed
from tests.torch.test_oracle import costs, gradient

pytestmark = pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")
RULES = [lpgd.LPGD(0.7, side=side) for side in ("lower", "upper", "average")] + [lpgd.LPGD()]


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
def test_a_cost_may_have_any_shape(batch):
    layer, flat = OracleLayer(GridPath((3, 4))), OracleLayer(GridPath((3, 4)).reply, shape=(3, 4))
    c = costs(*batch, 3, 4).abs().detach().requires_grad_()
    assert layer(c).shape == c.shape
    assert torch.equal(layer(c), flat(c))
    rule = lpgd.LPGD(3.0, side="lower")
    loss = costs(*batch, 3, 4, seed=1).abs().detach()
    found = gradient(OracleLayer(GridPath((3, 4)), rule), c, loss)
    price, move = c.detach().numpy().reshape(-1, 3, 4), loss.numpy().reshape(-1, 3, 4)
    path = GridPath((3, 4))
    expected = (path(price + 3 * move) - path(price)) / 3
    np.testing.assert_allclose(found.reshape(-1, 3, 4), expected, rtol=1e-14)


def test_shapes_that_do_not_fit_are_named():
    layer = OracleLayer(GridPath((3, 4)))
    with pytest.raises(lpgd.StructureError, match=r"takes costs of shape \(\.\.\., 3, 4\), got"):
        layer(costs(4, 3))
    with pytest.raises(lpgd.StructureError, match="at least 2 dimensions, those of one cost"):
        layer(costs(4))
    assert OracleLayer(Assignment())(costs(5, 2, 3)).shape == (5, 2, 3)
    with pytest.raises(ValueError, match="shape must hold sizes"):
        OracleLayer(Listed(PATHS), shape=(0,))


@pytest.mark.parametrize("rule", RULES)
def test_maximising_is_minimising_the_negated_costs(rule):
    """Costs, tilts and gradients: x(-c), and the gradient changes its sign with the costs."""

    def best(theta):
        return PATHS[(theta @ PATHS.T).argmax(axis=1)]

    c, loss = costs(40, 5), costs(40, 5, seed=1).detach()
    opposite = (-c).detach().requires_grad_()
    layer, mirror = OracleLayer(best, rule, sense="max"), OracleLayer(Listed(PATHS), rule)
    assert torch.equal(layer(c), mirror(opposite))
    assert torch.equal(gradient(layer, c, loss), -gradient(mirror, opposite, loss))
    assert layer.stats.contradictions == 0


def test_oracles_that_minimise_are_handed_negated_costs():
    values = costs(6, 4).detach().abs()
    x = OracleLayer(Knapsack([1, 1, 1, 1], 2), sense="max")(values)
    assert torch.equal(x, OracleLayer(TopK(2), sense="max")(values))
    assert torch.equal(x.sum(-1), torch.full((6,), 2.0, dtype=x.dtype))
    with pytest.raises(ValueError, match="sense must be"):
        OracleLayer(TopK(2), sense="maximum")


@pytest.mark.parametrize("oracle", ["ignores the sense", "random"])
def test_contradictions_are_counted_and_named_once(oracle):
    draw = np.random.default_rng(0)

    def wrong(theta):  # minimises
        return PATHS[(theta @ PATHS.T).argmin(axis=1)]

    def random(theta):
        return PATHS[draw.integers(0, 3, len(theta))]

    asked = wrong if oracle == "ignores the sense" else random
    layer = OracleLayer(asked, lpgd.LPGD(5.0), sense="max")
    c, loss = costs(60, 5), costs(60, 5, seed=1).detach()
    with pytest.warns(lpgd.OracleWarning, match="solutions for tilted costs contradict"):
        gradient(layer, c, loss)
    first = layer.stats.contradictions
    assert first > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", lpgd.OracleWarning)
        gradient(layer, c, loss)
    assert layer.stats.contradictions > first


def test_exact_oracles_never_contradict_themselves():
    c, loss = costs(300, 5), costs(300, 5, seed=1).detach()
    for rule in RULES:
        layer = OracleLayer(Listed(PATHS), rule)
        gradient(layer, 1e-8 * c, loss)
        gradient(layer, c, 1e8 * loss)
        assert layer.stats.contradictions == 0


def test_suboptimality_that_an_oracle_declares_is_no_contradiction():
    class Rough:
        gap = 1.0

        def __call__(self, c):
            return PATHS[np.random.default_rng(int(c.sum() * 1e6) % 1000).integers(0, 3, len(c))]

    layer = OracleLayer(Rough(), lpgd.LPGD(1.0))
    gradient(layer, costs(50, 5), costs(50, 5, seed=1).detach())
    assert layer.stats.contradictions == 0


NAMES = np.array(["abe", "cd", "ade"])


def by_name(c):
    """The best of the paths, as a word: an object."""
    return [NAMES[place] for place in (c @ PATHS.T).argmin(axis=1)]


def vector(name):
    return np.array([float(letter in name) for letter in "abcde"])


TABLE = np.array([vector(name) for name in NAMES])


def by_listed_name(c):
    return [str(NAMES[place]) for place in (c @ TABLE.T).argmin(axis=1)]


@pytest.mark.parametrize("rule", RULES)
def test_solutions_may_be_objects(rule):
    c, loss = costs(3, 4, 5), costs(3, 4, 5, seed=1).detach()
    layer = OracleLayer(by_listed_name, rule, features=vector, offset=len)
    x, names = layer(c, objects=True)
    assert names.shape == (3, 4)
    assert all((vector(names[i]) == x[i].detach().numpy()).all() for i in np.ndindex(3, 4))
    mirror = OracleLayer(Listed(TABLE), rule)
    assert torch.equal(gradient(layer, c, loss), gradient(mirror, c, loss))
    value = layer.objective(c, x, names)
    assert torch.equal(value, (c * x).sum(-1) + torch.tensor([[len(n) for n in r] for r in names]))
    assert torch.equal(torch.autograd.grad(value.sum(), c)[0], x)
    with pytest.raises(ValueError, match="needs features"):
        mirror(c, objects=True)


def test_a_fault_of_features_costs_its_element():
    def picky(name):
        if name == "cd":
            raise KeyError(name)
        return vector(name)

    c = costs(30, 5).detach()
    layer = OracleLayer(by_listed_name, features=picky, on_failure="nan")
    with pytest.warns(lpgd.SolverWarning, match="features crashed: KeyError"):
        x, names = layer(c, objects=True)
    lost = x.isnan().any(-1).numpy()
    assert lost.any()
    assert [name is None for name in names] == lost.tolist()


def test_costs_that_come_again_are_answered_from_the_cache():
    best, c = Listed(PATHS), costs(6, 5)
    layer = OracleLayer(best, cache=100_000)
    x = layer(c)
    assert best.sizes == [6]
    assert torch.equal(layer(torch.cat([c, c[:2], costs(2, 5, seed=3)]))[:6], x)
    assert (best.sizes, layer.stats.cached) == ([6, 2], 8)
    small = OracleLayer(Listed(PATHS), cache=1000)  # three of them
    assert torch.equal(small(c), x)
    assert torch.equal(small(c), x)
    assert small.stats.cached < 6
    copy = pickle.loads(pickle.dumps(layer))
    assert torch.equal(copy(c), x)


def test_failures_are_not_cached():
    calls = []

    def late(c):
        calls.append(len(c))
        return Reply(np.ones(c.shape), np.full(len(c), 5 if len(calls) == 1 else 0, dtype=np.int8))

    layer = OracleLayer(late, on_failure="nan", cache=10_000)
    with pytest.warns(lpgd.SolverWarning, match="time limit"):
        layer(costs(1, 2))
    assert layer(costs(1, 2)).tolist() == [[1, 1]]


def test_a_pool_answers_a_share_of_training_calls():
    best = Listed(PATHS)
    layer = OracleLayer(best, lpgd.LPGD(1.0), solve_ratio=0.25, pool=PATHS[:1], seed=1)
    c = costs(400, 5)
    x = layer(c)
    assert sum(best.sizes) + layer.stats.pooled == 400
    assert 60 < sum(best.sizes) < 140
    exact = Listed(PATHS)(c.detach().numpy())
    assert (layer(c).detach().numpy() == exact).all()  # by now it knows all paths
    layer.eval()
    before = sum(best.sizes)
    layer(c)
    assert sum(best.sizes) == before + 400
    assert x.shape == c.shape
    upward = OracleLayer(TopK(1), sense="max", solve_ratio=0.5, pool=np.eye(3))
    assert torch.equal(upward(costs(50, 3)).argmax(-1), costs(50, 3).argmax(-1))


def test_infeasible_points_fail_where_the_oracle_can_tell():
    class Careless(Listed):
        def __call__(self, c):
            x = super().__call__(c).copy()
            x[1] = 0.5
            return x

        def feasible(self, x):
            return (x[:, None] == PATHS).all(axis=2).any(axis=1)

    with pytest.raises(lpgd.SolverError, match="1: the oracle returned a point outside of its set"):
        OracleLayer(Careless(PATHS))(costs(3, 5))


def test_incumbents_are_used_and_counted():
    draw = np.random.default_rng(2)
    weights = draw.integers(1, 1000, (5, 60))
    values = torch.tensor(draw.random((2, 60)) + weights.mean(axis=0) / 100)
    oracle = MILP(weights, weights.sum(axis=1) // 2, ub=1, node_limit=1)
    layer = OracleLayer(oracle, sense="max")
    assert layer(values).sum() > 0
    assert layer.stats.incumbents == 2


@pytest.mark.parametrize("options, why", [
    ({"n_jobs": 0}, "n_jobs"), ({"timeout": 1.0}, "timeout needs n_jobs"), ({"cache": -1}, "cache"),
    ({"timeout": -1.0, "n_jobs": 2}, "timeout"), ({"solve_ratio": 0.0}, "solve_ratio"),
    ({"solve_ratio": 0.5, "features": vector}, "features"),
])  # fmt: skip
def test_wrong_options_are_named(options, why):
    with pytest.raises(ValueError, match=why):
        OracleLayer(Listed(PATHS), **options)


@pytest.mark.parametrize("options, kind, why", [
    ({"features": 3}, TypeError, "features must be a callable"),
    ({"offset": "no"}, TypeError, "offset must be a callable"),
    ({"pool": None}, ValueError, "pool must be numbers"),
    ({"pool": [[1.0], [1.0, 2.0]]}, ValueError, "pool must be an array of numbers"),
    ({"sense": np.ones(2)}, ValueError, "sense must be one of"),
    ({"rule": 0}, TypeError, "rule must be"), ({"rule": []}, TypeError, "rule must be"),
])  # fmt: skip
def test_what_is_no_option_is_refused_by_name(options, kind, why):
    with pytest.raises(kind, match=why):
        OracleLayer(np.sign, **options)


def test_costs_that_are_no_numbers_are_named():
    for wrong in ("no", None, {}, [[1.0], [1.0, 2.0]]):
        with pytest.raises(ValueError, match="costs must be"):
            TopK(1)(wrong)
