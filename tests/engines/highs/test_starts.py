"""HiGHS engine: no memory but a basis, from which every solve starts alike."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.engines.highs import sweep
from lpgd.engines.highs.engine import HighsEngine
from lpgd.engines.highs.run import Found
from tests.engines.highs.lps import lp, random_lp, same, take, tilt_of, transport

ENGINE = HighsEngine()


def test_answers_depend_on_the_element_alone(monkeypatch):
    monkeypatch.setattr(sweep, "useful_threads", lambda threads, work, pays: threads or 1)
    problem, params = transport()
    whole = ENGINE.solve(problem, params, keep=True, threads=1)
    size = len(whole.solution)
    assert size == 16
    tilt = tilt_of(problem, whole.solution)
    other = replace(tilt, t=-tilt.t)
    up, down = whole.workspace.resolve(tilt).solution, whole.workspace.resolve(other).solution
    assert not np.array_equal(up.x, whole.solution.x)

    order = np.random.default_rng(1).permutation(size)
    mixed = ENGINE.solve(problem, take(params, order), keep=True, threads=2)
    assert same(mixed.solution, whole.solution.take(order))
    moved = replace(tilt.take(order), rows=np.arange(size))
    assert same(mixed.workspace.resolve(moved).solution, up.take(order))

    for chunk in np.array_split(np.arange(size), 5):
        part = ENGINE.solve(problem, take(params, chunk), keep=True)
        assert same(part.solution, whole.solution.take(chunk))
        here = replace(tilt.take(chunk), rows=np.arange(len(chunk)))
        assert same(part.workspace.resolve(here).solution, up.take(chunk))

    fresh = ENGINE.solve(problem, params, keep=True, threads=2).workspace
    assert same(fresh.resolve(other).solution, down)  # the other side first
    assert same(fresh.resolve(tilt).solution, up)
    assert same(fresh.resolve(tilt).solution, up)  # and twice
    assert same(fresh.resolve(tilt.join(other)).solution, up.join(down))  # and at once


def test_one_workspace_serves_several_threads():
    problem, params = transport()
    kept = ENGINE.solve(problem, params, keep=True)
    tilt = tilt_of(problem, kept.solution)
    expected = kept.workspace.resolve(tilt).solution
    found: list[Solution] = []
    callers = [
        threading.Thread(target=lambda: found.append(kept.workspace.resolve(tilt).solution))
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 4
    assert all(same(expected, s) for s in found)


@pytest.mark.parametrize("t, duals", [(0.3, 0.0), (0.3, 0.05), (1e-3, 0.05)])
def test_a_resolve_equals_a_cold_solve_of_the_tilted_data(t, duals):
    rng = np.random.default_rng(9)
    G = rng.standard_normal((3, 15, 20))
    data = {
        "q": rng.standard_normal((3, 20)),
        "G": G,
        "h": G.sum(axis=2) * 0.5 + rng.uniform(0.2, 1, (3, 15)),
        "lb": np.zeros((3, 20)),
        "ub": np.ones((3, 20)),
    }
    problem, params = lp(**data)
    kept = ENGINE.solve(problem, params, keep=True)
    tilt = tilt_of(problem, kept.solution, t, duals)
    hot = kept.workspace.resolve(tilt)
    cold = ENGINE.solve(*problem.tilt(params, tilt))
    assert hot.set_ups == 3
    np.testing.assert_allclose(hot.solution.x, cold.solution.x, atol=1e-9)
    np.testing.assert_allclose(hot.solution.y, cold.solution.y, atol=1e-9)


def test_a_hot_start_takes_few_iterations():
    problem, params = transport(ties=False)
    kept = ENGINE.solve(problem, params, keep=True)
    tilt = tilt_of(problem, kept.solution, t=1e-3)
    # A limit that is too small for any cold solve is enough for every hot one.
    limited = HighsEngine(iteration_limit=5)
    assert not limited.solve(problem, params).solution.solved.any()
    workspace = replace(kept.workspace, engine=limited)
    hot = workspace.resolve(tilt)
    assert hot.solution.solved.all()
    assert hot.set_ups == len(kept.solution)


@pytest.mark.parametrize("groups", ["AG", "Glbub", "AGlbub"])
def test_from_its_own_basis_a_solve_makes_no_iteration(groups):
    """Whatever bound each variable and row is at."""
    problem, params = lp(**random_lp(0, groups, n=10, batch=8))
    solution = ENGINE.solve(problem, params).solution
    limited = HighsEngine(iteration_limit=1)
    assert not limited.solve(problem, params).solution.solved.any()
    again = limited.solve(problem, params, start=solution)
    assert again.solution.solved.all()
    assert again.set_ups == 8


def test_a_failure_from_a_hot_start_is_confirmed_by_a_cold_one():
    data = {
        "q": np.array([[1.0, 1.0]] * 2),
        "G": np.array([[[1.0, 1.0]]] * 2),
        "h": np.array([[1.0]] * 2),
        "lb": np.zeros((2, 2)),
    }
    problem, params = lp(**data)
    kept = ENGINE.solve(problem, params, keep=True)
    dy = np.zeros((2, problem.m))
    dy[0, problem.blocks["G"]] = 5.0  # the row becomes x0 + x1 <= -4
    rows = np.arange(2)
    tilt = Tilt(rows, np.ones(2), np.zeros((2, 2)), dy, np.zeros(2), kept.solution.x)
    answer = kept.workspace.resolve(tilt)
    assert answer.solution.status.tolist() == [Status.INFEASIBLE, Status.OPTIMAL]
    assert answer.set_ups == 3


def test_a_time_limit_is_not_spent_twice(monkeypatch):
    problem, params = transport()
    kept = ENGINE.solve(problem, params, keep=True)
    monkeypatch.setattr(sweep, "solve", lambda *_: Found(Status.TIME_LIMIT))
    answer = kept.workspace.resolve(tilt_of(problem, kept.solution))
    assert (answer.solution.status == Status.TIME_LIMIT).all()
    assert answer.set_ups == len(kept.solution)


def small(bound):
    """min x_0 + x_1, x_0 + 2 x_1 >= 1e-7, 0 <= x <= bound: small beside its bounds."""
    data = {"q": [[1.0, 1.0]], "G": [[[-1.0, -2.0]]], "h": [[-1e-7]]}
    data |= {"lb": [[0.0, 0.0]], "ub": [[bound, bound]]}
    return lp(**{name: np.array(value) for name, value in data.items()})


@pytest.mark.parametrize("failing", [2, None])
def test_an_answer_whose_second_look_fails_is_kept(failing, monkeypatch):
    problem, params = small(1.0)
    runs, solve = [], sweep.solve

    def counted(*given):
        runs.append(given)
        return Found(Status.NUMERICAL) if len(runs) == failing else solve(*given)

    monkeypatch.setattr(sweep, "solve", counted)
    answer = ENGINE.solve(problem, params)
    assert answer.set_ups == len(runs) == 2
    assert answer.solution.solved.all()
    np.testing.assert_allclose(answer.solution.x, [[0, 5e-8]], rtol=1e-9)


def test_numerical_trouble_is_tried_again_in_coarser_units(monkeypatch):
    problem, params = small(1e9)
    solve, units = sweep.solve, []

    def fails_in_fine_units(lp, *given):
        units.append(lp.point)
        return Found(Status.NUMERICAL) if lp.point == units[0] else solve(lp, *given)

    monkeypatch.setattr(sweep, "solve", fails_in_fine_units)
    assert ENGINE.solve(problem, params).solution.status.tolist() == [Status.OPTIMAL]
    assert units[1] < units[0]


def test_bounds_that_a_tilt_crosses_are_infeasible():
    data = {"q": np.ones((1, 2)), "lb": np.zeros((1, 2)), "ub": np.ones((1, 2))}
    problem, params = lp(**data)
    kept = ENGINE.solve(problem, params, keep=True)
    dy = np.array([[3.0, 0, 0, 0]])  # lb becomes (3, 0)
    tilt = Tilt(np.zeros(1, int), np.ones(1), np.zeros((1, 2)), dy, np.zeros(1), kept.solution.x)
    assert kept.workspace.resolve(tilt).solution.status.tolist() == [Status.INFEASIBLE]


def test_leaves_other_users_of_highs_alone():
    # HiGHS sizes a scheduler at its first run in a thread and then refuses any other size there.
    import highspy

    def solve_with(threads: int) -> highspy.HighsStatus:
        highs = highspy.Highs()
        highs.silent()
        highs.setOptionValue("threads", threads)
        highs.addVar(0.0, 1.0)
        return highs.run()

    def both() -> None:
        problem, params = transport()
        found.append(ENGINE.solve(problem, params).solution.solved.all())
        found.append(solve_with(2) == highspy.HighsStatus.kOk)
        found.append(ENGINE.solve(problem, params).solution.solved.all())

    found: list[bool] = []
    caller = threading.Thread(target=both)  # a thread that has never run HiGHS
    caller.start()
    caller.join()
    assert found == [True, True, True]


def test_the_basis_of_a_solution_replaces_the_workspace():
    problem, params = transport()
    kept = ENGINE.solve(problem, params, keep=True)
    solution = kept.solution
    assert solution.basis.dtype == np.int8
    assert ((solution.basis == 1).sum(axis=1) == problem.blocks["A"].stop).all()
    tilt = tilt_of(problem, solution)
    expected = kept.workspace.resolve(tilt)
    restored = ENGINE.restore(problem, params, solution, None).resolve(tilt)
    afresh = ENGINE.solve(*problem.tilt(params, tilt), start=solution)
    assert same(restored.solution, expected.solution)
    assert same(afresh.solution, expected.solution)
    assert restored.set_ups == afresh.set_ups == expected.set_ups == 16


@pytest.mark.parametrize("basis", ["zero", "random", "another's", "too short"])
def test_a_start_from_no_basis_or_a_wrong_one_solves_all_the_same(basis):
    problem, params = transport(ties=False)
    plain = ENGINE.solve(problem, params).solution
    rng = np.random.default_rng(0)
    made = {
        "zero": np.zeros_like(plain.basis),
        "random": rng.permuted(plain.basis, axis=1),
        "another's": plain.basis[::-1] + 0,
        "too short": plain.basis[:, 1:],
    }[basis]
    found = ENGINE.solve(problem, params, start=replace(plain, basis=made)).solution
    assert found.solved.all()
    np.testing.assert_allclose(found.x, plain.x, atol=1e-9)
    np.testing.assert_allclose(found.y, plain.y, atol=1e-9) if basis == "zero" else None
