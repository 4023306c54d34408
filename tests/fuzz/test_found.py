"""Calls in which a fault was found once."""

import warnings

import pytest

from tests.fuzz import judge
from tests.fuzz.draws import Draw


@pytest.mark.parametrize(
    ("layer", "seed"),
    [
        ("qp", 6100000736),  # zero beside a mask
        ("qp", 7000000334),  # a bound that is a denormal
        ("conic", 7000000125),  # denormals in company
        ("cvxpy", 7100000014),  # coefficients of 1e172
        ("qp", 7100000248),  # multipliers that cancel
        ("lp", 9200000424),  # a row without entries among rows of 1e-12
        ("qp", 9200000559),  # a rough program in company
    ],
)
def test_faults_that_were_found_are_gone(layer, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        findings, calls = judge.examine(layer, Draw(seed))
    assert calls
    assert findings == []
