"""Verdicts are proven, nearly feasible data are solved, and all of it in any units."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd import DaqpEngine
from lpgd.core.engine import Answer
from lpgd.core.params import Param, batched, shared
from lpgd.core.solution import Solution, Status
from lpgd.engines import second_look
from lpgd.engines.daqp import review
from lpgd.engines.daqp.review import Review
from lpgd.families.qp.qp import QP
from lpgd.rules.ends import untilted
from tests.support import cotangent, program


def answer(engine=None, **data):
    problem, params = program(**data)
    return problem, params, (engine or DaqpEngine()).solve(problem, params)


def reviewed(status, **data):
    """What becomes of an answer of fives, in this status."""
    problem, params = program(**data)
    fives = Solution(*(np.full((1, k), 5.0) for k in (problem.n, problem.m)), np.array([status]))
    return Review(problem, params, DaqpEngine().settings, None).of(Answer(fives, 1)).solution


@pytest.mark.parametrize("status", [Status.OPTIMAL, Status.INACCURATE, Status.NUMERICAL])
def test_no_answer_that_breaks_the_conditions_is_believed(status):
    found = reviewed(np.int8(status), P=np.eye(2), q=[-1.0, 0.5], G=[[1.0, 0.0]], h=[9.0])
    assert found.solved.all()
    np.testing.assert_allclose(found.x, [[1.0, -0.5]], atol=1e-9)


@pytest.mark.parametrize("status", [Status.OPTIMAL, Status.INACCURATE, Status.UNBOUNDED])
def test_what_has_no_solution_keeps_no_point(status):
    found = reviewed(np.int8(status), P=np.eye(1), q=[1.0], G=[[1.0], [-1.0]], h=[1.0, -2.0])
    assert found.status.tolist() == [Status.INFEASIBLE]
    assert not found.x.any()
    assert not found.y.any()


def test_contradictions_that_no_tolerance_takes_for_rounding_give_way():
    """By 4e-7, which is little beside 60."""
    _, _, found = answer(P=np.eye(1), q=[1], A=[[1], [1]], b=[60, 60 + 4e-7])
    assert found.solution.solved.all()
    np.testing.assert_allclose(found.solution.x, [[60.0]], atol=1e-6)


@pytest.mark.parametrize("near", [1e-5, 1e-6, 1e-7])
def test_equalities_that_nearly_depend_on_each_other(near):
    _, _, found = answer(P=np.eye(2), q=[0, 0], A=[[1, 0], [1, near]], b=[0, 1])
    assert found.solution.solved.all()
    np.testing.assert_allclose(found.solution.x, [[0, 1 / near]], rtol=1e-9, atol=1e-15)


def test_contradictions_of_printed_digits_give_way():
    problem, params, found = answer(P=np.eye(1), q=[1], A=[[1], [1]], b=[1, 1 + 4e-9])
    assert found.solution.solved.all()
    np.testing.assert_allclose(found.solution.x, [[1.0]], atol=1e-8)
    assert problem.residual(params, found.solution)[0] <= 1e-8
    assert found.set_ups == 3  # one to keep, one afresh, one for the second look


def test_near_misses_name_the_violation_and_the_tolerance():
    data = {"P": np.eye(1), "q": [1.0], "A": [[1.0], [1.0]], "b": [1.0, 1.0 + 4e-6]}
    problem, params, found = answer(**data)
    assert found.solution.status.tolist() == [Status.INFEASIBLE]
    assert "infeasible by 2e-06" in found.notes[0]
    assert "primal_tol" in found.notes[0]
    assert problem.refuted(params, found.ray)[0] <= 1e-6
    _, _, found = answer(DaqpEngine(primal_tol=1e-5), **data)
    np.testing.assert_allclose(found.solution.x, [[1.0]], atol=1e-5)


@pytest.mark.parametrize("size", [1.0, 1e-5, 1e-9, 1e-12, 1e-100])
def test_a_contradiction_of_small_data_is_one(size):
    for curved in ({"P": [[size]]}, {}):
        data = {"q": [0.0], "A": [[1.0], [1.0]], "b": [0.0, size]}
        problem, params, found = answer(**data, **curved)
        assert found.solution.status.tolist() == [Status.INFEASIBLE]
        assert not found.notes
        assert problem.refuted(params, found.ray)[0] <= 1e-6


@pytest.mark.parametrize("quadratic", [False, True])
def test_verdicts_come_with_proofs_in_the_users_units(quadratic):
    problem = QP.of({"G": 2, "lb": 2, **({"P": 2} if quadratic else {})}, 2, {})
    params = {
        "q": batched(1e20 * np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])),
        "G": shared(1e-12 * np.array([[1.0, -1.0], [-1.0, 0.0]]), 3),
        "h": batched(1e-30 * np.array([[1.0, 1.0], [-1.0, -5.0], [1.0, 1.0]])),
        "lb": shared(np.zeros(2), 3),
    }
    if quadratic:
        params["P"] = shared(np.diag([1e30, 0.0]), 3)
    params["ub"] = shared(1e-18 * np.ones(2), 3)
    problem = QP.of({"G": 2, "lb": 2, "ub": 2, **({"P": 2} if quadratic else {})}, 2, {})
    params["ub"] = batched(1e-18 * np.array([[1.0, 1.0], [1.0, 1.0], [1.0, np.inf]]))
    found = DaqpEngine().solve(problem, params)
    expected = [Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED]
    assert found.solution.status.tolist() == expected
    rows = np.array([1, 2])
    some = {name: param.take(rows) for name, param in params.items()}
    assert (problem.refuted(some, found.ray.take(rows)) <= 1e-6).all()


def test_redundant_equalities_with_a_flat_hessian():
    """Rounding makes the rows a contradiction of 1e-16, which DAQP calls infeasible."""
    P = 1.2777929 * np.array([[5.0, -4, 3, -4], [-4, 4, -4, 2], [3, -4, 5, 0], [-4, 2, 0, 5]])
    row = np.array([-1.0, -1.0, -1.0, 2.0])
    s = 14.04021498839898
    _, _, found = answer(
        P=P, q=np.array([2.0, 2, 1, 2]) * 1.2777929 * s,
        A=[0.459 * row, -0.4511 * row], b=[-2 * 0.459 * s, 2 * 0.4511 * s],
        G=[[2.0, -2, 2, -1]], h=[-3 * s],
        lb=np.array([1, 1, -np.inf, -1]) * s, ub=np.array([3, 4, -2, np.inf]) * s,
    )  # fmt: skip
    assert found.solution.solved.all()
    np.testing.assert_allclose(found.solution.x[0] / s, [1, 1, -2, -1], atol=1e-8)


def test_cycling_is_looked_at_again():
    """DAQP's proximal iterations run to their limit on this unbounded program."""
    _, _, found = answer(
        P=np.diag([1.0, 1, 2, 0, 0]), q=[0.0, 1, 1, -2, 1],
        G=[[1.0, 2, -2, -1, -1], [-1, -1, 2, -1, -1], [2, 2, -2, -1, -2], [-1, 1, 1, 0, -2],
           [0, -2, 1, -1, -2]],
        h=[2.0, 1, 4, 4, 6], ub=[1, np.inf, np.inf, np.inf, 0],
    )  # fmt: skip
    assert found.solution.status.tolist() == [Status.UNBOUNDED]


