"""tau="auto" for oracles: multiples of the costs, ends that fail, and the part along the costs."""

import numpy as np
import pytest
import torch

import lpgd
from lpgd.core.reply import Reply
from lpgd.core.solution import Status
from lpgd.families.oracle.oracle import Oracle
from lpgd.oracles import GridPath
from lpgd.torch import OracleLayer
from tests.oracles import PATHS, SQUARE, Listed

T, FIRST, SECOND = torch.float64, Oracle.tilts[0], Oracle.tilts[1]
SIDES = ("lower", "upper", "average")


def pulled(layer, c, loss):
    c = torch.tensor(c, dtype=T, requires_grad=True)
    (found,) = torch.autograd.grad(layer(c), c, torch.tensor(loss, dtype=T))
    return found.numpy()


def across(gradient, c):
    """The gradient without its part along the costs."""
    return gradient - gradient @ c / (c @ c) * c


def envelope(c, loss, sign):
    """Lower (1) or upper (-1) envelope, whose tau is FIRST times as large as the costs."""
    tau = FIRST * np.linalg.norm(c) / np.linalg.norm(loss)
    return sign * (sign * PATHS @ loss + (PATHS @ c - (PATHS @ c).min()) / tau).min()


@pytest.mark.parametrize("side", SIDES)
def test_gradients_are_those_of_the_envelope_whose_tau_follows_the_costs(side, monkeypatch):
    monkeypatch.setattr(Oracle, "tilts", (FIRST,))
    rng, step = np.random.default_rng(3), 1e-7
    c, loss = rng.normal(size=(2, 60, 5))
    found = pulled(OracleLayer(Listed(PATHS), lpgd.LPGD(side=side)), c, loss)
    signs = {"lower": [1], "upper": [-1], "average": [1, -1]}[side]
    for row in range(len(c)):
        for entry, way in enumerate(np.eye(5)):
            ends = [
                np.mean([envelope(c[row] + move * way, loss[row], sign) for sign in signs])
                for move in (step, -step)
            ]
            assert found[row, entry] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-5)
    assert found.any()


