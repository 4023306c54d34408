"""Properties of the mathematical reference (sections 3, 4 and 8)."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd import LPGD
from lpgd.rules.lpgd import ENDS
from lpgd.testing import Shape
from tests.support import (
    assert_close,
    optimal_value,
    program,
    pull,
    random_case,
    slopes,
    solve,
    tilt_of,
)

SIDES = ("lower", "upper", "average")
BOXED = Shape(n=4, equalities=1, inequalities=2, bounds=("lb", "ub"))
LP = replace(BOXED, quadratic=False)


def envelope(case, dx, dy, rule, anchor, params=None):
    """Value of the envelope that the rule differentiates, for a batch of data."""
    params = case.params if params is None else params
    steps = [end * rule.tau for end in ENDS[rule.side]]
    ends = []
    for t in steps:  # an end that is not tilted has no proximal term either
        tilt = tilt_of(case.problem, t, dx, dy, rho=rule.rho if t else 0.0, anchor=anchor)
        ends.append(optimal_value(case.problem, params, tilt))
    return (ends[0] - ends[1]) / (steps[0] - steps[1])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("duals", [False, True])
def test_small_steps_equal_differences_of_the_solve(seed, duals):
    """In all eight data, for losses on the point and on all multipliers."""
    case, dx, dy = random_case(seed)
    dy = dy * duals

    def loss(params):
        solution = solve(case.problem, params)
        return solution.x @ dx + solution.y @ dy

    found = pull(LPGD(1e-3), case.problem, case.params, dx, dy)
    assert set(found) == {"P", "q", "G", "h", "A", "b", "lb", "ub"}
    assert_close(found, slopes(loss, case.params))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rho", [0.0, 0.8])
@pytest.mark.parametrize("duals", [0.0, 0.3])
def test_large_steps_equal_differences_of_the_envelope(seed, side, rho, duals):
    case, dx, dy = random_case(seed)
    dy, rule = dy * duals, LPGD(0.4, rho, side)
    anchor = solve(case.problem, case.params).x[0]
    found = pull(rule, case.problem, case.params, dx, dy)
    assert_close(found, slopes(lambda p: envelope(case, dx, dy, rule, anchor, p), case.params))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("side", SIDES)
def test_of_an_lp_equals_differences_of_the_envelope(seed, side):
    case, dx, _ = random_case(seed, LP)
    rule, dy = LPGD(0.1, 0.8, side), np.zeros(case.problem.m)
    anchor = solve(case.problem, case.params).x[0]
    found = pull(rule, case.problem, case.params, dx)
    expected = slopes(lambda p: envelope(case, dx, dy, rule, anchor, p), case.params)
    assert set(found) == {"q", "G", "h", "A", "b", "lb", "ub"}
    assert_close(found, expected)


@pytest.mark.parametrize("seed", range(10))
def test_envelopes_are_ordered(seed):
    """lower <= augmented lower <= loss <= augmented upper <= upper, and tau widens them."""
    case, dx, dy = random_case(seed)
    dy, x = 0 * dy, solve(case.problem, case.params).x[0]
    found = []
    for tau in (0.2, 1.0):
        sides = {
            (side, rho): envelope(case, dx, dy, LPGD(tau, rho, side), x)[0]
            for side in ("lower", "upper")
            for rho in (0.0, 1.0)
        }
        order = [
            sides["lower", 0.0], sides["lower", 1.0], dx @ x,
            sides["upper", 1.0], sides["upper", 0.0],
        ]  # fmt: skip
        assert (np.diff(order) >= -1e-9).all()
        found.append(order)
    near, far = found
    assert far[0] <= near[0] + 1e-9
    assert far[-1] >= near[-1] - 1e-9


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rho", [0.0, 1.0])
def test_the_cost_moves_against_the_loss(seed, side, rho):
    """<dx, dq> <= 0, and ||dq|| <= ||dx|| / (mu + rho) for a mu-strongly convex objective."""
    case, dx, _ = random_case(seed)
    dq = pull(LPGD(2.0, rho, side), case.problem, case.params, dx)["q"]
    curvature = np.linalg.eigvalsh(case.params["P"].values[0])[0]
    assert dx @ dq <= 1e-12
    assert np.linalg.norm(dq) <= np.linalg.norm(dx) / (curvature + rho) + 1e-9


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_euler_identity(seed, side, rho):
    case, dx, dy = random_case(seed)
    dy, rule = 0.3 * dy, LPGD(0.4, rho, side)
    problem, params = case.problem, case.params
    sign = 1.0 if side == "lower" else -1.0
    start = solve(problem, params)
    tilt = tilt_of(problem, sign * 0.4, dx, dy, rho=rho, anchor=start.x[0])
    end = solve(*problem.tilt(params, tilt))
    gradients = pull(rule, problem, params, dx, dy)
    pairs = [
        (gradients[name] * np.where(np.isfinite(p.values[0]), p.values[0], 0.0)).sum()
        for name, p in params.items()
    ]
    box = [
        ((problem.block(z.y, "ub") - problem.block(z.y, "lb")) * z.x).sum() for z in (end, start)
    ]
    left = sum(pairs) + dx @ end.x[0] + dy @ end.y[0] + (box[0] - box[1]) * sign / 0.4
    left += sign * rho / 0.8 * ((end.x - start.x) ** 2).sum()
    np.testing.assert_allclose(left, envelope(case, dx, dy, rule, start.x[0])[0], atol=1e-8)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_scaling_of_the_cotangent(side, rho):
    case, dx, dy = random_case(0)
    scaled = pull(LPGD(0.1, rho, side), case.problem, case.params, 3 * dx, 3 * dy)
    other = pull(LPGD(0.3, rho, side), case.problem, case.params, dx, dy)
    assert_close(scaled, {name: 3 * gradient for name, gradient in other.items()}, 1e-8)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_scaling_of_the_objective(side, rho):
    case, dx, _ = random_case(0)
    louder = {
        name: replace(p, values=4 * p.values) if name in "Pq" else p
        for name, p in case.params.items()
    }
    plain = pull(LPGD(0.3, rho, side), case.problem, case.params, dx)
    scaled = pull(LPGD(1.2, 4 * rho, side), case.problem, louder, dx)
    assert_close(scaled, {k: g / 4 if k in "Pq" else g for k, g in plain.items()}, 1e-8)


@pytest.mark.parametrize("quadratic", [True, False])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_large_steps_point_to_the_frank_wolfe_vertex(quadratic, rho):
    case, dx, _ = random_case(1, replace(BOXED, quadratic=quadratic))
    box = {"lb": np.full(4, -9.0), "ub": np.full(4, 9.0)}  # compact
    params = dict(case.params) | {
        k: replace(case.params[k], values=v[None]) for k, v in box.items()
    }
    x = solve(case.problem, params).x[0]
    plain = replace(case.problem, quadratic=False)
    costs = {k: p for k, p in params.items() if k != "P"} | {
        "q": replace(params["q"], values=dx[None])
    }
    vertex = solve(plain, costs).x[0]
    dq = pull(LPGD(1e6, rho, "lower"), case.problem, params, dx)["q"]
    np.testing.assert_allclose(1e6 * dq, vertex - x, atol=1e-5)


def test_proportional_rho_makes_a_projected_gradient_step():
    problem, params = program(q=[1, -1], lb=[0, 0], ub=[1, 1])
    dx, kappa, tau = np.array([-0.5, 3.0]), 2.0, 1e6
    dq = pull(LPGD(tau, kappa * tau, "lower"), problem, params, dx)["q"]
    x = np.array([0.0, 1.0])
    np.testing.assert_allclose(tau * dq, np.clip(x - dx / kappa, 0, 1) - x, atol=1e-5)


def test_a_kink_has_two_slopes():
    """min 1/2 (x - w)^2, x >= 0 at w = 0: the sides are one-sided derivatives."""
    problem, params = program(P=[[1]], q=[0], lb=[0])
    found = [pull(LPGD(0.1, 0.0, side), problem, params, [1.0])["q"][0] for side in SIDES]
    np.testing.assert_allclose(found, [0, -1, -0.5], atol=1e-9)
