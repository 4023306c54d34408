"""Failure policy, counting and warnings, with a scripted engine and with DAQP."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from lpgd import LPGD, DaqpEngine, EngineError, Exact, SolverError, SolverWarning
from lpgd.core.engine import Answer, Capabilities
from lpgd.core.params import batched, shared
from lpgd.core.solution import Solution, Status
from lpgd.families.qp.qp import QP
from lpgd.map.solution_map import SolutionMap
from tests.maps import BOX, boxes, forward, pull
from tests.support import cotangent, groups


def mixed():
    """LPs on x >= 0: solved, unbounded, NaN, infeasible, solved."""
    costs = [[1, 1], [-1, 1], [np.nan, 1], [1, 1], [2, 1]]
    lower = [[0, 0], [0, 0], [0, 0], [2, 0], [0, 1]]
    params = {
        "q": batched(np.array(costs)), "lb": batched(np.array(lower, dtype=float)),
        "G": shared(np.array([[1.0, 0.0], [0.0, 0.0]]), 5),
        "h": batched(np.array([[np.inf, 1], [np.inf, 1], [1, 1], [1, 1], [1, 1]])),
    }  # fmt: skip
    return QP.of({"G": 2, "lb": 2}, 2, {}), params


stays = pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")  # vertices, on purpose


@dataclass(frozen=True)
class Fixed:
    """Answers every solve with x = q and the given statuses, and no workspace."""

    statuses: tuple = (0,)
    tilted: tuple = (0,)
    name: str = "fixed"
    capabilities: ClassVar = Capabilities(frozenset({"LP"}))

    def solve(self, problem, params, *, start=None, keep=False, threads=None):
        q = params["q"].full()
        statuses = np.resize(self.statuses if start is None else self.tilted, len(q))
        status = statuses.astype(np.int8)
        return Answer(Solution(q.copy(), np.zeros((len(q), problem.m)), status), len(q))


def test_raises_with_indices_statuses_and_names():
    found = SolutionMap(LPGD(0.1), "daqp")
    problem, params = mixed()
    with pytest.raises(SolverError, match=r"3 of 5 elements.*2: q has|c has") as caught:
        forward(found, problem, params)
    assert caught.value.indices == (1, 2, 3)
    expected = (Status.UNBOUNDED, Status.INVALID, Status.INFEASIBLE)
    assert caught.value.statuses == expected
    assert found.stats.failures == 3


def test_what_engine_and_check_say_is_said_of_the_element_it_concerns():
    params = {"A": shared(np.ones((2, 1)), 3), "q": batched(np.array([[np.nan], [1.0], [1.0]]))}
    params["b"] = batched(np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0 + 4e-6]]))
    with pytest.raises(SolverError, match=r"0: c has a NaN.*2: .*infeasible by 2e-06"):
        forward(SolutionMap(LPGD(0.1), "daqp"), QP.of({"A": 2}, 1, {}), params)


@stays
def test_marks_failed_elements_and_solves_the_others():
    found = SolutionMap(LPGD(0.1), "daqp", "nan")
    problem, params = mixed()
    with pytest.warns(SolverWarning, match="daqp: forward solve: 3 of 5") as caught:
        solved = forward(found, problem, params)
    assert len(caught) == 1
    assert solved.solution.solved.tolist() == [True, False, False, False, True]
    np.testing.assert_allclose(solved.solution.x[[0, 4]], [[0, 0], [0, 1]], atol=1e-12)
    assert not solved.solution.x[1:4].any()
    assert found.stats.solves == 4  # the NaN never reached the solver
    # failed elements have gradient zero, whatever their cotangent
    dx = np.array([[3, 1], [np.nan, 1], [1, 1], [1, np.inf], [-3, 1]], dtype=float)
    gradients = found.pullback(solved, cotangent(dx, m=4), groups(params))
    assert np.isfinite(gradients["q"]).all()
    assert not gradients["q"][1:4].any()
    assert not gradients["lb"][1:4].any()
    np.testing.assert_allclose(gradients["lb"][[0, 4]], dx[[0, 4]], atol=1e-9)
    healthy = {k: p if len(p.values) == 1 else batched(p.values[[0, 4]]) for k, p in params.items()}
    healthy["G"] = healthy["G"].take(np.arange(2))
    alone = pull(SolutionMap(LPGD(0.1), "daqp"), problem, healthy, dx[[0, 4]])
    np.testing.assert_array_equal(gradients["lb"][[0, 4]], alone["lb"])


def test_batch_indices_have_the_callers_shape():
    found = SolutionMap(LPGD(0.1), "daqp")
    params = boxes([1, 1], [1, 1], [1, 1], [np.nan, 1])
    with pytest.raises(SolverError) as caught:
        found.solve(BOX, params, (2, 2))
    assert caught.value.indices == ((1, 1),)
    with pytest.raises(SolverError) as caught:
        found.solve(BOX, boxes([np.nan, 1]), ())
    assert caught.value.indices == (0,)


def test_an_empty_batch():
    found = SolutionMap(LPGD(0.1), "daqp")
    params = {**boxes([1, 1]), "q": batched(np.zeros((0, 2)))}
    params = {k: p.take(np.zeros(0, dtype=int)) for k, p in params.items()}
    solved = found.solve(BOX, params, (0,), keep=True)
    wanted = {"q": np.zeros((0, 1), int), "ub": np.zeros((1, 0), int)}
    gradients = found.pullback(solved, cotangent(np.zeros((0, 2)), m=4), wanted)
    assert gradients["q"].shape == (0, 2)
    np.testing.assert_array_equal(gradients["ub"], np.zeros((1, 2)))


class Trusting:
    """The boxes, by a family that checks nothing."""

    abilities = frozenset()

    def __getattr__(self, name):
        return getattr(BOX, name)

    @property
    def program(self):
        return self

    def tilt(self, params, tilt):
        return self, BOX.tilt(params, tilt)[1]


def test_inaccurate_counts_as_failed_unless_accepted():
    engine = Fixed(statuses=(0, 1), tilted=(0, 1))
    with pytest.raises(SolverError, match=r"1: inaccurate.*accept_inexact=True"):
        forward(SolutionMap(LPGD(1.0), engine), Trusting(), boxes([1, 1], [1, 1]))
    found = SolutionMap(LPGD(1.0), engine, accept_inexact=True)
    solved = forward(found, Trusting(), boxes([1, 1], [1, 1]))
    assert solved.solution.solved.all()
    assert found.stats.inexact == 1
    found.pullback(solved, cotangent(np.ones((2, 2)), m=4), groups(solved.params))
    assert found.stats.inexact == 3


def test_what_is_not_even_near_a_solution_is_never_accepted():
    found = SolutionMap(LPGD(0.5), Fixed(), accept_inexact=True)
    with pytest.raises(SolverError, match=r"0: inaccurate"):
        forward(found, BOX, boxes([1, 2]))


def test_an_engine_without_a_workspace_solves_the_tilted_data():
    found = SolutionMap(LPGD(0.5), Fixed())
    gradients = pull(found, Trusting(), boxes([1, 2], [3, 4]), [[1, 0], [0, 2]])
    np.testing.assert_allclose(gradients["q"], [[1, 0], [0, 2]])  # x = q, here
    assert found.stats.re_solves == 4


def test_an_engine_that_is_wrong_is_not_believed():
    found = SolutionMap(LPGD(0.5), Fixed())
    with pytest.raises(SolverError, match=r"0: inaccurate"):
        forward(found, BOX, boxes([1, 2]))


def test_nothing_is_kept_unless_asked():
    assert forward(SolutionMap(LPGD(1.0), "daqp"), BOX, boxes([1, 1]), keep=False).workspace is None
    assert forward(SolutionMap(LPGD(1.0), "daqp"), BOX, boxes([1, 1])).workspace is not None


def test_seconds_are_counted():
    found = SolutionMap(LPGD(4.0), "daqp")
    pull(found, BOX, boxes([1, 1]), [[-1, 0]])
    assert found.stats.seconds_forward > 0
    assert found.stats.seconds_backward > 0
    assert found.stats.set_ups > 0


SPARSE = QP(2, {"G": slice(0, 1)}, False, {"G": None})
QUADRATIC = QP.of({"P": 2}, 2, {})


@pytest.mark.parametrize(
    "engine, rule, problem, message",
    [
        ("highs", LPGD(1.0), QUADRATIC, "'highs' does not solve a QP"),
        ("daqp", LPGD(1.0), SPARSE, "'daqp' takes dense arguments only"),
        ("highs", LPGD(1.0, 0.1), BOX, "rho > 0 turns the tilted LP into a QP.*Use rho = 0.*daqp"),
        (Fixed(), LPGD(1.0), QUADRATIC, "'fixed' does not solve a QP"),
        ("moreau", LPGD(1.0), BOX, "'moreau' does not solve an LP"),
    ],
)
def test_unable_engines_are_refused_before_any_solve(engine, rule, problem, message):
    with pytest.raises(EngineError, match=message):
        SolutionMap(rule, engine).choose(problem).engine


def test_engines_are_names_or_instances():
    assert SolutionMap(LPGD(1.0), "auto").choose(BOX).engine == DaqpEngine()
    mine = DaqpEngine(iteration_limit=5)
    assert SolutionMap(LPGD(1.0), mine).choose(BOX).engine is mine
    assert SolutionMap(Exact(0.1), "auto").choose(SPARSE).engine.name == "highs"


@pytest.mark.parametrize(
    "options, kind, message",
    [
        ({"on_failure": "ignore"}, ValueError, "'raise' or 'nan', got 'ignore'"),
        ({"threads": 0}, ValueError, "threads must be None or at least 1"),
        ({"accept_inexact": "no"}, ValueError, "accept_inexact must be True or False, got 'no'"),
        ({"engine": "dakp"}, EngineError, "unknown engine 'dakp'"),
    ],
)
def test_bad_options_are_refused_where_they_are_written(options, kind, message):
    with pytest.raises(kind, match=message):
        SolutionMap(LPGD(1.0), **options)