@pytest.mark.parametrize("side", SIDES)
def test_training_cannot_change_the_size_of_the_costs_but_by_turning_them(side):
    c, loss = np.random.default_rng(1).normal(size=(2, 50, 5))
    layer = OracleLayer(Listed(PATHS), lpgd.LPGD(side=side))
    found = pulled(layer, c, loss)
    np.testing.assert_allclose((found * c).sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(pulled(layer, 2 * c, loss), found / 2, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(pulled(layer, c, 2 * loss), 2 * found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("side", SIDES)
def test_the_end_that_improves_goes_on_alone_until_it_moves(side, scale):
    """The second item costs 1, the third 5 times as much: more than the first tilt."""
    layer = OracleLayer(Listed(np.eye(3)), lpgd.LPGD(side=side))
    c, sign = np.array([0.0, 1.0, 5.0]) * scale, -1.0 if side == "upper" else 1.0
    size = np.linalg.norm(c)
    near = sign * pulled(layer, c[None], [[0.0, -sign, 0.0]])[0]
    tau = FIRST * size
    assert layer.stats.tau == pytest.approx((tau, tau))
    # the other end stays: the items' order would have to turn round for it to move
    apart = 2 * tau if side == "average" else tau
    np.testing.assert_allclose(near, across(np.array([-1.0, 1.0, 0.0]) / apart, c), rtol=1e-12)
    far = sign * pulled(layer, c[None], [[0.0, 0.0, -sign]])[0]
    tau = SECOND * size
    assert layer.stats.tau == pytest.approx((tau, tau))
    np.testing.assert_allclose(far, across(np.array([-1.0, 0.0, 1.0]) / tau, c), rtol=1e-12)
    assert layer.stats.one_sided == 0


def test_what_is_best_already_keeps_the_first_tilts():
    """No tilt improves the first item, and what is worse is not looked for beyond the first one."""
    asked, c = Listed(np.eye(3)), np.array([0.0, 1.0, 5.0])
    layer = OracleLayer(asked)
    found = pulled(layer, c[None], [[-1.0, 0.0, 0.0]])[0]
    tau = FIRST * np.linalg.norm(c)
    np.testing.assert_allclose(found, across(np.array([1.0, -1.0, 0.0]) / (2 * tau), c), rtol=1e-12)
    assert asked.sizes == [1, 2, *[1] * (len(Oracle.tilts) - 1)]


@pytest.mark.parametrize("fails, works", [("upper", "lower"), ("lower", "upper")])
def test_where_one_side_fails_the_other_one_serves_and_is_told(fails, works):
    """Costs that are negative are refused, as those of one end are."""
    c, loss = np.array([[0.1, 1.0, 0.2]]), np.array([[0.9, 0.0, 0.0]])
    loss = loss if fails == "upper" else -loss

    def best(costs):
        x = np.eye(3)[costs.argmin(axis=1)]
        x[(costs < 0).any(axis=1)] = np.nan
        return x

    layer = OracleLayer(best, lpgd.LPGD(retries=0))
    with pytest.warns(lpgd.SolverWarning, match="1 of 1 elements could be tilted to one side"):
        found = pulled(layer, c, loss)
    other = OracleLayer(best, lpgd.LPGD(side=works))
    np.testing.assert_array_equal(found, pulled(other, c, loss))
    assert found.any()
    pulled(layer, c, loss)  # and is not told again
    assert layer.stats.one_sided == 2
    assert layer.stats.failures == 0
    again = OracleLayer(best)  # a quarter of a quarter is not refused
    assert pulled(again, c, loss).any()
    assert again.stats.one_sided == 0
    assert again.stats.retries == 2


def test_beyond_a_tilt_that_was_not_solved_as_a_whole_nothing_is_tried():
    """The first item is the best at every tilt; costs beyond the second one are refused."""
    asked, c = Listed(np.eye(3)), np.array([0.0, 1.0, 5.0])

    def best(costs):
        x = asked(costs)
        x[np.abs(costs).max(axis=1) > SECOND * np.linalg.norm(c) / 2] = np.nan
        return x

    layer = OracleLayer(best, lpgd.LPGD(side="lower", retries=1))
    with pytest.warns(lpgd.StuckWarning):  # for nothing says that more of it would not move
        found = pulled(layer, c[None], [[-1.0, 0.0, 0.0]])
    assert not found.any()
    assert (layer.stats.re_solves, layer.stats.retries) == (3, 1)


def test_a_time_limit_is_not_spent_twice():
    def late(costs):
        nonlocal calls
        calls += 1
        return SQUARE[:1] if calls == 1 else Reply.failed(len(costs), Status.TIME_LIMIT, "late")

    calls = 0
    layer = OracleLayer(late, lpgd.LPGD(side="lower", retries=3))
    with pytest.warns(lpgd.StuckWarning):
        pulled(layer, [[1.0, 2.0]], [[-1.0, 0.0]])
    assert calls == 2


@pytest.mark.parametrize("side", SIDES)
def test_where_all_tilts_fail_the_gradient_is_zero_and_that_is_told(side):
    c = np.ones((2, 4))
    given = c.copy()
    layer = OracleLayer(
        lambda costs: np.where(costs == given[:1], 1.0, np.nan), lpgd.LPGD(side=side)
    )
    with pytest.warns(lpgd.StuckWarning):
        found = pulled(layer, c, np.eye(4)[:2])
    assert not found.any()
    assert layer.stats.unverified == 1


def test_grids_that_refuse_negative_costs_learn():
    torch.manual_seed(57)
    layer = OracleLayer(GridPath((4, 4)))
    costs = torch.rand(8, 4, 4, requires_grad=True)
    with pytest.warns(lpgd.SolverWarning):
        (layer(costs) * torch.rand(8, 4, 4)).sum().backward()
    assert (costs.grad.flatten(1).abs().sum(1) > 0).sum() >= 6


def test_an_element_does_not_depend_on_its_batch():
    c, loss = np.random.default_rng(5).normal(size=(2, 20, 5))
    layer = OracleLayer(Listed(PATHS))
    singles = [pulled(layer, c[row : row + 1], loss[row : row + 1])[0] for row in range(len(c))]
    np.testing.assert_array_equal(pulled(layer, c, loss), singles)
