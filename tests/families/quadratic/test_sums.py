"""Sums over groups against plain loops."""

import numpy as np
import pytest

from lpgd.core.params import Param
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution
from lpgd.core.tilt import Cotangent, Term
from lpgd.families.quadratic.sums import WHOLE, Weighted, augment, dot, outer, shifted, total
from lpgd.rules.ends import untilted

GROUPS = {
    "each its own": np.arange(6)[:, None],
    "permuted": np.array([3, 1, 0, 5, 2, 4])[:, None],
    "pairs": np.array([[0, 4], [5, 2], [1, 3]]),
    "all": np.arange(6)[None],
    "none": np.zeros((2, 0), dtype=int),
}


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_sums_equal_loops(groups):
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((6, 2, 3)), rng.standard_normal((6, 2, 4))
    sums = [sum((left[i].sum(axis=0) for i in rows), np.zeros(3)) for rows in groups]
    np.testing.assert_allclose(total(left, groups), sums)
    products = [sum((left[i].T @ right[i] for i in rows), np.zeros((3, 4))) for rows in groups]
    np.testing.assert_allclose(outer(left, right, groups), products)
    pattern = Pattern(np.array([0, 2, 2]), np.array([1, 0, 3]), (3, 4))
    chosen = np.array(products)[:, pattern.rows, pattern.cols]
    np.testing.assert_allclose(outer(left, right, groups, pattern), chosen)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_products_do_not_depend_on_terms_that_only_others_have(m):
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((200, 2, m)), rng.standard_normal((200, 2, 4))
    right[:100, 1], left[:100, 1] = -right[:100, 0] * 3, left[:100, 0] / 3  # which cancel
    more = (rng.standard_normal((200, 2, 4)), np.zeros((200, 2, m)))
    every = np.arange(200)[:, None]
    pattern = Pattern.of(np.ones((m, 4)))
    for places in (None, pattern):
        alone = outer(left, right, every, places)
        company = outer(
            np.concatenate([more[1], left], 1), np.concatenate([more[0], right], 1), every, places
        )
        np.testing.assert_array_equal(company, alone)


def test_dot_is_rowwise():
    np.testing.assert_array_equal(
        dot(np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 1], [0, 2]])), [3, 8]
    )


def test_augment_makes_each_distinct_matrix_once():
    hessian = Param(np.array([np.eye(2), 3 * np.eye(2)]), np.array([0, 1, 0, 1]))
    found = augment(hessian, np.array([[0.5], [0.5], [0.5], [2.0]]), 2)
    assert len(found.values) == 3
    np.testing.assert_array_equal(found.full()[:, 0, 0], [1.5, 3.5, 1.5, 5.0])
    assert augment(None, np.full((2, 1), 2.0), 2).values.tolist() == [[[2, 0], [0, 2]]]
    found = augment(hessian, np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0, 3.0]]), 2)
    np.testing.assert_array_equal(found.full().diagonal(0, 1, 2), [[2, 3], [4, 5], [2, 3], [4, 6]])


def test_a_pattern_gets_its_whole_diagonal():
    pattern = Pattern(np.array([0, 2, 1]), np.array([2, 2, 0]), (3, 3))
    hessian = Param(np.array([[1.0, 2.0, 3.0]]), np.zeros(2, dtype=int))
    wider, places, hessian = shifted(pattern, hessian)
    found = augment(hessian, np.array([[1.0, 2.0, 4.0]] * 2), places)
    expected = [[1, 0, 1], [3, 2, 0], [0, 0, 6]]
    np.testing.assert_array_equal(wider.dense(found.values)[0], expected)


def weighted(weights, points):
    """Terms at points x = y of two rows, each with its own weights."""
    terms: list[Term] = []
    for weight, x in zip(weights, points, strict=True):
        point = Solution(x, x, np.zeros(2, dtype=np.int8))
        tilt = untilted(point, Cotangent(np.arange(2), x, 0 * x), 0.0)
        terms.append(Term(np.array(weight), point, tilt))
    return Weighted(terms)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_differences_and_other_terms_sum_alike(count):
    rng, rows = np.random.default_rng(count), np.arange(2)[:, None]
    weights = [[2.0, 0.3], [-2.0, 1.7], [0.5, 1.0], [-0.5, -1.0]][:count]
    points = list(rng.normal(size=(count, 2, 3)))
    sums = weighted(weights, points)
    total = sum(np.array(w)[:, None] * x for w, x in zip(weights, points, strict=True))
    product = sum(
        np.array(w)[:, None, None] * x[:, :, None] * x[:, None]
        for w, x in zip(weights, points, strict=True)
    )
    np.testing.assert_allclose(sums.x.total(WHOLE, rows), total, rtol=1e-13)
    np.testing.assert_allclose(sums.y.outer(WHOLE, sums.x, rows, None), product, rtol=1e-12)


def test_what_terms_have_in_common_leaves_no_rounding():
    """Of a difference; a term without weight leaves none either."""
    rows, step = np.arange(2)[:, None], np.ldexp(1.0, -40)
    points = [np.array([[1.0 + step], [0.1]]), np.array([[1.0 - step], [1e20]])]
    sums = weighted([[1 / step, 1.0], [-1 / step, 0.0]], points)
    assert sums.x.total(WHOLE, rows).tolist() == [[2.0], [0.1]]
    np.testing.assert_array_equal(sums.y.outer(WHOLE, sums.x, rows, None)[0], [[4.0]])
