"""Projections on the duals of exponential and power cones: roots of functions of one variable.

The exponential cone follows Friberg (2023), "Projection onto the exponential cone: a univariate
root-finding problem", the power cone Hien (2015), "Differential properties of Euclidean projection
onto power cone". On the smooth boundary g = 0 of a cone, with normal n = grad g, the derivative of
the projection on the dual has the eigenvectors n (1), the ray z through the point (0, g being
homogeneous) and f, normal to both, with h / (1 + h), h the multiplier times f'(D^2 g)f.
"""

from collections.abc import Callable

import numpy as np

from lpgd.core.solution import BoolArray, FloatArray

Root = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
Spectrum = tuple[FloatArray, FloatArray]

AFTER, BEFORE = [1, 2, 0], [2, 0, 1]
STEPS = 100
SMALL = 1e-10  # of a step of Newton's method: the next error is about its square
FAR = 40.0  # ratios u/v beyond which rounding does not tell the exponential cone from a face


def exponential(
    v: FloatArray, near: FloatArray, *, derive: bool
) -> tuple[FloatArray, Spectrum | None]:
    """Projection of (N, k, 3) on the dual; see ``projections.Projection``."""
    p = -v
    r, s, t = p[..., 0], p[..., 1], p[..., 2]
    with np.errstate(all="ignore"):
        inside = (s > 0) & (s * np.exp(r / s) <= t) | (s == 0) & (r <= 0) & (t >= 0)
        polar = (r > 0) & (r * np.exp(s / r) <= -np.e * t) | (r == 0) & (s <= 0) & (t <= 0)
        guess = near[..., 0] / near[..., 1]
    low, high = _bracket(r, s)
    smooth = ~(inside | polar) & ~((r <= 0) & (s <= 0)) & (low < high)
    face = ~(inside | polar | smooth)
    nearest = np.stack([np.minimum(r, 0), np.maximum(s, 0), np.maximum(t, 0)], axis=-1)
    z = np.where(inside[..., None], p, np.where(face[..., None], nearest, 0.0))
    z[smooth], rho = _on_exponential(p[smooth], (low[smooth], high[smooth]), guess[smooth])
    if not derive:
        return v + z, None
    share = np.where(inside[..., None], 0.0, np.ones_like(p))
    share[face] = nearest[face] == 0
    rise = np.exp(rho)
    normal = np.stack([rise, (1 - rho) * rise, -np.ones_like(rho)], axis=-1)
    load = z[smooth][:, 2] - p[smooth][:, 2]
    dual = (r[smooth] - rho * s[smooth]) / (rho * (rho - 1) + 1)  # load * rise without cancellation
    along = np.stack([np.ones_like(rho), -rho, np.zeros_like(rho)], axis=-1)
    force = np.where(rho > 0, dual, load * rise)
    bend = force / np.maximum(z[smooth][:, 1], np.finfo(np.float64).eps)
    return v + z, _spectrum(z[smooth], share, smooth, (normal, along, bend))


def power(
    alpha: FloatArray, v: FloatArray, near: FloatArray, *, derive: bool
) -> tuple[FloatArray, Spectrum | None]:
    """The same for power cones with exponents ``alpha`` (k,)."""
    p, a = -v, np.broadcast_to(alpha, v.shape[:-1])
    weights = np.stack([a, 1 - a], axis=-1)
    size, height = np.maximum(p[..., :2], 0.0), np.abs(p[..., 2])
    low = np.maximum(-p[..., :2], 0.0) / weights
    inside = (p[..., :2] >= 0).all(axis=-1) & ((size**weights).prod(axis=-1) >= height)
    polar = (p[..., :2] <= 0).all(axis=-1) & ((low**weights).prod(axis=-1) >= height) & ~inside
    plane = (height == 0) & ~inside & ~polar
    smooth = ~(inside | polar | plane)
    z = np.where(inside[..., None], p, 0.0)
    z[plane, :2] = size[plane]
    b = weights[smooth]
    z[smooth] = _on_power(p[smooth], b, np.abs(near[smooth][:, 2]))
    if not derive:
        return v + z, None
    share = np.where(inside[..., None], 0.0, np.ones_like(p))
    share[plane, :2] = p[plane, :2] <= 0
    at, sign = z[smooth], np.sign(p[smooth][:, 2])
    mean = (at[:, :2] ** b).prod(axis=-1)
    normal = np.concatenate([-b * mean[:, None] / at[:, :2], sign[:, None]], axis=-1)
    along = np.stack([1 / at[:, 0], -1 / at[:, 1], np.zeros_like(mean)], axis=-1)
    bend = (height[smooth] - np.abs(at[:, 2])) * mean * b.prod(axis=-1)
    return v + z, _spectrum(at, share, smooth, (normal, along, bend))


