"""What happens to cotangents: retries, failures, fallback and warnings."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd import LPGD, EngineError, Exact, SolverError, SolverWarning, StuckWarning
from lpgd.core.params import batched, shared
from lpgd.families.qp.qp import QP
from lpgd.map.solution_map import SolutionMap
from tests.maps import BOX, boxes, forward, pull
from tests.support import cotangent, groups, program

FREE = QP.of({"lb": 2}, 2, {})


def test_zero_cotangents_need_no_solve():
    found = SolutionMap(LPGD(2.0), "daqp")
    gradients = pull(found, BOX, boxes([1, 1], [1, 1]), np.zeros((2, 2)))
    assert found.stats.re_solves == 0
    assert not any(g.any() for g in gradients.values())
    gradients = pull(found, BOX, boxes([1, 1], [1, 1]), [[0, 0], [-1, 0]])
    assert found.stats.re_solves == 2  # of the second alone
    np.testing.assert_allclose(gradients["q"], [[0, 0], [0.25, 0]], atol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_cotangents_come_out_as_nan(bad):
    found = SolutionMap(LPGD(2.0), "daqp")
    gradients = pull(found, BOX, boxes([1, 1], [1, 1]), [[bad, 0], [-1, 0]], wanted={"q"})
    assert np.isnan(gradients["q"][0]).all()
    np.testing.assert_allclose(gradients["q"][1], [0.25, 0], atol=1e-9)
    assert found.stats.re_solves == 2
    dy = np.full((1, 4), bad)
    only = pull(found, BOX, boxes([1, 1]), [[0, 0]], dy, wanted={"q"})
    assert np.isnan(only["q"]).all()


def test_retries_shrink_tau_until_the_side_is_bounded():
    """min x_0 + x_1 over x >= 0 is unbounded below a tilt of -1.5; at 1.5/4 it is not."""
    found = SolutionMap(LPGD(1.5), "daqp")
    params = {"q": shared(np.ones(2), 2), "lb": shared(np.zeros(2), 2)}
    with pytest.warns(StuckWarning):
        gradients = pull(found, FREE, params, [[-1, 0], [-0.1, 0]])
    assert found.stats.retries == 1
    assert found.stats.tau == (0.375, 1.5)
    np.testing.assert_allclose(gradients["lb"], [[-1.1, 0]], atol=1e-9)
    assert found.stats.failures == 0


STEEP = [[-1e3, 0], [-0.1, 0]]


def test_a_tilted_failure_raises():
    found = SolutionMap(LPGD(1.5), "daqp")
    params = {"q": shared(np.ones(2), 2), "lb": shared(np.zeros(2), 2)}
    with pytest.raises(
        SolverError, match=r"daqp: tilted solve at tau 0.0234: 1 of 2.*0: unbounded.*smaller tau"
    ) as caught:
        pull(found, FREE, params, STEEP)
    assert caught.value.indices == (0,)
    assert found.stats.retries == 3
    assert found.stats.failures == 1


def test_a_tilted_failure_is_zeroed_and_counted():
    found = SolutionMap(LPGD(1.5), "daqp", "nan")
    params = {"q": batched(np.ones((2, 2))), "lb": batched(np.zeros((2, 2)))}
    with pytest.warns(SolverWarning, match=r"tilted solve at tau .*: 1 of 2") as caught:
        gradients = pull(found, FREE, params, STEEP)
    assert len(caught) == 1  # and no warning of being stuck
    np.testing.assert_allclose(gradients["lb"], [[0, 0], [-0.1, 0]], atol=1e-9)
    assert found.stats.failures == 1


def test_fallback_uses_the_side_that_works():
    found = SolutionMap(LPGD(1.5, fallback=True), "daqp")
    params = {"q": batched(np.ones((2, 2))), "lb": batched(np.zeros((2, 2)))}
    with pytest.warns(StuckWarning):
        gradients = pull(found, FREE, params, STEEP)
    np.testing.assert_allclose(gradients["lb"], STEEP, atol=1e-9)
    assert found.stats.failures == 0


@pytest.mark.parametrize("fallback", [False, True])
def test_a_dual_cotangent_may_make_a_side_infeasible(fallback):
    """x_0 = 0 within [0, 1]: its right-hand side moves out of the box on one side."""
    problem = QP.of({"P": 2, "A": 1, "lb": 2, "ub": 2}, 2, {})
    params = {
        **boxes([1, 1]), "P": shared(np.eye(2), 1),
        "A": shared(np.array([[1.0, 0]]), 1), "b": shared(np.zeros(1), 1),
    }  # fmt: skip
    dy = [[1, 0, 0, 0, 0]]
    found = SolutionMap(LPGD(0.5, fallback=fallback), "daqp")
    if fallback:
        gradients = pull(found, problem, params, [[0, 0]], dy)
        assert np.isfinite(gradients["b"]).all()
    else:
        with pytest.raises(SolverError, match=r"tilted solve.*infeasible.*smaller tau") as caught:
            pull(found, problem, params, [[0, 0]], dy)
        assert "rho > 0" not in str(caught.value)  # it would mend nothing
    assert found.stats.retries == 3


def test_stuck_warns_once():
    found = SolutionMap(LPGD(0.5), "daqp")
    with pytest.warns(StuckWarning, match="larger tau, or rho > 0"):
        pull(found, BOX, boxes([1, 1], [1, 1]), np.ones((2, 2)))
    pull(found, BOX, boxes([1, 1], [1, 1]), np.ones((2, 2)))


@pytest.mark.parametrize(
    "rule, dx, dy, wanted",
    [
        (LPGD(0.5), [[1, 1], [-9, 1]], None, None),  # one element moves
        (LPGD(0.5), np.zeros((2, 2)), None, None),  # nothing pushes
        (LPGD(0.5), np.zeros((2, 2)), np.ones((2, 4)) * 0.1, None),  # only multipliers are pushed
        (LPGD(0.5), np.ones((2, 2)), None, {"lb"}),  # no gradient of the costs is wanted
        (Exact(), np.ones((2, 2)), None, None),  # nothing is tilted
    ],
)
def test_stuck_warns_nowhere_else(rule, dx, dy, wanted):
    pull(SolutionMap(rule, "daqp"), BOX, boxes([1, 1], [1, 1]), dx, dy, wanted)


def test_exact_reports_the_degenerate_share():
    found = SolutionMap(Exact(), "daqp")
    problem = QP.of({"P": 1, "lb": 1}, 1, {})
    params = {
        "P": shared(np.eye(1), 2),
        "q": batched(np.array([[0.0], [1.0]])),  # the first touches its bound, the second presses
        "lb": shared(np.zeros(1), 2),
    }
    pull(found, problem, params, [[1], [1]])
    assert found.stats.degenerate == 0.5
    assert "np." not in repr(found.stats)
    assert found.stats.re_solves == 0


def test_several_cotangents_of_one_element_are_their_own_rows():
    found = SolutionMap(LPGD(4.0), "daqp")
    params = boxes([1, 1], [1, -1])
    solved = forward(found, BOX, params)
    rows, dx = np.array([1, 0, 1]), np.array([[-1, 0], [0, -1], [0, 1]], dtype=float)
    tilt = replace(cotangent(dx, m=4), rows=rows)
    each = found.pullback(solved, tilt, {"q": np.arange(3)[:, None]})["q"]
    for k, row in enumerate(rows):
        single = replace(cotangent(dx[k : k + 1], m=4), rows=rows[k : k + 1])
        alone = found.pullback(solved, single, {"q": np.zeros((1, 1), int)})["q"][0]
        np.testing.assert_array_equal(each[k], alone)
        assert alone.any(), row


class Closed:
    """A QP that tells nothing of itself."""

    abilities = frozenset()

    def __init__(self, problem):
        self.problem = problem

    @property
    def program(self):
        return self

    def __getattr__(self, name):
        return getattr(self.problem, name)


@pytest.mark.parametrize(
    "rule, needed", [(Exact(), "Exact.. needs the adjoint"), (LPGD(), "LPGD.. needs the sizes")]
)
def test_what_a_family_cannot_do_is_refused_before_anything_is_solved(rule, needed):
    problem, params = program(P=np.eye(1), q=[1.0])
    with pytest.raises(EngineError, match=f"{needed}.*of a QP, which this family does not have"):
        SolutionMap(rule, "daqp").solve(Closed(problem), params, (1,), keep=True)


def test_a_fixed_tau_needs_nothing_of_a_family():
    problem, params = program(P=np.eye(1), q=[1.0])
    gradients = {}
    for family in (problem, Closed(problem)):
        found = SolutionMap(LPGD(0.5), "daqp")
        solved = found.solve(family, params, (1,), keep=True)
        gradients[family] = found.pullback(solved, cotangent([[1.0]], m=0), groups(params))["q"]
    np.testing.assert_array_equal(*gradients.values())
