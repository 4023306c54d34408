import numpy as np
import pytest

from lpgd.core.pattern import Pattern
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.equations import Dense, Point
from lpgd.families.conic.newton import Model
from lpgd.families.conic.projections import derive, project
from lpgd.families.conic.tops import FEWEST, Layout

K = FEWEST + 1
CONES = {"exp": Cones(zero=2, exp=K), "soc": Cones(zero=2, soc=(3,) * K)}


def program(kind):
    """K cones (t_i, x_i, x_0) over t and x, two equations of x, and curvature in x."""
    cones, n = CONES[kind], 2 * K + 1
    A = np.zeros((cones.m, n))
    A[:2, K:] = 1.0
    for i in range(K):
        row = 2 + 3 * i
        A[row, i] = A[row + 1, K + i] = A[row + 2, 2 * K] = 1.0
    P = np.zeros((n, n))
    P[K:, K:] = 1.0
    patterns = {"A": Pattern.of(A), "P": Pattern.of(P)}
    return Conic(n, cones, patterns), A, P


def drawn(kind, size, seed=0):
    """Data on the patterns, and points at which most cones are smooth, and some all multiplier."""
    conic, A, P = program(kind)
    rng = np.random.default_rng(seed)
    one = {"exp": Cones(exp=1), "soc": Cones(soc=(3,))}[kind]
    pool = rng.normal(size=(2000, 3))
    share = derive(one, pool, pool).share
    smooth = pool[(share[:, 0] == 1) & (share[:, 1] == 0)]
    whole = pool[(share == 1).all(axis=1)]
    cones = np.where(rng.uniform(size=(size, K, 1)) < 0.1, rng.choice(whole, (size, K)),
                     rng.choice(smooth, (size, K)))  # fmt: skip
    root = rng.normal(size=(size, conic.n, conic.n)) * P
    data = Dense(
        root.swapaxes(1, 2) @ root,
        rng.normal(size=(size, conic.n)),
        A * rng.normal(size=(size, *A.shape)),
        rng.normal(size=(size, conic.m)),
    )
    v = np.concatenate([rng.normal(size=(size, 2)), cones.reshape(size, -1)], axis=1)
    y = project(conic.cones, v, v)
    return conic, data, Point(rng.normal(size=(size, conic.n)), v, y, np.full(size, np.inf))


@pytest.mark.parametrize("kind", CONES)
def test_variables_of_one_cone_alone_are_tops(kind):
    conic, _, _ = drawn(kind, 1)
    tops = conic.reduction.layout.tops
    assert tops.tolist() == [[i, 2 + 3 * i] for i in range(K)]
    met = {**conic.patterns, "P": Pattern.of(np.eye(conic.n))}  # the objective bends along them
    assert not len(Conic(conic.n, conic.cones, met).reduction.layout.tops)
    assert not len(Conic(conic.n, conic.cones).reduction.layout.tops)  # nothing is known


@pytest.mark.parametrize("kind", CONES)
def test_steps_without_tops_in_the_matrices_are_the_same(kind):
    conic, data, point = drawn(kind, 20)
    layout = conic.reduction.layout
    left, whole = Model.of(layout, data, point), Model.of(Layout(conic.cones), data, point)
    assert left.tops[1].out.any(axis=0).all()  # each is left out somewhere
    assert not left.tops[1].out.all(axis=0).any()
    rng = np.random.default_rng(1)
    gap = rng.normal(size=point.x.shape), rng.normal(size=point.v.shape)
    np.testing.assert_array_equal(left.sound, whole.sound)
    assert left.sound.any()
    for mine, theirs in zip(left.step(gap), whole.step(gap), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-7 * np.abs(theirs).max())


@pytest.mark.parametrize("kind", CONES)
def test_they_do_not_depend_on_company(kind):
    conic, data, point = drawn(kind, 7)
    layout, gap = conic.reduction.layout, (point.x, point.v)
    together = Model.of(layout, data, point).step(gap, least=True)
    rows = np.array([4])
    few = Model.of(layout, data.take(rows), point.take(rows))
    alone = few.step((gap[0][rows], gap[1][rows]), least=True)
    for mine, theirs in zip(alone, together, strict=True):
        np.testing.assert_array_equal(mine, theirs[rows])


def test_singular_matrices_are_those_of_the_whole_program():
    conic, data, point = drawn("soc", 3)
    data.P[1], data.A[1, 1] = 0.0, data.A[1, 0]  # equations that depend on each other
    layout, gap = conic.reduction.layout, (point.x, point.v)
    left, whole = Model.of(layout, data, point), Model.of(Layout(conic.cones), data, point)
    assert left.sound.tolist() == whole.sound.tolist()
    assert not left.sound[1]
    assert not left.tops[1].out[1].any()
    for mine, theirs in zip(left.step(gap, least=True), whole.step(gap, least=True), strict=True):
        np.testing.assert_array_equal(mine[1], theirs[1])
    rows = np.array([1, 2])
    for mine, theirs in zip(
        left.take(rows).step((gap[0][rows], gap[1][rows]), least=True),
        left.step(gap, least=True),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs[rows])