def _spectrum(
    z: FloatArray,
    share: FloatArray,
    smooth: BoolArray,
    at: tuple[FloatArray, FloatArray, FloatArray],
) -> Spectrum:
    """Put the smooth boundary's eigenvectors among unit ones; D^2 g = bend along along'."""
    normal, along, bend = at
    Q = np.broadcast_to(np.eye(3), (*share.shape, 3)).copy()
    n = normal / _length(normal)
    ray = z - (n * z).sum(axis=-1, keepdims=True) * n
    ray /= _length(ray)
    third = n[..., AFTER] * ray[..., BEFORE] - n[..., BEFORE] * ray[..., AFTER]  # n x ray
    Q[smooth] = np.stack([n, ray, third], axis=-1)
    bend = np.maximum(bend, 0.0) * (along * third).sum(axis=-1) ** 2
    share[smooth] = np.stack([np.ones_like(bend), 0 * bend, bend / (1 + bend)], axis=-1)
    return Q, share


def _length(values: FloatArray) -> FloatArray:
    return np.sqrt((values * values).sum(axis=-1, keepdims=True))


def _bracket(r: FloatArray, s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where both the point on the cone and that on its polar have positive factors."""
    with np.errstate(all="ignore"):
        turn, cross = 1 - s / r, r / s
    low = np.maximum(np.where(r > 0, turn, -FAR), np.where(s < 0, cross, -FAR))
    return low, np.minimum(np.where(r < 0, turn, FAR), np.where(s > 0, cross, FAR))


def _on_exponential(
    p: FloatArray, bracket: tuple[FloatArray, FloatArray], guess: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Projection of (k, 3) on the smooth boundary, and its ratio u/v."""
    r, s, t = p[:, 0], p[:, 1], p[:, 2]

    def gap(rho: FloatArray) -> tuple[FloatArray, FloatArray]:
        form, rise = rho * (rho - 1) + 1, np.exp(rho)
        up, down = ((rho - 1) * r + s) / form, (r - rho * s) / form
        bend = (2 * rho - 1) / form
        slope = (up + r / form - up * bend) * rise + (down + s / form + down * bend) / rise
        return up * rise - down / rise - t, slope

    rho = _increasing_root(gap, bracket, guess, 1.0)
    form, rise = rho * (rho - 1) + 1, np.exp(rho)
    scale, dual = ((rho - 1) * r + s) / form, (r - rho * s) / form
    top = np.where(rho > 0, t + dual / rise, scale * rise)  # each free of cancellation
    return np.stack([scale * rho, scale, top], axis=-1), rho


def _on_power(p: FloatArray, weights: FloatArray, guess: FloatArray) -> FloatArray:
    """Projection of (k, 3) on the smooth boundary."""
    height = np.abs(p[:, 2])

    def sides(r: FloatArray) -> FloatArray:
        product = (4 * r * (height - r))[:, None] * weights
        root = np.sqrt(p[:, :2] ** 2 + product)
        # without cancellation for negative p
        return np.where(p[:, :2] > 0, 0.5 * (p[:, :2] + root), 0.5 * product / (root - p[:, :2]))

    def gap(r: FloatArray) -> tuple[FloatArray, FloatArray]:
        x = sides(r)
        mean = (x**weights).prod(axis=-1)
        change = weights * (height - 2 * r)[:, None] / (2 * x - p[:, :2])
        return r - mean, 1 - mean * (weights * change / x).sum(axis=-1)

    tiny = np.finfo(np.float64).eps
    with np.errstate(all="ignore"):
        r = _increasing_root(gap, (tiny * height, height * (1 - tiny)), guess, 0.0)
        return np.concatenate([sides(r), (np.sign(p[:, 2]) * r)[:, None]], axis=-1)


def _increasing_root(
    gap: Root, bracket: tuple[FloatArray, FloatArray], guess: FloatArray, unit: float
) -> FloatArray:
    """Root of functions that rise from below to above zero, by Newton's method within brackets.

    An entry that has converged is left alone, so that it does not depend on the others.
    """
    low, high = bracket
    x = np.where((guess > low) & (guess < high), guess, 0.5 * (low + high))
    done = np.zeros(x.shape, dtype=np.bool_)
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            value, slope = gap(x)
            low, high = np.where(value <= 0, x, low), np.where(value >= 0, x, high)
            step = x - value / slope
            newton = (step >= low) & (step <= high)
            step = np.where(newton, step, 0.5 * (low + high))
            small = newton & (np.abs(step - x) <= SMALL * (unit + np.abs(x)))
            x = np.where(done, x, step)
            done |= small | (value == 0)
            if done.all():
                break
    return x
