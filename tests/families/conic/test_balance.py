"""Units of cone programs: what is fair in some units is fair in those that are found."""

import numpy as np
import pytest

from lpgd import Cones
from lpgd.core.params import batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Status
from lpgd.engines import registry
from lpgd.engines.cones.rescaled import Rescaled
from lpgd.engines.cones.solver import Found, Request
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.units import Units

FAIR = 2.0**7


def scaled(conic, params):
    units = Units.of(conic, params)
    return units.linear(units.matrices(conic, params))


def chain(links, power):
    """Rows x_i - x_{i+1} = b_i in units 2^power apart: a graph along which units are far away."""
    A = np.eye(links) - np.eye(links, k=1)
    rng = np.random.default_rng(links)
    rows, cols = (np.cumsum(rng.choice([-power, power], links)) for _ in range(2))
    rows, cols = np.ldexp(1.0, rows - rows[0]), np.ldexp(1.0, cols - cols[0])
    conic = Conic(links, Cones(zero=links), {"A": Pattern.of(A != 0)}, quadratic=False)
    pattern = conic.patterns["A"]
    values = (rows[:, None] * A * cols)[pattern.rows, pattern.cols]
    b = np.zeros(links)
    b[-1] = rows[-1]
    return conic, {"q": batched(cols[None]), "A": shared(values, 1), "b": batched(b[None])}


@pytest.mark.parametrize("links", [4, 12, 30])
def test_units_are_found_along_a_chain(links):
    conic, params = chain(links, 13)
    assert not np.isin(Units.of(conic, params).cols, 0).all()
    inside = scaled(conic, params)
    sizes = np.abs(inside["A"].full())
    assert sizes.max() < FAIR * sizes.min()
    assert 1 / FAIR < np.abs(inside["b"].full()).max() < FAIR


def test_units_that_hang_on_a_variable_of_cvxpys_own():
    """|Fx| <= r is t <= r, |Fx| <= t: r and F tell the unit of t and of x."""
    rng = np.random.default_rng(0)
    A = np.zeros((5, 4))
    A[0, 3], A[1, 3], A[2:, :3] = 1, -1, np.ldexp(rng.uniform(0.5, 2, (3, 3)), -208)
    conic = Conic(4, Cones(nonneg=1, soc=(4,)), {"A": Pattern.of(A != 0)}, quadratic=False)
    pattern, b = conic.patterns["A"], np.ldexp(np.eye(1, 5), -135)
    q = np.array([1.0, 1, 1, 0])
    params = {"q": shared(q, 1), "A": shared(A[pattern.rows, pattern.cols], 1), "b": batched(b)}
    sizes = np.abs(scaled(conic, params)["A"].full())
    assert sizes.max() < 8 * sizes.min()


def test_elements_have_the_units_of_their_own():
    """Rounds end for each element by itself."""
    conic, far = chain(12, 13)
    _, fair = chain(12, 0)
    both = {k: batched(np.concatenate([fair[k].full(), far[k].full()])) for k in far}
    found, alone = Units.of(conic, both), Units.of(conic, far)
    np.testing.assert_array_equal(found.cols[1:], alone.cols)
    np.testing.assert_array_equal(found.rows[1:], alone.rows)


def test_a_wild_entry_leaves_the_units_of_others_alone():
    rng = np.random.default_rng(0)
    A, b = rng.uniform(0.5, 2, (6, 4)), rng.uniform(0.5, 2, (1, 6))
    A[0, 0] = 5e284
    conic = Conic(4, Cones(nonneg=3, soc=(3,)), quadratic=False)
    params = {"q": shared(np.ones(4), 1), "A": shared(A, 1), "b": batched(b)}
    units = Units.of(conic, params)
    assert np.abs(units.rows).max() <= 4
    assert np.abs(units.cols).max() <= 4


@pytest.mark.parametrize("name", ["clarabel", "scs"])
def test_a_row_of_nothing_has_the_unit_of_its_right_hand_side(name):
    """0 = -2e-11 is a contradiction where all right-hand sides are of size 1e-10."""
    rng = np.random.default_rng(1)
    A = np.concatenate([np.zeros((1, 3)), rng.normal(size=(4, 3))])
    b = 1e-10 * np.concatenate([[-0.2], np.full(4, 3.0)])
    conic = Conic(3, Cones(zero=1, nonneg=4), quadratic=True)
    params = {
        "P": shared(np.eye(3), 1), "q": shared(1e-10 * rng.normal(size=3), 1),
        "A": shared(A, 1), "b": batched(b[None]),
    }  # fmt: skip
    found = registry.get(name).solve(conic, params)
    assert found.solution.status.tolist() == [Status.INFEASIBLE]