@pytest.mark.parametrize(
    ("flag", "x", "left"), [(-1, 0.0, Status.NUMERICAL), (1, 3.0, Status.INACCURATE)]
)
def test_what_daqp_cannot_solve_goes_to_another_engine(monkeypatch, flag, x, left):
    """Where it fails as where its answer is wrong; what nobody settles is numerical trouble."""
    import daqp

    found = np.array([x]), 0.0, flag, {"lam": np.zeros(1)}
    monkeypatch.setattr(daqp, "solve", lambda *_, **__: found)
    given = {"P": [[0.0]], "q": [1.0], "lb": [2.0]}
    solution = answer(**given)[2].solution
    assert solution.status.tolist() == [Status.OPTIMAL]
    np.testing.assert_allclose(solution.x, 2.0, rtol=1e-12)
    monkeypatch.setattr(review, "find_spec", lambda _: None)
    assert answer(**given)[2].solution.status.tolist() == [left]


def test_a_reviewed_element_knows_no_neighbours():
    rng = np.random.default_rng(0)
    problem = QP.of({"P": 3, "A": 2}, 3, {})
    A, b = rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 2))
    A[1, 1], b[1] = A[1, 0], [1.0, 2.0]  # infeasible
    A[2, 1], b[2] = A[2, 0] + 1e-7 * rng.normal(size=3), [1.0, 1.0]
    values = {"q": rng.normal(size=(4, 3)), "A": A, "b": b}
    index = np.zeros(4, dtype=np.intp)
    params = {k: batched(v) for k, v in values.items()} | {"P": Param(np.eye(3)[None], index)}
    together = DaqpEngine().solve(problem, params).solution
    assert together.status.tolist() == [0, Status.INFEASIBLE, 0, 0]
    for row in range(4):
        alone = {name: param.take(np.array([row])) for name, param in params.items()}
        found = DaqpEngine().solve(problem, alone).solution
        assert found.x[0].tobytes() == together.x[row].tobytes()
        assert found.y[0].tobytes() == together.y[row].tobytes()


