"""Proofs of LPs that have no solution, at any size of numbers."""

import warnings

import numpy as np
import pytest

from lpgd import HighsEngine, Status
from lpgd.core.params import batched
from lpgd.families.qp.qp import QP


@pytest.mark.parametrize("size", [1.0, 1e150, 1.6e308])
@pytest.mark.parametrize("share", [0.9, 1 - 1e-8])
def test_crossed_bounds_are_proven_in_silence(size, share):
    bounds = {"lb": [size, 0.0], "ub": [share * size, 1.0]}
    params = {k: batched(np.array([v])) for k, v in {"q": [1.0, 1.0], **bounds}.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = HighsEngine().solve(QP.of({"lb": 2, "ub": 2}, 2, {}), params)
    assert answer.solution.status.tolist() == [Status.INFEASIBLE]
