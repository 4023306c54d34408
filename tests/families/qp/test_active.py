"""Which rows of a solved program count as active."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from lpgd.core.params import batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution
from lpgd.families.qp.active import ACTIVE, EPS, Active
from lpgd.testing import Shape, plant
from lpgd.torch import LPLayer, QPLayer, Sparse
from tests.support import program

SHAPE = Shape(6, 2, 7, ("lb", "ub"), quadratic=True, batch=4)


@pytest.mark.parametrize("seed", range(5))
def test_dense_rows_are_those_that_every_row_by_its_own_terms_gives(seed):
    rng = np.random.default_rng(seed)
    case = plant(SHAPE, rng)
    G, h, x, y = (
        case.params["G"].full(),
        case.params["h"].full(),
        case.solution.x,
        case.solution.y,
    )
    unit = np.exp2(rng.integers(-40, 40, size=(4, 7)))  # neighbours in units far apart
    params = {**case.params, "G": batched(G * unit[..., None]), "h": batched(h * unit)}
    rows = case.problem.blocks["G"]
    y = y.copy()
    y[:, rows] /= unit
    active = Active.of(case.problem, params, replace(case.solution, y=y))
    terms = np.maximum(np.abs(h), np.einsum("bij,bj->bi", np.abs(G), np.abs(x))) * unit
    tight = (h - np.einsum("bij,bj->bi", G, x)) * unit <= ACTIVE * terms
    loaded = y[:, rows] > 0
    np.testing.assert_array_equal(active.held[:, rows], tight | loaded)
    np.testing.assert_array_equal(active.weak[:, rows], tight & ~loaded)


def test_equations_are_held_whatever_is_left_of_them():
    """A point that breaks them by more than what counts as active has the same derivative."""
    case = plant(SHAPE, np.random.default_rng(0))
    moved = replace(case.solution, x=case.solution.x + 1e-3)
    active = Active.of(case.problem, case.params, moved)
    rows = case.problem.blocks["A"]
    assert active.held[:, rows].all()
    assert not active.weak[:, rows].any()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("length", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("part", "tight"), [(0.5, True), (2.0, False)])
def test_rows_are_tight_up_to_a_share_of_their_terms(part, tight, length, sparse):
    """Of every sign, where x is long or short."""
    x, G = length * np.array([1.0, -2.0, 3.0]), np.array([[1.0, 2, 0], [-3, 1, 5], [0, 0, -0.1]])
    problem, params = program(
        P=np.eye(3), q=-x, G=G, h=G @ x + part * ACTIVE * np.abs(G) @ np.abs(x),
        lb=x - part * (ACTIVE * np.abs(x) + EPS * 3 * length),
        ub=x + part * (ACTIVE * np.abs(x) + EPS * 3 * length),
    )  # fmt: skip
    if sparse:
        rows, cols = np.nonzero(G)
        problem = replace(problem, patterns={"G": Pattern(rows, cols, G.shape)})
        params = {**params, "G": shared(G[rows, cols], 1)}
    point = Solution(x[None], np.zeros((1, problem.m)), np.zeros(1, np.int8))
    active = Active.of(problem, params, point)
    assert (active.held == tight).all()
    assert (active.fixed == tight).all()


def test_rows_stay_as_they_are_within_their_reach_and_no_further():
    rng, size = np.random.default_rng(0), (5, 12)
    held = rng.uniform(size=size) < 0.5
    held[:, :2] = True  # equations, whose multipliers have any sign
    y, slacks = (np.where(which, rng.uniform(0.1, 1, size), 0) for which in (held, ~held))
    v, rate, fixed = rng.normal(size=size), rng.normal(size=size), np.zeros((5, 3), dtype=bool)
    active = Active(held, np.zeros_like(held), fixed, slacks)
    with np.errstate(all="ignore"):
        reach = active.reach(2, y, v, rate)
    for column, sign in ((0, -1), (1, 1)):
        for part, stays in ((1 - 1e-6, True), (1 + 1e-6, False)):
            t = sign * part * reach[:, column, None]
            left = np.where(held, y + t * v, slacks - t * rate)[:, 2:]
            assert ((left >= 0).all(axis=1) == stays).all()
    fixed[1, 2] = True
    with np.errstate(all="ignore"):
        there = active.reach(2, y, v, rate)
    reach[1] = 0  # whose two multipliers share one change
    np.testing.assert_array_equal(there, reach)


@pytest.mark.parametrize(("share", "tight"), [(0.5, True), (2.0, False)])
@pytest.mark.parametrize("power", [0, 20])
def test_bounds_are_near_by_rounding_in_units_that_are_alike(power, share, tight):
    """x_1 is next to its bound beside an x_2 of 1, or so in units 2^40 apart."""
    units = np.array([2.0**power, 2.0**-power])
    problem, params = program(
        P=np.diag(units**2), q=np.zeros(2), G=[units], h=[9.0], lb=np.zeros(2)
    )
    x = np.array([[share * EPS, 1.0]]) / units
    point = Solution(x, np.zeros((1, problem.m)), np.zeros(1, dtype=np.int8))
    found = Active.of(problem, params, point)
    assert found.weak[0, problem.blocks["lb"]].tolist() == [tight, False]


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("linear", [False, True])
def test_a_row_without_a_right_hand_side_is_no_kink(sparse, linear):
    G, h = [[1.0, 0.0], [1.0, 1.0]], tensor([np.inf, 5.0])
    matrix = Sparse(csr_array(G), tensor([1.0, 1.0, 1.0])) if sparse else tensor(G)
    q, one = tensor([1.0, -1.0]).requires_grad_(), torch.ones(2).double()
    layer = LPLayer() if linear else QPLayer()
    data = (q,) if linear else (torch.eye(2).double(), q)
    layer(*data, matrix, h, lb=-3 * one, ub=3 * one)[:1].sum().backward()
    assert layer.stats.unverified == 0
    if not linear:  # of an LP the vertex is degenerate for the costs, rightly
        assert (layer.stats.degenerate, layer.stats.re_solves) == (0, 0)