def test_tilted_costs_leave_a_solution_feasible(monkeypatch):
    """So that nobody asks whether there is a point; with other sides one does."""
    asked: list[int] = []
    monkeypatch.setattr(review, "elastic", lambda *of: asked.append(1) or second_look.elastic(*of))
    problem, params = program(q=[1.0, 1.0], G=[[1.0, -1.0]], h=[4.0], lb=[0.0, 0.0])
    kept = DaqpEngine().solve(problem, params, keep=True)
    tilt = untilted(kept.solution, cotangent([[-3.0, -3.0]], m=3), 0.0).at(np.ones(1))
    assert kept.workspace.resolve(tilt).solution.status.tolist() == [Status.UNBOUNDED]
    assert not asked
    tilt = replace(tilt, dy=np.array([[0.0, 5.0, 0.0]]))
    assert kept.workspace.resolve(tilt).solution.status.tolist() == [Status.UNBOUNDED]
    assert asked


def trades(n, gap, curved):
    """A portfolio x of which 1 - gap is held; what is missing is bought at a cost of |x - w|."""
    rng = np.random.default_rng(n)
    shares = np.append(0.0, rng.dirichlet(np.ones(n - 1)))
    one, none = np.eye(n), np.zeros((n, n))
    data = {
        "q": np.concatenate([-rng.uniform(size=n), np.zeros(n), np.ones(n)]),
        "A": np.block([[np.ones((1, n)), np.zeros((1, 2 * n))], [one, -one, none]]),
        "b": np.append(1.0, shares * (1 - gap)),
        "G": np.block([[none, one, -one], [none, -one, -one]]),
        "h": np.zeros(2 * n),
    }
    return data | {"P": np.diag(np.repeat([0.1, 0.0, 0.0], n))} if curved else data


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("gap", [7e-10, 5e-10, 3e-10])
def test_small_terms_beside_large_ones_are_accurate(gap, curved):
    for n in range(3, 9):
        _, _, found = answer(**trades(n, gap, curved))
        _, u, cost = np.split(found.solution.x[0], 3)
        assert found.solution.status.tolist() == [Status.OPTIMAL]
        assert found.accuracy[0] <= 1e-8
        np.testing.assert_allclose(cost, np.abs(u), atol=1e-15)
        np.testing.assert_allclose(u.sum(), gap, rtol=1e-5)


@pytest.mark.parametrize("cost", [1.0, 1e-227, 1e300])
@pytest.mark.parametrize("bound", [1.0, 1e-310, 1e300])
def test_costs_are_not_lost_in_units_of_bounds(cost, bound):
    for sign, status in ((1.0, Status.UNBOUNDED), (-1.0, Status.OPTIMAL)):
        found = answer(q=[sign * cost], ub=[bound])[2].solution
        assert found.status.tolist() == [status]
        np.testing.assert_allclose(found.x[0, 0], bound if sign < 0 else 0.0, rtol=1e-12)


def test_slacks_that_overflow_in_the_user_s_units_are_no_solution():
    """x <= -1e140 by the first row, whose units let the second one have a slack of infinity."""
    found = answer(q=[0], G=[[1e-140], [1e250]], h=[-1, 1])[2].solution
    assert not found.solved.any()


@pytest.mark.parametrize("alone", [False, True])
def test_wrong_answers_in_odd_units_are_found_and_mended(alone, monkeypatch):
    """DAQP leaves x8 far off its bound, little beside the other forces, whoever else is there."""
    if alone:
        monkeypatch.setattr(review, "find_spec", lambda _: None)
    found = answer(
        P=np.diag([59.5888, 1.420696e-6, 2.392368, 1.51462, 7.163243e-4, 998839.9, 6.565276e-6,
                   1.042417e-6]),
        q=[-7.325257, -6.825547e-4, -0.158915, -0.9868663, 0.01733769, -392.8501, 3.378456e-4,
           -4.383383e-4],
        A=[[8.016433, -1.100338e-3, -0.4706144, 0.5876469, -0.03426469, 491.3246, -8.918837e-4,
            9.387333e-4]],
        b=[-0.6116186],
        lb=[0.146587, 1241.9, -np.inf, -np.inf, 0, -1.378311e-3, 342.2485, -122.4709],
    )[2]  # fmt: skip
    np.testing.assert_allclose(found.solution.x[0, -1], -122.4709)
    assert found.accuracy[0] <= 1e-12


@pytest.mark.parametrize(("b", "times"), [([2.0, 4.0], 1), ([2.0, 4.0 + 1e-9], 2)])
def test_another_engine_is_asked_once_about_the_same_data(monkeypatch, b, times):
    """Beside right-hand sides that have to give way it has not seen the data."""
    asked = []

    def nothing(self, data, *ways):
        size = len(data["q"].index)
        if not ways:
            asked.append(size)
        none = Solution.blank(size, self.problem.n, self.problem.m)
        return none, np.full(size, np.inf)

    for name in ("_anew", "_elsewhere"):
        monkeypatch.setattr(Review, name, nothing)
    monkeypatch.setattr(
        review, "sharpened", lambda problem, params, point: (point, np.full(len(point), np.inf))
    )
    data = {"P": np.eye(2), "q": [1.0, 1.0], "A": [[1, 0], [2, 0]], "b": b}
    assert not reviewed(np.int8(Status.OPTIMAL), **data).solved.any()
    assert len(asked) == times
