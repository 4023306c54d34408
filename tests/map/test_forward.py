"""What a solved batch offers to its pullback, apart from what the map's own tests cover."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd import LPGD, DaqpEngine, SolverError, SolverWarning
from lpgd.core.engine import Capabilities
from lpgd.core.errors import MissingExtraError
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Term
from lpgd.map.report import is_stuck
from lpgd.map.solution_map import SolutionMap
from lpgd.map.terms import spread, still
from tests.maps import BOX, boxes, forward
from tests.support import cotangent, groups, program


def points(x):
    x = np.array(x, dtype=float)
    return Solution(x, np.zeros((len(x), 1)), np.zeros(len(x), np.int8))


def term(x, dx):
    found = points(x)
    return Term(np.ones(len(found)), found, still(found, cotangent(dx, m=1)).tilt)


@pytest.mark.parametrize(
    "moved, dx, stuck",
    [
        ([[0.0], [0.0]], [[1.0], [1.0]], True),
        ([[0.0], [1e-3]], [[1.0], [1.0]], False),  # one element moved
        ([[0.0], [1e-3]], [[1.0], [0.0]], True),  # but not the one that was pulled
        ([[0.0], [0.0]], [[0.0], [0.0]], False),  # nothing pulls
        ([[0.0], [0.0]], [[1e-18], [1e-18]], False),  # nothing but rounding pulls
    ],
)
def test_stuck_is_when_all_that_is_pulled_stays(moved, dx, stuck):
    start = points([[0.0], [0.0]])
    assert is_stuck([term(moved, dx), term([[0.0], [0.0]], dx)], start, np.array(dx)) is stuck


def test_spread_puts_terms_among_rows_that_keep_their_weight():
    start = points([[1.0], [2.0], [3.0]])
    base = still(start, cotangent(np.ones((3, 1)), m=1))
    part, rest = spread([term([[7.0]], [[1.0]])], np.array([1]), base, np.array([np.nan, 0, 0]))
    np.testing.assert_array_equal(rest.weight, [np.nan, 0, 0])
    np.testing.assert_array_equal(part.weight, [0, 1, 0])
    np.testing.assert_array_equal(part.point.x[:, 0], [1, 7, 3])


def test_slack_cotangents_are_silenced_too():
    given = replace(cotangent(np.ones((1, 1)), m=1), ds=np.ones((1, 1)))
    assert given.loud.all()
    assert given.finite.all()
    assert not still(points([[1.0]]), given).tilt.ds.any()
    assert not replace(given, ds=np.full((1, 1), np.nan)).finite.any()


class Raising:
    """An engine that raises, in the forward solve or in the tilted one."""

    name, capabilities = "raising", Capabilities(frozenset({"QP"}), install="pip install more")

    def __init__(self, error, only_tilted):
        self.error, self.only_tilted = error, only_tilted

    def solve(self, problem, params, *, start=None, **options):
        if self.only_tilted and start is None:
            return replace(DaqpEngine().solve(problem, params), workspace=None)
        raise self.error


@pytest.mark.parametrize("only_tilted", [False, True])
def test_a_solver_that_raises_has_crashed_and_is_chained(only_tilted):
    problem, params = program(P=np.eye(1), q=[1.0], lb=[-1.05])  # the tilt reaches the bound
    found = SolutionMap(LPGD(0.1), Raising(MemoryError("no room"), only_tilted))

    def both_passes():
        solved = found.solve(problem, params, (1,), keep=True)
        found.pullback(solved, cotangent([[1.0]], m=1), groups(params))

    with pytest.raises(SolverError, match="crashed") as caught:
        both_passes()
    assert caught.value.statuses == (Status.CRASHED,)
    assert isinstance(caught.value.__cause__, MemoryError)


def test_a_missing_package_names_what_installs_it():
    problem, params = program(P=np.eye(1), q=[1.0])
    missing = ModuleNotFoundError("No module named 'more'", name="more")
    with pytest.raises(MissingExtraError, match=r"'raising' needs .*\(more\): pip install more"):
        SolutionMap(LPGD(0.1), Raising(missing, only_tilted=False)).solve(problem, params, (1,))


class Forgetful:
    """DAQP that keeps no workspace, and notes of how many elements one is made anew."""

    name, capabilities = "forgetful", DaqpEngine.capabilities

    def __init__(self):
        self.sizes = []

    def solve(self, problem, params, **options):
        return replace(DaqpEngine().solve(problem, params, **options), workspace=None)

    def restore(self, problem, params, solution, threads):
        self.sizes.append(len(solution))
        return DaqpEngine().restore(problem, params, solution, threads)


def test_a_workspace_is_made_anew_for_the_elements_that_are_tilted():
    params, engine = boxes([1, -1], [np.nan, 1], [-2, 3], [1, 2]), Forgetful()
    pulls = replace(cotangent(np.array([[-1.0, 2.0], [0.5, 1.0]]), m=4), rows=np.array([2, 2]))
    gradients = []
    for each in (engine, "daqp"):
        found = SolutionMap(LPGD(4.0), each, "nan")
        with pytest.warns(SolverWarning):
            solved = forward(found, BOX, params)
        gradients.append(found.pullback(solved, pulls, {"q": np.arange(2)[:, None]})["q"])
    assert engine.sizes == [1]
    np.testing.assert_array_equal(*gradients)


def test_a_tilt_that_overflows_reaches_no_solver():
    problem, params = program(P=np.eye(1), q=[1.0])
    found = SolutionMap(LPGD(1e10, retries=0), "daqp")
    solved = found.solve(problem, params, (1,), keep=True)
    with pytest.raises(SolverError, match="numerical"):
        found.pullback(solved, cotangent([[1e305]], m=0), groups(params))
    assert found.stats.re_solves == 0
