"""Oracles as engines: what they are asked, and what is made of their answers."""

import numpy as np
import pytest

import lpgd
from lpgd.core.params import batched, shared
from lpgd.core.solution import Status
from lpgd.engines.oracle.engine import OracleEngine
from lpgd.families.oracle.oracle import Oracle

COSTS = np.array([[1.0, -1.0], [2.0, 3.0], [-1.0, 0.0]])


def solve(oracle, **inputs):
    return OracleEngine(oracle).solve(Oracle(2), {"q": batched(COSTS), **inputs})


def test_the_costs_are_the_oracles_own():
    params = {"q": shared(COSTS[0], 3)}

    def oracle(costs):
        assert costs.flags.c_contiguous
        costs[:] = 7.0
        return costs

    answer = OracleEngine(oracle).solve(Oracle(2), params)
    assert (answer.solution.x == 7.0).all()
    assert params["q"].full().tolist() == [[1, -1]] * 3


def test_inputs_reach_the_oracle_untouched():
    inputs = np.empty(3, dtype=object)
    inputs[:] = ["a", {"b": 1}, COSTS]
    seen = []

    def oracle(costs, instances):
        seen.extend(instances)
        return costs

    solve(oracle, instances=batched(inputs))
    assert all(got is given for got, given in zip(seen, inputs, strict=True))


@pytest.mark.parametrize(
    "row, why",
    [
        ([np.nan, 0.0], "the oracle returned a NaN or infinite entry"),
        ([1.0, np.inf], "the oracle returned a NaN or infinite entry"),
        ([1.0], r"the oracle returned shape (1,), expected (2,)"),
        ([[1.0, 2.0]], r"the oracle returned shape (1, 2), expected (2,)"),
    ],
)
def test_a_wrong_row_is_one_failure(row, why):
    answer = solve(lambda costs: [costs[0], row, costs[2]])
    assert answer.solution.status.tolist() == [Status.OPTIMAL, Status.NUMERICAL, Status.OPTIMAL]
    assert answer.solution.x.tolist() == [[1, -1], [0, 0], [-1, 0]]
    assert answer.notes == {1: why}


def test_a_wrong_number_of_rows_is_an_exception():
    with pytest.raises(ValueError, match="2 minimisers for 3 costs"):
        solve(lambda costs: costs[:2])


def test_our_own_errors_within_an_oracle_are_the_oracles():
    def oracle(costs):
        raise lpgd.SolverError("no", [1])

    with pytest.raises(RuntimeError, match="the oracle raised SolverError: no") as caught:
        solve(oracle)
    assert not isinstance(caught.value, lpgd.LpgdError)