def utility(unit, budget, costs):
    """Largest 2^costs sum of log(x_i), 2^-unit (x_1 + 2 x_2) <= 2^budget: each has a half."""
    A = np.zeros((7, 4))
    A[0, :2] = np.ldexp([1.0, 2.0], -unit)
    A[1, 2] = A[4, 3] = A[3, 0] = A[6, 1] = -1
    conic = Conic(4, Cones(nonneg=1, exp=2), {"A": Pattern.of(A != 0)}, quadratic=False)
    pattern = conic.patterns["A"]
    b = np.array([np.ldexp(1.0, budget), 0, 1, 0, 0, 1, 0])
    return conic, {
        "q": shared(np.ldexp([0.0, 0, -1, -1], costs), 1), "b": batched(b[None]),
        "A": shared(A[pattern.rows, pattern.cols], 1),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["moreau", "clarabel"])
@pytest.mark.parametrize(
    ("unit", "budget", "costs"), [(770, 205, 372), (-700, 100, 0), (300, -560, 0), (0, 980, 0)]
)
def test_logarithms_at_both_ends_of_the_numbers(name, unit, budget, costs):
    conic, params = utility(unit, budget, costs)
    found = registry.get(name).solve(conic, params).solution
    assert found.solved.all()
    x = np.ldexp(found.x[0, :2], -unit - budget)
    np.testing.assert_allclose(x, [0.5, 0.25], rtol=1e-8)


MIXED = Conic(4, Cones(zero=1, nonneg=2, soc=(3,), exp=1), quadratic=True)


def ordinary(*entries):
    """A program of ordinary numbers for each entry that takes the place of zeros in b and A."""
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(MIXED.m, 4)), rng.uniform(0.5, 1.5, MIXED.m)
    A[rng.random(A.shape) < 0.3], b[[0, 2, 4]] = 0.0, 0.0
    with_ = [(np.where(A == 0, e, A), np.where(b == 0, e, b)) for e in entries]
    return {
        "P": shared(np.eye(4), len(entries)),
        "q": shared(rng.normal(size=4), len(entries)),
        "A": batched(np.array([one for one, _ in with_])),
        "b": batched(np.array([other for _, other in with_])),
    }


@pytest.mark.parametrize("entry", [-1e-10, 1e-12, -1e-17, 1e-40, 1e-200, -1e-310])
@pytest.mark.parametrize("names", [("A",), ("b",), ("A", "b")])
def test_rounding_among_ordinary_numbers_moves_no_unit(entry, names):
    clean, noisy = ordinary(0.0), ordinary(entry)
    units = Units.of(MIXED, clean | {name: noisy[name] for name in names})
    sizes = np.concatenate([units.rows, units.cols], axis=1)
    assert np.abs(sizes).max() <= 6


def test_ordinary_programs_keep_their_units_in_odd_company():
    """x_1 >= |x_2| as a product: x_1 - x_2 is smaller than either."""
    pattern = Pattern.of(np.ones((3, 1), dtype=bool))
    conic = Conic(1, Cones(soc=(3,)), {"A": pattern}, quadratic=True)
    params = {
        "P": shared(np.eye(1), 2), "q": batched(np.ones((2, 1))),
        "A": batched(np.array([[1.0, 1 + 1e-6, 0.5], [1e9, 1.0, 1e3]])),
        "b": batched(np.array([[1.0, 1 - 1e-6, 0.5], [1.0, 1e-9, 1e5]])),
    }  # fmt: skip
    alone = Units.of(conic, {name: batched(part.full()[:1]) for name, part in params.items()})
    assert alone.idle
    np.testing.assert_array_equal(Units.of(conic, params).moved, [False, True])


def test_a_variable_in_small_units_is_no_rounding():
    """Small in each row that it stands in, but the largest in its column; other zeros are noise."""
    params = ordinary(1e-17)
    small = np.array([1.0, 1.0, 2.0**-50, 1.0])
    params["A"] = batched(params["A"].values * small)
    params["P"] = shared(np.diag(small**2), 1)
    params["q"] = shared(params["q"].values[0] * small, 1)
    inside = np.abs(scaled(MIXED, params)["A"].full()[0])
    assert (inside.max(axis=0) > 0.01).all()
    assert (inside.max(axis=0) < 100).all()


@pytest.mark.parametrize(
    ("rows", "cols", "spread", "wild", "seed"),
    [(8, 4, 60, 2.0**80, 19), (5, 3, 100, 2.0**120, 59), (8, 4, 60, 2.0**80, 0)],
)
def test_what_is_small_in_the_users_units_does_not_become_large(rows, cols, spread, wild, seed):
    """Honest entries in units far apart, and some wild ones that send nobody astray."""
    rng = np.random.default_rng(seed)
    conic = Conic(cols, Cones(nonneg=rows - 4, soc=(4,)), quadratic=False)
    A, b = rng.uniform(0.5, 2, (rows, cols)), rng.uniform(0.5, 2, rows)
    for _ in range(int(rng.integers(1, 4))):
        A[rng.integers(rows), rng.integers(cols)] = wild
    left, right = rng.integers(-spread, spread, rows), rng.integers(-spread, spread, cols)
    left[-4:] = left[-1]
    params = {
        "q": shared(np.ones(cols), 1), "A": shared(np.ldexp(A, left[:, None] + right), 1),
        "b": batched(np.ldexp(b, left)[None]),
    }  # fmt: skip
    inside = np.abs(scaled(conic, params)["A"].full()[0])
    assert inside[wild > A].max() < 2.0**10


