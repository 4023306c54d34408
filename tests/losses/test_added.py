"""Losses that problems take in: values, derivatives, tilts."""

import numpy as np
import pytest

from lpgd.core.errors import StructureError
from lpgd.core.solution import Solution
from lpgd.losses.added import LOSSES
from lpgd.losses.epigraph import extended, original
from tests.support import program, solve, tilt_of


def drawn(kind, rows=6, n=4):
    rng = np.random.default_rng(3)
    if kind == "hamming":
        x, target = rng.integers(0, 2, (2, rows, n)).astype(float)
    else:
        x, target = rng.normal(size=(2, rows, n))
    return LOSSES[kind], x, target, rng.uniform(0.5, 2.0, (rows, n))


@pytest.mark.parametrize("kind", LOSSES)
def test_slopes_are_differences_of_the_value(kind):
    make, x, target, weight = drawn(kind)
    in_target, in_weight = make(target, weight).slopes(x)
    step = 1e-6
    for entry in range(x.shape[1]):
        move = step * np.eye(x.shape[1])[entry]
        up, down = make(target + move, weight), make(target - move, weight)
        slope = (up.value(x) - down.value(x)) / (2 * step)
        np.testing.assert_allclose(in_target[:, entry], slope, atol=1e-7)
        up, down = make(target, weight + move), make(target, weight - move)
        slope = (up.value(x) - down.value(x)) / (2 * step)
        np.testing.assert_allclose(in_weight[:, entry], slope, atol=1e-7)


@pytest.mark.parametrize("kind", ["quadratic", "linear", "hamming"])
def test_a_tilt_adds_the_loss_up_to_a_constant(kind):
    make, x, target, weight = drawn(kind, rows=1)
    problem, params = program(P=np.eye(4), q=np.ones(4))
    loss = make(target, weight)
    tilt = loss.tilt(np.zeros(1, dtype=np.intp), np.full(1, 0.7), 0.3, x, 0)
    flat = tilt_of(problem, 0.0, np.zeros(4), np.zeros((1, 0)))

    def gap(at):
        point = Solution(at, np.zeros((1, 0)), np.zeros(1, dtype=np.int8))
        added = problem.lagrangian(params, point, tilt) - problem.lagrangian(params, point, flat)
        return added - 0.7 * loss.value(at) - 0.15 * ((at - x) ** 2).sum()

    elsewhere = 1 - x if kind == "hamming" else x + 1
    np.testing.assert_allclose(gap(x), gap(elsewhere), atol=1e-12)


def test_an_epigraph_has_the_points_of_the_program_with_the_loss():
    """minimise 1/2 x^2 - 3 x + 2 |x - 1| over x <= 5 stays at the kink, x = 1."""
    problem, params = program(P=[[1.0]], q=[-3.0], G=[[1.0]], h=[5.0], lb=[-9.0])
    loss = LOSSES["absolute"](np.ones((1, 1)), np.full((1, 1), 2.0))
    wider, data = extended(problem, params, loss, np.ones(1))
    found = original(problem, solve(wider, data))
    np.testing.assert_allclose(found.x, [[1.0]], atol=1e-9)
    np.testing.assert_allclose(found.y, np.zeros((1, problem.m)), atol=1e-9)


def test_weights_and_binaries_are_checked():
    make, x, target, weight = drawn("quadratic")
    with pytest.raises(StructureError, match="weight must be >= 0"):
        make(target, -weight).check(x)
    make, x, target, weight = drawn("hamming")
    make(target, -weight).check(x)  # affine, whatever its sign
    with pytest.raises(StructureError, match=r"solution has 0\.5"):
        make(target, weight).check(0.5 + 0 * x)
