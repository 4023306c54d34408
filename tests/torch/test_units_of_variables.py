"""Variables with units of their own: derivatives are known, or those in units that are alike."""

import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import ConicLayer, QPLayer

LAYERS = {
    "daqp": lambda n: QPLayer(),
    "piqp": lambda n: QPLayer(engine="piqp"),
    "cone": lambda n: ConicLayer(lpgd.Cones(nonneg=n)),
}


def tensor(values):
    return torch.tensor(values[None], requires_grad=True)


def drawn(seed):
    """Least d x^2 / 2 + q x over x >= lb: units, d, q, lb, x, and which bounds hold.

    Multipliers of bounds are up to 1e10 times as large as the other forces on a variable.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 12))
    units = 10.0 ** rng.uniform(-3, 3, n)
    x, held = rng.normal(size=n) * units, rng.random(n) < 0.5
    held[:2] = True, False
    bend = 10.0 ** rng.uniform(-1, 1, n) / units**2
    push = np.where(held, 10.0 ** rng.uniform(-1, 9, n) / units, 0.0)
    bounds = np.where(held, x, x - units * rng.uniform(0.2, 2, n))
    return units, bend, push - bend * x, bounds, x, held


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("seed", range(40))
def test_a_large_multiplier_hides_no_other(name, seed):
    units, bend, costs, bounds, x, held = drawn(seed)
    n, loss = len(x), np.random.default_rng(seed).normal(size=len(x)) / units
    layer, q = LAYERS[name](n), tensor(costs)
    P, sides = tensor(np.diag(bend)), tensor(-bounds if name == "cone" else bounds)
    if name == "cone":
        found = layer(P=P, q=q, A=torch.tensor(-np.eye(n)[None]), b=sides)
    else:
        found = layer(P=P, q=q, lb=sides)
    np.testing.assert_allclose(found.detach().numpy()[0] / units, x / units, atol=1e-7)
    (found @ torch.tensor(loss)).sum().backward()
    # each derivative in its own unit
    slopes = np.where(held, 0.0, -loss / bend) / units**2
    np.testing.assert_allclose(
        q.grad.numpy()[0] / units**2, slopes, atol=1e-4 * np.abs(slopes).max()
    )
    turn = np.where(held, loss, 0.0) * units * (-1 if name == "cone" else 1)
    found = sides.grad.numpy()[0] * units
    np.testing.assert_allclose(found, turn, atol=1e-4 * np.abs(turn).max())


def posed(seed, mask, spread):
    """A QP in units that are alike, and the units 2^-spread to 2^spread of each variable.

    Some costs forbid their variable, if there are masks.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 21))
    root = rng.normal(size=(n, n))
    data = {
        "P": root @ root.T / n + 0.3 * np.eye(n),
        "q": rng.normal(size=n),
        "A": rng.uniform(0.5, 2, (1, n)),
        "b": np.ones(1),
        "G": rng.normal(size=(2, n)),
        "h": rng.uniform(0.5, 3, 2),
        "lb": np.zeros(n),
    }
    forbidden = int(rng.integers(1, n - 1))
    if mask:
        data["q"][:forbidden] = mask * rng.uniform(0.5, 2, forbidden)
    return data, rng.normal(size=n), 2.0 ** rng.integers(-spread, spread + 1, n)


def measured(data, units):
    """The program of x / units."""
    of_x = {name: data[name] * units for name in ("q", "A", "G")}
    return {**data, **of_x, "P": data["P"] * np.outer(units, units), "lb": data["lb"] / units}


def answered(rule, data, loss):
    """x, and what a loss says of it, of right-hand sides and of costs."""
    data = {name: tensor(values) for name, values in data.items()}
    x = QPLayer(rule)(**data)
    (x @ torch.tensor(loss)).sum().backward()
    return x.detach().numpy()[0], *(data[name].grad.numpy()[0] for name in ("b", "h", "q"))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("mask", "spread"), [(0, 17), (0, 25), (1e12, 10), (1e12, 17), (1e19, 17)])
def test_dense_programs_are_solved_in_any_units(mask, spread, seed):
    data, loss, units = posed(seed, mask, spread)
    x, of_b, of_h, of_q = answered(lpgd.Exact(), data, loss)
    found, *slopes, of_costs = answered(lpgd.LPGD(), measured(data, units), loss * units)
    np.testing.assert_allclose(found * units, x, atol=1e-6)
    for slope, right in zip([*slopes, of_costs * units], (of_b, of_h, of_q), strict=True):
        np.testing.assert_allclose(slope, right, atol=1e-3 * max(np.abs(right).max(), 0.01))


@pytest.mark.parametrize("mask", [1e3, 1e6, 1e12])
@pytest.mark.parametrize("cost", [0.25, 1.0, 4.0])
def test_masks_of_a_linear_cone_program_in_any_units(mask, cost):
    row = np.array(
        [
            0.527804212495524,
            -0.7387900314758065,
            1.3856470744961586,
            0.8219243366604353,
            0.6273764788355353,
        ]
    )
    units = 2.0 ** np.array([-4, 0, -12, -8, 9])
    A = np.concatenate([[row], -np.eye(5), np.eye(5)]) * units
    b = np.array([1.040996768181152, *np.zeros(5), *np.full(5, 1.5)])
    q = cost * np.array([-0.23313207796045685, mask, 0.3849938087479083, mask, mask]) * units
    layer = ConicLayer(lpgd.Cones(zero=1, nonneg=10))
    found = layer(None, tensor(q), tensor(A), tensor(b)).detach().numpy()[0]
    right = [1.5, 0, (b[0] - 1.5 * row[0]) / row[2], 0, 0]
    np.testing.assert_allclose(found * units, right, atol=1e-9)


