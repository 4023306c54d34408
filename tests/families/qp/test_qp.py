from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.params import Param, batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution
from lpgd.core.tilt import Term
from lpgd.families.qp.qp import QP
from lpgd.testing import ProblemBattery, programs
from lpgd.testing.optimality import untilted
from tests.support import program, tilt_of


class TestDense(ProblemBattery):
    pass


class TestSparse(ProblemBattery):
    cases = programs(sparse=True)


def on_patterns(case):
    """The same with P on a pattern too, which holds all of it but its last diagonal entry."""
    n, P = case.problem.n, case.params["P"]
    places = np.flatnonzero(np.arange(n * n) != n * n - 1) if n > 1 else np.arange(n * n)
    pattern = Pattern(*np.divmod(places, n), (n, n))
    values = P.values[:, pattern.rows, pattern.cols] if n > 1 else P.values.reshape(-1, 1)
    patterns = {**case.problem.patterns, "P": pattern}
    return replace(
        case,
        problem=replace(case.problem, patterns=patterns),
        params={**case.params, "P": Param(values, P.index)},
    )


def convex(case):
    """P with a last row of zeros: the pattern misses none of it, and it stays convex."""
    P = case.params["P"].values.copy()
    if case.problem.n > 1:
        P[:, -1], P[:, :, -1] = 0, 0
    return replace(case, params={**case.params, "P": Param(P, case.params["P"].index)})


class TestSparseHessian(ProblemBattery):
    cases = programs(["QP"], sparse=True).map(convex).map(on_patterns)


def test_family_is_structure_not_values():
    assert program(P=[[0]], q=[1])[0].family == "QP"
    assert program(q=[1])[0].family == "LP"


def test_multipliers_lie_in_a_fixed_order():
    problem = QP.of({"ub": 2, "lb": 2, "G": 3, "A": 1, "P": 2}, 2, {})
    y = np.arange(8.0)
    assert problem.m == 8
    assert problem.block(y, "A").tolist() == [0]
    assert problem.block(y, "G").tolist() == [1, 2, 3]
    assert problem.block(y, "lb").tolist() == [4, 5]
    assert problem.block(y, "ub").tolist() == [6, 7]


def test_absent_groups_have_no_multipliers():
    problem = QP.of({}, 3, {})
    assert problem.m == 0
    assert problem.block(np.zeros((2, 0)), "G").shape == (2, 0)
    assert problem.costs == ("P", "q")
    assert not problem.needs


def test_the_lagrangian_by_hand():
    problem, params = program(
        P=[[2, 0], [0, 4]],
        q=[1, -1],
        A=[[1, 1]],
        b=[3],
        G=[[1, 2]],
        h=[4],
        lb=[0, 1],
        ub=[5, np.inf],
    )
    point = Solution(
        np.array([[1.0, 2.0]]), np.array([[2.0, 3, 0.5, 1, 2, 0]]), np.zeros(1, np.int8)
    )
    costs, rows, box = 0.5 * (2 + 16) - 1, 2 * 0 + 3 * 1, 0.5 * -1 + 1 * -1 + 2 * -4
    value = problem.lagrangian(params, point, untilted(1, 2, 6))
    assert value[0] == pytest.approx(costs + rows + box)


def test_each_pair_of_hessian_and_rho_is_made_once():
    problem = QP.of({"P": 1}, 1, {})
    params = {
        "P": Param(np.array([[[1.0]], [[2.0]]]), np.array([0, 1, 0])),
        "q": shared(np.ones(1), 3),
    }
    tilt = untilted(3, 1, 0).take(np.array([0, 1, 2, 0, 1]))
    tilt = replace(tilt, rho=np.array([0.5, 0.5, 0.5, 1.0, 0.5]))
    _, tilted = problem.tilt(params, tilt)
    assert len(tilted["P"].values) == 3
    assert tilted["P"].full()[:, 0, 0].tolist() == [1.5, 2.5, 1.5, 2.0, 2.5]


def test_a_tilt_without_a_proximal_term_keeps_the_family_and_the_matrices():
    problem, params = program(q=[1, 1], G=[[1, 1]], h=[1])
    same, tilted = problem.tilt(params, tilt_of(problem, 0.5, [1, 0], [0]))
    assert same is problem
    assert tilted["G"].values is params["G"].values
    assert tilted["q"].full().tolist() == [[1.5, 1]]
    assert tilted["h"].full().tolist() == [[1]]


def test_a_proximal_term_makes_a_qp_of_an_lp():
    problem, params = program(q=[1, 1], G=[[1, 1]], h=[1])
    augmented, tilted = problem.tilt(
        params, tilt_of(problem, 0.5, [1, 0], [0], rho=2, anchor=[1, 3])
    )
    assert augmented.family == "QP"
    np.testing.assert_array_equal(tilted["P"].full()[0], 2 * np.eye(2))
    assert tilted["q"].full().tolist() == [[1.5 - 2, 1 - 6]]