class Ones:
    """Solves whatever comes by ones."""

    def load(self, conic, params, request):
        self.sizes = conic.n, conic.m
        return self

    def solve(self, params, rows, start):
        x, y = (np.ones((len(rows), size)) for size in self.sizes)
        return Found.of(x, y, np.zeros(len(rows), np.int8))


def test_what_overflows_in_the_users_units_is_no_solution():
    """|2^-700 x| <= 2^400."""
    conic = Conic(2, Cones(soc=(3,)), quadratic=False)
    A = np.ldexp(np.array([[0.0, 0], [-1, 0], [0, -1]]), -700)
    params = {
        "q": shared(np.ldexp([1.0, 1.0], -700), 2), "A": shared(A, 2),
        "b": batched(np.ldexp(np.array([[1.0, 0, 0]] * 2), [[400], [-400]])),
    }  # fmt: skip
    loaded = Rescaled(Ones(), 1e-6).load(conic, params, Request(1e-9))
    with np.errstate(over="ignore"):  # as engines do
        found = loaded.solve(params, np.arange(2), None)
    assert found.status.tolist() == [Status.NUMERICAL, Status.INACCURATE]  # as ones are
    assert np.isfinite(found.x).all()


EDGE = np.array([
    [1.23997967e00, -4.98004468e-01, 1.11838525e00],
    [-1.24353137e-03, -9.63922825e-02, -4.78917692e-01],
    [-7.86089915e-02, 4.55446618e-01, 7.63217042e-01],
    [7.93586988e01, -3.18722860e01, 7.15766561e01],
])  # fmt: skip


@pytest.mark.parametrize("name", ["moreau", "clarabel"])
def test_zero_is_a_solution_like_any_other(name):
    """Least |x| with b on the edge of the cone: x = 0, and the multipliers vanish."""
    conic = Conic(3, Cones(zero=2, soc=(2,)), quadratic=True)
    P = np.array([[2.03, -0.066, 0.117], [-0.066, 1.21, -0.465], [0.117, -0.465, 1.11]])
    params = {
        "P": shared(P, 1), "q": shared(np.zeros(3), 1),
        "A": shared(EDGE, 1), "b": batched(np.array([[0, 0, 1.35, 1.35]])),
    }  # fmt: skip
    found = registry.get(name).solve(conic, params).solution
    assert found.solved.all()
    assert np.abs(found.x).max() < 1e-14


def test_without_costs_multipliers_are_rounding():
    """0 <= 2^100 - x in units of 2^100: x = 2^100 is on the edge, and held by nothing."""
    conic = Conic(1, Cones(nonneg=1), quadratic=False)
    params = {"q": shared(np.zeros(1), 1), "A": shared(np.ones((1, 1)), 1)}
    params["b"] = shared(np.array([2.0**100]), 1)
    loaded = Rescaled(Ones(), 1e-6).load(conic, params, Request(1e-9))
    found = loaded.solve(params, np.zeros(1, np.intp), None)
    assert found.status.tolist() == [Status.OPTIMAL]
    assert found.x[0].tolist() == [2.0**100]
    assert found.y[0].tolist() == [0.0]


@pytest.mark.parametrize("power, idle", [(0, True), (6, True), (16, False)])
def test_factors_that_are_fair_are_none(power, idle):
    """tr X = 2^power, X >= -1: a right-hand side a little apart is no reason for units."""
    conic = Conic(3, Cones(zero=1, psd=(2,)), quadratic=False)
    A = np.concatenate([[[1.0, 0.0, 1.0]], -np.eye(3)])
    b = np.array([[2.0**power, 1.0, 0.0, 1.0]])
    params = {"q": shared(np.ones(3), 1), "A": shared(A, 1), "b": batched(b)}
    assert Units.of(conic, params).idle == idle


def test_specks_have_no_say_beside_other_rows_of_their_cone():
    """In a unit in which they have a size all other rows of the cone would lose theirs."""
    rng = np.random.default_rng(0)
    A = np.where(rng.random((7, 4)) < 0.5, rng.uniform(0.5, 2, (7, 4)), 1e-310)
    A[[1, 5]] = 1e-310
    b = 1e-7 * rng.uniform(0.5, 2, (1, 7))
    b[0, 1] = 2e-317
    conic = Conic(4, Cones(nonneg=1, power=(0.3, 0.5)), quadratic=True)
    params = {
        "P": shared(np.eye(4), 1), "q": shared(1e-7 * np.ones(4), 1),
        "A": shared(A, 1), "b": batched(b),
    }  # fmt: skip
    units = Units.of(conic, params)
    assert np.abs(units.rows).max() < 50
    assert np.abs(units.cols).max() < 50
