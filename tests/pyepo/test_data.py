"""Data sets of the drop-in hold what PyEPO's hold."""

import contextlib
import io

import numpy as np
import pytest

from tests.pyepo.models import model, pyepo

import lpgd.pyepo  # isort: skip
from lpgd.pyepo.data.dataset import optDataset, optDatasetKNN  # isort: skip


@pytest.mark.parametrize("kind", ["path", "knapsack", "tour"])
@pytest.mark.parametrize("oracle", ["auto", "model"])
@pytest.mark.parametrize("near", [False, True])
def test_data_sets_are_pyepos(kind, oracle, near):
    chosen, x, c = model(kind)
    own = pyepo.data.dataset.optDatasetKNN if near else pyepo.data.dataset.optDataset
    ours, more = (optDatasetKNN, {"k": 3, "weight": 0.4}) if near else (optDataset, {})
    with contextlib.redirect_stderr(io.StringIO()):
        expected = own(chosen, x, c, **more)
    found = ours(chosen, x, c, oracle=oracle, **more)
    assert len(found) == len(expected)
    for a, b in zip(found[3], expected[3], strict=True):
        assert a.dtype == b.dtype
    for name in ("feats", "costs", "objs"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-6)
    value, own_value = ((s.costs * s.sols).sum(1) for s in (found, expected))
    np.testing.assert_allclose(value, own_value, rtol=0.2 if near else 1e-6)  # ties


def test_our_data_sets_begin_pools():
    from lpgd.pyepo.func import NCE

    chosen, x, c = model("path")
    data = optDataset(chosen, x, c)
    loss = NCE(chosen, dataset=data)(data.costs, data.sols)
    assert loss.isfinite()
    with pytest.raises(TypeError, match="not an optDataset"):
        NCE(chosen, dataset=x)


def test_pyepos_own_losses_take_our_data_sets():
    chosen, x, c = model("path")
    data = optDataset(chosen, x, c)
    assert isinstance(data, pyepo.data.dataset.optDataset)
    loss = pyepo.func.NCE(chosen, dataset=data)(data.costs, data.sols)
    assert loss == lpgd.pyepo.func.NCE(chosen, dataset=data)(data.costs, data.sols)


def test_wrong_arguments_are_refused():
    chosen, x, c = model("path")
    with pytest.raises(ValueError, match="oracle must be one of"):
        optDataset(chosen, x, c, oracle="ours")
    for feats, costs in ((None, c), (x, 3)):
        with pytest.raises(ValueError, match="a row for each instance"):
            optDataset(chosen, feats, costs)
