import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpgd import Cones
from lpgd.families.conic.projections import Derivative, curved, derive, margins, project
from lpgd.testing.cone_programs import violation

KINDS = [
    Cones(zero=2),
    Cones(nonneg=3),
    Cones(soc=(3, 2, 3, 5)),  # those of one size apart
    Cones(psd=(1, 2, 3, 3)),
    Cones(exp=3),
    Cones(power=(0.3, 0.6, 0.9)),
    Cones(1, 2, (3,), (2,), 1, (0.3,)),
]
each_kind = pytest.mark.parametrize("cones", KINDS, ids=lambda cones: "-".join(sorted(cones.kinds)))


@each_kind
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([0.1, 1.0, 10.0]))
def test_it_splits_into_complementary_parts(cones, seed, scale):
    v = scale * np.random.default_rng(seed).normal(size=(4, cones.m))
    y = project(cones, v, v)
    for s, dual in zip(y - v, y, strict=True):
        # near a face of a curved cone the margin is a poor measure of distance
        assert violation(cones, s, dual) < (1e-2 if cones.exp or cones.power else 1e-9) * scale
        assert abs(s @ dual) < 1e-12 * scale**2


@each_kind
@given(seed=st.integers(0, 10**6))
def test_it_does_not_expand_and_is_idempotent(cones, seed):
    rng = np.random.default_rng(seed)
    v, w = rng.normal(size=(2, 4, cones.m))
    a, b = project(cones, v, v), project(cones, w, w)
    assert (np.linalg.norm(a - b, axis=1) <= np.linalg.norm(v - w, axis=1) + 1e-12).all()
    np.testing.assert_allclose(project(cones, a, a), a, atol=1e-7)


@each_kind
def test_the_guess_matters_to_speed_alone(cones):
    rng = np.random.default_rng(0)
    v, near = rng.normal(size=(2, 50, cones.m))
    found, other = project(cones, v, v), project(cones, v, near)
    np.testing.assert_allclose(found, other, atol=1e-13)


@each_kind
def test_the_derivative_is_that_of_finite_differences(cones):
    rng = np.random.default_rng(1)
    v, way = rng.normal(size=(2, 60, cones.m))
    step = 1e-6
    ends = [project(cones, v + h * way, v) for h in (step, -step)]
    at = derive(cones, v, v)
    found = at.turned_back(at.share[..., None] * at.turned(way[..., None]))[..., 0]
    gap = np.abs(found - (ends[0] - ends[1]) / (2 * step)).max(axis=1)
    assert np.sort(gap)[-3] < 1e-7  # but for two near a kink
    assert ((at.share >= 0) & (at.share <= 1)).all()


@each_kind
def test_only_curved_rows_have_eigenvalues_between_0_and_1(cones):
    v = np.random.default_rng(4).normal(size=(200, cones.m))
    share = derive(cones, v, v).share
    flat = np.setdiff1d(np.arange(cones.m), curved(cones))
    assert np.isin(share[:, flat], (0.0, 1.0)).all()
    bent = ((share > 0) & (share < 1)).any(axis=0)
    assert (np.isin(curved(cones), np.flatnonzero(bent)) | ("psd" in cones.kinds)).all()


@each_kind
def test_turns_are_orthogonal(cones):
    v = np.random.default_rng(2).normal(size=(10, cones.m))
    v[0] = 0  # the apex
    at = derive(cones, v, v)
    for _, Q in at.turns:
        np.testing.assert_allclose(Q @ Q.swapaxes(-1, -2), np.eye(Q.shape[-1])[None, None] + 0 * Q,
                                   atol=1e-12)  # fmt: skip


@each_kind
def test_rows_do_not_depend_on_each_other(cones):
    v = np.random.default_rng(3).normal(size=(7, cones.m))
    together, whole = project(cones, v, v), derive(cones, v, v)
    for row in range(7):
        one = v[row : row + 1]
        np.testing.assert_array_equal(project(cones, one, one), together[row : row + 1])
        part, alone = whole.take(np.array([row])), derive(cones, one, one)
        assert isinstance(part, Derivative)
        np.testing.assert_array_equal(part.share, alone.share)
        for (_, a), (_, b) in zip(part.turns, alone.turns, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_is_not_finite_concerns_its_own_row():
    cones = Cones(psd=(3,))
    v = np.random.default_rng(0).normal(size=(3, cones.m))
    good = project(cones, v, v)
    v[1, 0], v[2] = np.nan, np.inf
    np.testing.assert_array_equal(project(cones, v, v)[0], good[0])
    assert np.isnan(project(cones, v, v)[1:]).all()
    assert derive(cones, v, v).share.shape == v.shape


def test_margins_tell_how_deep_vectors_are_inside():
    cones = Cones(1, 2, (3,), (2,), 1)
    identity = [2.0, 0.0, 2.0]
    v = np.array([[9.0, 1.0, -2.0, 5.0, 3.0, -4.0, *identity, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(margins(cones, v), [[np.nan, 1.0, -2.0, 0.0, 2.0, np.nan]])


@given(seed=st.integers(0, 10**6))
def test_what_has_a_margin_is_inside_and_nothing_else_is(seed):
    cones = Cones(nonneg=1, soc=(3,), psd=(2,))
    v = np.random.default_rng(seed).normal(size=(20, cones.m))
    none = np.maximum.reduceat(np.abs(project(cones, -v, v)), [0, 1, 4], axis=1) == 0
    np.testing.assert_array_equal(margins(cones, v) > 0, none)
