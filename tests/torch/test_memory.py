"""What a rule remembers travels with the layer: state_dict, copies, pickles, devices and dtypes."""

import copy
import io
import pickle
from dataclasses import dataclass, field

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch import nn

import lpgd
from lpgd.core.rule import Rule
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer, QPLayer


@dataclass(frozen=True)
class Remembering(Rule):
    """LPGD that counts its pullbacks and draws numbers."""

    inner: lpgd.LPGD = field(default_factory=lambda: lpgd.LPGD(0.3))

    def requires(self, problem):
        return self.inner.requires(problem)

    def begin(self):
        return {
            "count": np.zeros((), dtype=np.int64),
            "seeds": np.arange(3, dtype=np.uint64) + np.uint64(2**63),
            "tau": np.full(2, 0.1),
        }

    def pullback(self, point, cotangent, backward):
        backward.memory["count"] += 1
        backward.memory["tau"] = backward.memory["tau"] / 3
        return self.inner.pullback(point, cotangent, backward)


P = torch.eye(2, dtype=torch.float64)
Q = torch.tensor([1.0, -2.0], dtype=torch.float64)


def used(times):
    layer = QPLayer(Remembering())
    for _ in range(times):
        layer(P, Q.clone().requires_grad_(), lb=-P[0], ub=P[0]).sum().backward()
    return layer


def remembered(layer):
    return {name: array.tolist() for name, array in layer._map.memory.items()}


def test_rules_without_memory_add_no_keys():
    x, p = cp.Variable(2), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)))
    layers = [QPLayer(), LPLayer(lpgd.Exact()), ConicLayer(lpgd.Cones(nonneg=1))]
    for layer in (*layers, CvxpyLayer(problem, [p], [x])):
        assert not layer.state_dict()


def test_memory_is_in_the_state_under_its_names():
    state = nn.Sequential(nn.Linear(2, 2), used(2)).state_dict()
    assert {"1.rule.count", "1.rule.seeds", "1.rule.tau"} <= state.keys()
    assert state["1.rule.count"].item() == 2
    assert state["1.rule.seeds"].dtype == torch.uint64


def test_a_state_is_a_copy():
    layer = used(1)
    state = layer.state_dict()
    layer(P, Q.clone().requires_grad_()).sum().backward()
    assert state["rule.count"].item() == 1


def by_state(layer):
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    fresh = QPLayer(Remembering())
    fresh.load_state_dict(torch.load(file, weights_only=True))
    return fresh


def by_pickle(layer):
    return pickle.loads(pickle.dumps(layer))


@pytest.mark.parametrize("way", [by_state, by_pickle, copy.deepcopy, copy.copy])
def test_memory_travels(way):
    layer = used(3)
    twin = way(layer)
    assert remembered(twin) == remembered(layer)
    assert twin._map.memory["seeds"].dtype == np.uint64
    if way is not copy.copy:
        twin(P, Q.clone().requires_grad_()).sum().backward()
        assert remembered(layer) == remembered(used(3))


def test_layers_of_one_rule_remember_apart():
    rule = Remembering()
    one, other = QPLayer(rule), QPLayer(rule)
    one(P, Q.clone().requires_grad_()).sum().backward()
    assert (one._map.memory["count"], other._map.memory["count"]) == (1, 0)


def test_no_move_rounds_memory():
    layer, expected = used(2), remembered(used(2))
    for moved in (layer.to(torch.float16), layer.half(), layer.to("meta"), layer.cpu()):
        assert remembered(moved) == expected


@pytest.mark.parametrize("make", [QPLayer, lambda: QPLayer(Remembering())])
def test_a_state_of_the_first_release_loads(make):
    state = nn.Sequential(make()).state_dict().__class__()
    state._metadata = {"": {"version": 1}, "0": {"version": 1}}
    layer = nn.Sequential(make())
    layer.load_state_dict(state, strict=True)


def test_what_does_not_fit_is_said():
    layer = QPLayer(Remembering())
    state = layer.state_dict()
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "rule.count"'):
        QPLayer().load_state_dict(state)
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "rule.tau"'):
        layer.load_state_dict({k: v for k, v in state.items() if k != "rule.tau"})
    with pytest.raises(RuntimeError, match=r"rule.tau must have shape \(2,\), got \(3,\)"):
        layer.load_state_dict(state | {"rule.tau": torch.ones(3)})
    layer.load_state_dict({}, strict=False)


def test_settings_of_a_cvxpy_layer_share_its_memory():
    x, p = cp.Variable(2), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [x <= 1])
    layer = CvxpyLayer(problem, [p], [x], rule=Remembering())
    value = Q.clone().requires_grad_()
    layer(value)[0].sum().backward()
    layer(value, solver_args={"eps": 1e-9})[0].sum().backward()
    assert layer.state_dict()["rule.count"].item() == 2
    twin = copy.deepcopy(layer)
    twin.load_state_dict(CvxpyLayer(problem, [p], [x], rule=Remembering()).state_dict())
    twin(value)[0].sum().backward()
    assert twin.state_dict()["rule.count"].item() == 1
