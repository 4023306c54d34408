"""What families tell tau="auto" about their data: the same as their Lagrangians do."""

from types import SimpleNamespace

import numpy as np
import pytest

from lpgd import Cones
from lpgd.core.abilities import demand
from lpgd.core.errors import EngineError
from lpgd.core.params import batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.problem import Ability, a, users
from lpgd.core.solution import Solution
from lpgd.core.tilt import Tilt
from lpgd.families.conic.conic import Conic
from lpgd.testing import cone_programs
from lpgd.testing.planting import Shape, plant
from tests.support import program


def cases():
    rng = np.random.default_rng(0)
    yield "QP", plant(Shape(5, 2, 3, ("lb", "ub"), batch=2), rng)
    yield "LP", plant(Shape(5, 2, 3, ("lb",), quadratic=False, batch=2), rng)
    yield "sparse LP", plant(Shape(5, 2, 3, ("ub",), quadratic=False, sparse=True), rng)
    for name in ("soc", "mixed"):
        yield name, cone_programs.plant(cone_programs.KINDS[name], 0)


CASES = dict(cases())


def value(case, x, y):
    size = len(x)
    tilt = Tilt(np.arange(size), np.zeros(size), 0 * x, 0 * y, np.zeros(size), x)
    point = Solution(x, y, np.zeros(size, np.int8))
    return case.problem.lagrangian(case.params, point, tilt)


@pytest.mark.parametrize("name", CASES)
def test_slope_is_the_gradient_of_the_objective(name):
    case, rng = CASES[name], np.random.default_rng(1)
    x, way = rng.normal(size=(2, *case.solution.x.shape))
    none = np.zeros_like(case.solution.y)
    change = 0.5 * (value(case, x + way, none) - value(case, x - way, none))
    found = (case.problem.slope(case.params, x) * way).sum(axis=1)
    np.testing.assert_allclose(found, change, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_slacks_are_minus_the_derivative_in_the_multipliers(name):
    case, rng = CASES[name], np.random.default_rng(2)
    x = rng.normal(size=case.solution.x.shape)
    slacks = case.problem.slacks(case.params, x)
    y = np.where(np.isfinite(slacks), rng.normal(size=slacks.shape), 0.0)
    change = value(case, x, y) - value(case, x, 0 * y)
    np.testing.assert_allclose(-(np.where(y == 0, 0, slacks) * y).sum(axis=1), change, atol=1e-10)


def test_strictly_convex_elements():
    problem, _ = program(P=np.eye(2), q=[0.0, 0.0])
    hessians = [
        np.eye(2),
        np.ones((2, 2)),
        np.zeros((2, 2)),
        1e-20 * np.eye(2),
        np.diag([1, 1e-20]),
    ]
    params = {"P": batched(np.array(hessians)), "q": shared(np.zeros(2), 5)}
    expected = [True, False, False, True, False]
    assert problem.strictly_convex(params).tolist() == expected
    cones = Cones(nonneg=1)
    assert Conic(2, cones).strictly_convex(params).tolist() == expected
    assert not Conic(2, cones, quadratic=False).strictly_convex(params).any()
    none = params | {"P": shared(np.zeros(0), 5)}
    assert not Conic(2, cones, {"P": Pattern.empty(2)}).strictly_convex(none).any()
    full = Pattern(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), (2, 2))
    stored = params | {"P": batched(np.array(hessians).reshape(5, 4))}
    assert Conic(2, cones, {"P": full}).strictly_convex(stored).tolist() == expected
    lp, data = program(q=[0.0, 0.0])
    assert lp.strictly_convex(data).tolist() == [False]


def test_all_entries_are_the_user_s_where_a_family_says_nothing():
    parts = [part.tolist() for part in users(SimpleNamespace(n=2, m=1, own=None))]
    assert parts == [[True, True], [True]]
    own = np.array([True, False]), np.array([False])
    assert users(SimpleNamespace(n=2, m=1, own=own)) is own


@pytest.mark.parametrize("missing", (Ability.SIZES, Ability.ADJOINT, Ability.CHECK))
def test_what_a_family_cannot_do_is_refused_by_name(missing):
    every = frozenset(Ability)
    family = SimpleNamespace(family="pool", abilities=every - {missing})
    demand(family, every - {missing}, "mine()")
    with pytest.raises(EngineError, match=r"^mine\(\) needs .* of a pool, which this family"):
        demand(family, every, "mine()")


def test_polyhedral_families():
    assert CASES["QP"].problem.polyhedral
    assert Conic(2, Cones(zero=1, nonneg=2)).polyhedral
    assert not Conic(2, Cones(zero=1, soc=(3,))).polyhedral


@pytest.mark.parametrize("kind", ["a QP", "an LP", "an NLP", "an oracle", "a conic"])
def test_articles_are_those_of_speech(kind):
    assert a(kind.split()[1]) == kind