def test_a_bound_that_is_nothing_in_other_units_is_one():
    """x_0 >= 1e-310, which in the units of x_3 would be zero."""
    A = torch.tensor([[-0.5, -0.8, -0.8, -2e299]], dtype=torch.float64)
    q, lb, b = (
        torch.tensor(v, dtype=torch.float64)
        for v in ([-0.4, 1.5, -0.6, 0.5], [1e-310, -1.0, -1.0, 1e-310], [1.0])
    )
    x = QPLayer()(torch.eye(4, dtype=torch.float64), q, A=A, b=b, lb=lb)
    assert (x >= lb).all()
    np.testing.assert_allclose(x[1:3], [-1.0, -0.25], rtol=1e-6)


WRONG = (0, 2, 4, 8, 9, 10, 12, 25, 29, 31, 39)  # where multipliers once excused a wrong x


def twice_given(seed, far):
    """A QP, its solution and the units of x: a row of equality is given twice, but for rounding.

    Bounds that do not hold are up to 10^far away.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 21))
    units = 2.0 ** rng.integers(-11, 12, n)
    A, x = rng.normal(size=(3, n)) * units, rng.normal(size=n) / units
    P, b, held = np.diag(rng.uniform(0.5, 2, n) * units**2), A @ x, rng.random(n) < 0.4
    push = np.where(held, rng.uniform(0.5, 2, n), 0) * units
    lb = np.where(held, x, x - 10.0 ** rng.uniform(0, far, n) / units)
    twice = A[0] * (1 + 1e-16 * rng.integers(-2, 3, n))
    G = rng.normal(size=(3, n)) * units
    data = {
        "P": P, "q": rng.normal(size=3) @ A - P @ x + push, "lb": lb,
        "G": G, "h": G @ x + rng.uniform(0.5, 2, 3),
        "A": np.vstack([A, -twice]), "b": np.append(b, -b[0]),
    }  # fmt: skip
    return {name: torch.tensor(value) for name, value in data.items()}, x, units


@pytest.mark.parametrize("name", ["daqp", "piqp", "linear cones"])
@pytest.mark.parametrize(("seed", "far"), [*((seed, 18) for seed in WRONG), (1, 0), (2, 6)])
def test_rows_given_twice_have_multipliers_that_excuse_nothing(name, seed, far):
    data, x, units = twice_given(seed, far)
    n = len(x)
    if name == "linear cones":
        A = torch.cat([data["A"], data["G"], -torch.eye(n, dtype=torch.float64)])
        b = torch.cat([data["b"], data["h"], -data["lb"]])
        layer = ConicLayer(lpgd.Cones(zero=4, nonneg=3 + n))
        found = layer(P=data["P"], q=data["q"], A=A, b=b)
    else:
        found = QPLayer(engine=name)(**data)
    scaled = x * units
    np.testing.assert_allclose(found.numpy() * units, scaled, atol=1e-5 * np.abs(scaled).max())


@pytest.mark.parametrize("seed", range(20))
def test_weak_curvature_in_variables_of_any_unit(seed):
    """Curvature of 1e-6 beside 1: where slopes are fine to 1e-9, x is to 1e-3 at best."""
    rng = np.random.default_rng(seed)
    n, units = 6, 10.0 ** rng.uniform(-4, 4, 6)
    M, A, G, x = (rng.normal(size=k) for k in ((n, 3), (1, n), (3, n), n))
    P, z = M @ M.T + 1e-6 * np.eye(n), rng.uniform(0.1, 2, 3) * (rng.random(3) < 0.5)
    data = {
        "P": P * units[:, None] * units, "q": -(P @ x + rng.normal() * A[0] + G.T @ z) * units,
        "A": A * units, "b": A @ x, "G": G * units,
        "h": G @ x + np.where(z > 0, 0, rng.uniform(0.1, 2, 3)),
    }  # fmt: skip
    found = QPLayer()(**{name: torch.tensor(value) for name, value in data.items()})
    np.testing.assert_allclose(found.numpy() * units, x, atol=1e-6)


def test_rough_programs_are_asked_for_the_same_in_company():
    """The last one is nearly singular, and fair; the third one has rows of size 1e8."""
    eye, q = [[1.0, 0.0], [0.0, 1.0]], [[-1.2319914102554321, 2.1896305084228516]]
    bent = [
        [0.8487576246261597, 0.020598920062184334],
        [0.020598920062184334, 0.0004999254597350955],
    ]
    data = {
        "P": [eye, bent],
        "q": [*q, [-0.4539870619773865, -1.1714019775390625]],
        "G": [[[-131587648.0, 47861040.0]], [[0.5968079566955566, -1.317059874534607]]],
        "h": [[-173792928.0], [-0.44061046838760376]],
        "ub": [[2.6167373657226562, -1.1280897855758667], [0.5210350155830383, 0.5706409811973572]],
    }
    given = {name: torch.tensor(value, dtype=torch.float64) for name, value in data.items()}
    along = QPLayer()(**given, return_duals=True)
    alone = QPLayer()(**{name: value[1:] for name, value in given.items()}, return_duals=True)
    for one, other in zip(along, alone, strict=True):
        assert one is None or torch.equal(one[1:], other)
