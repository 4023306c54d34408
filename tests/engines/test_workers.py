"""Engines whose batches are spread over workers: the answers are the engine's own."""

import pickle

import numpy as np
import pytest
import torch

import lpgd
from lpgd.core.blas import ONE_THREAD
from lpgd.core.params import batched, shared
from lpgd.core.tilt import Tilt
from lpgd.engines.workers import _Resolve, _Solve, compact
from lpgd.torch import ConicLayer, LPLayer, QPLayer
from tests import support

pytest.importorskip("joblib")
T = torch.float64


def program(size=7, n=5, m=6):
    draw = torch.Generator().manual_seed(0)
    root = torch.randn(n, n, generator=draw, dtype=T)
    data = {
        "P": root @ root.T + torch.eye(n, dtype=T),  # shared
        "q": torch.randn(size, n, generator=draw, dtype=T),
        "G": torch.randn(m, n, generator=draw, dtype=T),
        "h": torch.rand(size, m, generator=draw, dtype=T) + 0.1,
    }
    return {name: value.requires_grad_() for name, value in data.items()}


def compared(layer, mirror, data):
    loss = torch.randn(7, 5, generator=torch.Generator().manual_seed(1), dtype=T)
    found = [
        torch.autograd.grad((each(**data) * loss).sum(), list(data.values()))
        for each in (layer, mirror)
    ]
    assert torch.equal(layer(**data), mirror(**data))
    for mine, theirs in zip(*found, strict=True):
        assert torch.equal(mine, theirs)
    assert found[0][1].any()


@pytest.mark.parametrize("engine", ["daqp", lpgd.DaqpEngine()])
@pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.LPGD(3.0, rho=0.1)])
def test_quadratic_programs(engine, rule):
    compared(QPLayer(rule, lpgd.Workers(engine, 2)), QPLayer(rule, engine), program())


def test_linear_programs():
    data = program()
    data = {"c": data["q"], "G": data["G"], "h": data["h"]}
    data |= {"lb": torch.full((5,), -1.0, dtype=T), "ub": torch.ones(5, dtype=T)}
    data = {name: value.detach().requires_grad_() for name, value in data.items()}
    layer = LPLayer(engine=lpgd.Workers("highs", 2))
    loss = torch.randn(7, 5, generator=torch.Generator().manual_seed(1), dtype=T)
    found = [torch.autograd.grad((each(**data) * loss).sum(), list(data.values()))
             for each in (layer, LPLayer(engine="highs"))]  # fmt: skip
    for mine, theirs in zip(*found, strict=True):
        assert torch.equal(mine, theirs)
    assert found[0][0].any()


def test_cone_programs():
    pytest.importorskip("clarabel")
    cones = lpgd.Cones(soc=(3,))
    draw = torch.Generator().manual_seed(0)
    A, b = -torch.eye(3, dtype=T), torch.tensor([1.0, 0.0, 0.0], dtype=T)
    q = torch.randn(6, 3, generator=draw, dtype=T).requires_grad_()
    P = torch.eye(3, dtype=T)
    found = [
        torch.autograd.grad(ConicLayer(cones, engine=engine)(P, q, A, b).square().sum(), q)[0]
        for engine in (lpgd.Workers("clarabel", 2), "clarabel")
    ]
    torch.testing.assert_close(*found, rtol=1e-7, atol=1e-9)


def test_infeasible_elements_fail_alone():
    data = program()
    data = {name: value.detach() for name, value in data.items()}
    data["G"] = torch.cat([data["G"], -data["G"][:1]])
    data["h"] = torch.cat([data["h"], 5 + data["h"][:, :1]], dim=1)
    data["h"][3, -1] = -9.0
    with pytest.raises(
        lpgd.SolverError, match=r"1 of 7 elements failed .batch index 3: infeasible"
    ):
        QPLayer(engine=lpgd.Workers("daqp", 2))(**data)


def test_only_the_data_of_the_rows_travel():
    params = {"P": shared(np.eye(2), 5), "q": batched(np.arange(10.0).reshape(5, 2))}
    some = compact(params, np.array([3, 1, 3]))
    assert some["q"].values.shape == (2, 2)
    assert some["q"].full().tolist() == [[6, 7], [2, 3], [6, 7]]
    assert some["P"].full().shape == (3, 2, 2)


def test_options_are_checked():
    with pytest.raises(ValueError, match="'auto' is none"):
        lpgd.Workers("auto")
    with pytest.raises(ValueError, match="n_jobs"):
        lpgd.Workers("daqp", 0)
    with pytest.raises(lpgd.EngineError, match="unknown engine"):
        lpgd.Workers("best")
    engine = lpgd.Workers("daqp", 2)
    assert repr(pickle.loads(pickle.dumps(engine))) == repr(engine)


def test_workers_keep_blas_to_one_thread(monkeypatch):
    """A process of theirs sees nothing of the setting of the one that asks."""
    seen = []
    for name in ("solve", "restore"):
        honest = getattr(lpgd.DaqpEngine, name)

        def watched(*args, honest=honest, **options):
            seen.append(ONE_THREAD.inside)
            return honest(*args, **options)

        monkeypatch.setattr(lpgd.DaqpEngine, name, watched)
    problem, params = support.program(P=np.eye(2), q=np.ones(2), lb=np.zeros(2))
    work, engine = (params, None), lpgd.DaqpEngine()
    point = _Solve(engine, problem)(work).solution
    one, zero = np.ones((1, 2)), np.zeros(1)
    tilt = Tilt(np.zeros(1, dtype=np.intp), 0.1 + zero, one, 0 * one, zero, point.x)
    assert _Resolve(engine, problem)((params, point, tilt)).solution.solved.all()
    assert seen == [1, 1]