def test_the_gradient_of_a_large_sparse_matrix_stays_on_its_pattern():
    n = 100_000
    pattern = Pattern(np.arange(n), np.arange(n)[::-1], (n, n))  # dense, it would take 80 GB
    problem = QP.of({"G": n}, n, {"G": pattern})
    x, y = np.arange(1.0, n + 1)[None], np.full((1, n), 2.0)
    point, tilt = Solution(x, y, np.zeros(1, np.int8)), untilted(1, n, n)
    params = {"G": batched(np.ones((1, n))), "h": batched(np.zeros((1, n))), "q": batched(x)}
    gradient = problem.grad(params, [Term(np.ones(1), point, tilt)], {"G": np.zeros((1, 1), int)})
    np.testing.assert_array_equal(gradient["G"], 2 * x[:, ::-1])


def test_what_two_terms_have_in_common_leaves_no_rounding():
    """Heavy terms that cancel must not drown light ones, nor a square its difference."""
    problem, params = program(P=np.eye(2), q=[1, 1], A=[[1, 1]], b=[0])
    x, y = np.array([[0.1, 0.7], [0.3, 0.9]]), np.array([[0.2], [1 / 3]])
    away = np.array([[0.0, 0.0], [1.0, 2.0]])
    weight, tilt = np.array([1e20, 0.5]), untilted(2, 2, 1)
    ends = [Solution(x + sign * away, y, np.zeros(2, np.int8)) for sign in (1, -1)]
    terms = [Term(w * weight, end, tilt) for w, end in zip((1, -1), ends, strict=True)]
    wanted = dict.fromkeys(("P", "q", "A", "b"), np.arange(2)[None])
    found = problem.grad(params, terms, wanted)
    assert found["q"].tolist() == [[1, 2]]
    assert found["b"].tolist() == [[0]]
    np.testing.assert_allclose(found["A"][0], y[1:] * away[1:], rtol=1e-15)
    square = np.outer(x[1], away[1])
    np.testing.assert_allclose(found["P"][0], (square + square.T) / 2, rtol=1e-15)
    ends = [replace(end, x=sign * x) for sign, end in zip((1, -1), ends, strict=True)]
    terms = [Term(w / 3 * weight, end, tilt) for w, end in zip((1, -1), ends, strict=True)]
    assert not problem.grad(params, terms, {"P": np.arange(2)[:, None]})["P"].any()


@pytest.mark.parametrize("sparse", [False, True])
def test_an_empty_batch_has_zero_gradients_of_shared_data(sparse):
    pattern = {"G": Pattern(np.array([0]), np.array([1]), (1, 2))} if sparse else {}
    problem = QP.of({"P": 2, "G": 1}, 2, pattern)
    params = {
        "P": shared(np.eye(2), 0),
        "q": batched(np.zeros((0, 2))),
        "G": shared(np.ones(1) if sparse else np.ones((1, 2)), 0),
        "h": shared(np.ones(1), 0),
    }
    nothing = Solution.blank(0, 2, 1)
    tilt = untilted(0, 2, 1)
    assert problem.lagrangian(params, nothing, tilt).shape == (0,)
    wanted = {name: np.zeros((len(p.values), 0), dtype=int) for name, p in params.items()}
    gradients = problem.grad(params, [Term(np.zeros(0), nothing, tilt)], wanted)
    assert {name: g.size for name, g in gradients.items()} == {
        "P": 4, "q": 0, "G": 1 if sparse else 2, "h": 1,
    }  # fmt: skip
    assert not any(g.any() for g in gradients.values())


def test_tilts_of_no_rows():
    problem, params = program(P=np.eye(2), q=[1, 1])
    none = untilted(1, 2, 0).take(np.zeros(0, dtype=np.intp))
    _, tilted = problem.tilt(params, none)
    assert len(tilted["q"].index) == 0


def test_a_sparse_hessian_stays_sparse_under_a_tilt():
    n = 100_000
    places = np.arange(n)
    problem = QP.of({"P": n}, n, {"P": Pattern(places[1:], places[1:], (n, n))})
    params = {"P": shared(np.ones(n - 1), 1), "q": shared(np.zeros(n), 1)}
    tilt = replace(untilted(1, n, 0), t=np.ones(1), rho=np.full(1, 2.0), curve=np.ones((1, n)))
    tilt = replace(tilt, center=np.ones((1, n)))
    tilted, data = problem.tilt(params, tilt)
    x = np.ones((1, n))
    expected = np.full(n, 4.0)
    expected[0] = 3  # the entry that the pattern did not have
    np.testing.assert_array_equal(tilted.curve(data, x)[0], expected)
    assert tilted.needs == problem.needs == {"sparse"}


def test_a_loss_with_a_curvature_makes_a_qp_of_an_lp():
    problem, params = program(q=[1, 1], G=[[1, 1]], h=[1])
    tilt = tilt_of(problem, 0.5, [1, 0], [0])
    tilt = replace(tilt, curve=np.array([[4.0, -2]]), center=np.array([[1.0, 3]]))
    curved, tilted = problem.tilt(params, tilt)
    assert curved.family == "QP"
    assert tilted["P"].full()[0].tolist() == [[2, 0], [0, -1]]
    assert tilted["q"].full().tolist() == [[1.5 - 2, 1 + 3]]
