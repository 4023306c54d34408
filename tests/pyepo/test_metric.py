"""Metrics of the drop-in are PyEPO's."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.pyepo.models import Data, pyepo

import lpgd.pyepo  # isort: skip
from lpgd import metrics
from lpgd.torch import metrics as accumulated


@pytest.fixture(scope="module", params=["path", "knapsack"])
def data(request):
    return Data(request.param)


def predictor(data):
    torch.manual_seed(0)
    layer = torch.nn.Linear(data.set.feats.shape[1], data.model.num_cost)
    return torch.nn.Sequential(layer, torch.nn.Softplus())


@pytest.mark.parametrize("reduction", ["normalized", "sum", "mean", "none"])
@pytest.mark.parametrize("oracle", ["auto", "model"])
def test_regret_is_pyepos(data, reduction, oracle):
    given = predictor(data), data.model, DataLoader(data.set, 7)
    found = lpgd.pyepo.metric.regret(*given, reduction=reduction, oracle=oracle)
    expected = pyepo.metric.regret(*given, reduction=reduction)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_unambiguous_regret_and_errors_are_pyepos(data):
    given = predictor(data), data.model, DataLoader(data.set, 7)
    for name in ("unambRegret", "regret"):
        found, expected = (getattr(p.metric, name)(*given) for p in (lpgd.pyepo, pyepo))
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)
    found, expected = (p.metric.MSE(given[0], given[2]) for p in (lpgd.pyepo, pyepo))
    assert found == pytest.approx(expected, rel=1e-6)
    costs = data.cp.numpy(), data.c.numpy()
    found, expected = (p.metric.SPOError(*costs, data.model) for p in (lpgd.pyepo, pyepo))
    assert found == pytest.approx(expected, rel=1e-6)


def test_one_instance_is_pyepos(data):
    for i in range(5):
        given = data.model, data.cp[i].numpy(), data.c[i].numpy(), float(data.z[i])
        for name in ("calRegret", "calUnambRegret"):
            found, expected = (getattr(p.metric, name)(*given) for p in (lpgd.pyepo, pyepo))
            assert found == pytest.approx(expected, abs=1e-5)


def test_a_scorer_of_scikit_learn_is_minus_the_regret(data):
    from sklearn.base import BaseEstimator, RegressorMixin

    class Predictor(RegressorMixin, BaseEstimator):
        def predict(self, x):
            return data.cp.numpy()

    scorer = lpgd.pyepo.metric.makeSkScorer(data.model)
    found = scorer(Predictor(), data.set.feats.numpy(), data.c.numpy())
    expected = -pyepo.metric.SPOError(data.cp.numpy(), data.c.numpy(), data.model)
    assert found == pytest.approx(expected, rel=1e-6)


def test_accumulators_add_up_to_pyepos_regret(data):
    from lpgd.pyepo import _solvers

    solve, chosen = _solvers.recognised(data.model), predictor(data)
    sense = "min" if data.model.modelSense == 1 else "max"
    sign = 1 if sense == "min" else -1
    regret, unambiguous = (
        accumulated.Regret(sense),
        accumulated.UnambiguousRegret(solve, 1e-7, sense),
    )
    best = accumulated.Optimality(sense)
    for x, c, w, z in DataLoader(data.set, 7):
        costs = chosen(x).detach()
        decided = torch.from_numpy(solve(sign * costs.double().numpy()))
        for metric, first in ((regret, decided), (unambiguous, costs)):
            metric.update(first, c, z)
        assert float(best(w, c, z)) == 1.0
    expected = pyepo.metric.regret(chosen, data.model, DataLoader(data.set, 7))
    assert float(regret.compute()) == pytest.approx(expected, rel=1e-5)
    assert float(unambiguous.compute()) == pytest.approx(expected, rel=1e-3)
    assert float(best.compute()) == 1.0
    other = accumulated.Regret(sense)
    other.merge_state(regret)
    assert other.compute() == regret.compute()
    regret.reset()
    assert regret.compute().isnan()


def test_ties_are_decided_for_the_worse():
    table = np.eye(3)

    def first(costs):
        return table[costs.argmin(axis=1)]

    costs, truth = np.array([[1.0, 1.0, 2.0]]), np.array([[1.0, 5.0, 9.0]])
    assert metrics.regret(first(costs), truth, [1.0]).tolist() == [0.0]
    assert metrics.unambiguous_regret(costs, truth, [1.0], first).tolist() == [4.0]
    assert metrics.optimal([0.0, 1e-9, 1e-3], [1.0, 1.0, 1.0]).tolist() == [True, True, False]
