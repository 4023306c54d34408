"""Derivatives by one-sided differences, and how far a layer's gradient is from them.

Along a direction d the loss is measured at ±h d for steps h from 1e-2 to 3e-7. From a step and its
tenth each side gives a slope free of curvature, (10 s(h / 10) - s(h)) / 9. Where both sides and
their mean agree to ``AGREE``, and smaller steps do not contradict beyond their own noise, that is
the derivative; an instance where they never do has none. A solution that an engine answers within
a tolerance may be a smoothed one: it is asked for steps that move it by more than ``MOVE``. All
points are solved in one call of the layer itself; an independent solver confirms x* and
differences at steps 1e-3 or 1e-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from _truth_programs import Array, Layer, Program, Rng, Units

STEPS = 10.0 ** -np.arange(2, 7, 0.5)  # relative to the size of each parameter
DECADE = 2  # steps between one and its tenth
DIRECTIONS = 2
AGREE = 2e-4  # of both sides, relative
MOVE = 1e-4  # of the loss, at the larger step of a pair, for solutions not known to rounding
SAME = 3e-5, 1e-8  # x* against another solver's, against a closed form; relative to max |x|
CONFLICT = 3e-2  # differences of the layer against those of another solver
NOTHING = 1e-5, 1e-6  # errors are relative to no less than these of |w x| and |w| rms(x)
SHARE = 0.02  # nor to less than this of |w| |dx/dh|
SEEN = 1e-4  # slopes below this of |w| rms(x) drown in the other solver's errors


@dataclass(frozen=True)
class Instance:
    """Data, directions and the loss, all from one seed."""

    values: list[Array]
    ways: list[list[Array]]  # DIRECTIONS entries, one array for each parameter
    weights: list[Array]  # of the loss, one array for each output
    single: bool
    units: Units


@dataclass
class Truth:
    """What is known about an instance without any gradient of the library."""

    verdict: str  # "derivative", or why there is none
    slopes: Array = field(default_factory=lambda: np.zeros(DIRECTIONS))
    scale: float = np.nan
    spread: float = np.nan  # disagreement of the two sides, relative
    step: float = np.nan
    mismatch: float = np.nan  # of the differences of another solver, relative


@dataclass
class Found:
    """A gradient of the library beside the truth."""

    error: float
    slopes: Array
    degenerate: float
    unverified: float
    re_solves: int
    raised: str = ""


def instance(program: Program, rng: Rng, *, odd: bool) -> Instance:
    """Draw data in fair or odd units, directions, and a loss."""
    units = Units(*10.0 ** rng.uniform(-3, 3, 2)) if odd else Units(1.0, 1.0)
    values = program.draw(rng, units)
    ways = [
        [_way(rng, v, kind) for v, kind in zip(values, program.kinds, strict=True)]
        for _ in range(DIRECTIONS)
    ]
    return Instance(values, ways, [], bool(rng.random() < 0.25), units)


def _way(rng: Rng, value: Array, kind: str) -> Array:
    if kind == "still":
        return np.zeros_like(value)
    noise = rng.normal(size=value.shape)
    if kind == "pos":
        return value * noise
    size = np.sqrt(np.mean(value**2)) or 1.0
    if kind == "sym":
        return 0.5 * size * (noise + noise.T)
    return noise * (np.abs(value) + 0.1 * size) / 1.1


def _weights(rng: Rng, outputs: Sequence[Array], *, single: bool) -> list[Array]:
    """A random linear loss in units of the outputs; of one entry if single."""
    weights = []
    for output in outputs:
        size = np.sqrt(np.mean(output**2)) or 1.0
        weight = rng.normal(size=output.shape) / size
        if single:
            one = np.zeros(output.size)
            one[rng.integers(output.size)] = 1 / size
            weight = one.reshape(output.shape)
        weights.append(weight)
    return weights


def weighed(one: Instance, rng: Rng, outputs: Sequence[Array]) -> Instance:
    """The instance with a random linear loss of outputs like these."""
    single = (
        one.single and len(outputs) == 1
    )  # else costs of an LP with multipliers are at a vertex
    return replace(one, single=single, weights=_weights(rng, outputs, single=single))


def points(one: Instance) -> list[list[Array]]:
    """The data at the centre, then for each direction and step at + and at -."""
    steps = [sign for h in STEPS for sign in (h, -h)]
    return [one.values, *(_moved(one, way, step) for way in one.ways for step in steps)]


def _moved(one: Instance, way: Sequence[Array], step: float) -> list[Array]:
    return [v + step * d for v, d in zip(one.values, way, strict=True)]


def solutions(layer: Layer, many: Sequence[Sequence[Array]]) -> list[Array]:
    """Outputs of the layer, each (len(many), ...), in one call without gradients."""
    stacked = [torch.tensor(np.stack(rows)) for rows in zip(*many, strict=True)]
    with torch.no_grad():
        return [np.asarray(out) for out in layer(*stacked)]


def loss(outputs: Sequence[Array], weights: Sequence[Array]) -> float:
    """The linear loss."""
    return float(sum(np.vdot(w, o) for w, o in zip(weights, outputs, strict=True)))


def truth(program: Program, one: Instance, outputs: Sequence[Array]) -> Truth:
    """Judge the differences of one instance, ``outputs`` being those at its ``points``."""
    at = np.array([loss([o[i] for o in outputs], one.weights) for i in range(len(outputs[0]))])
    if not np.isfinite(at[0]):
        return Truth("unsolved")
    centre = [o[0] for o in outputs]
    other = program.solve(one.values)
    if not _same(centre, other, SAME[program.closed]):
        return Truth("unconfirmed")
    sides = at[1:].reshape(DIRECTIONS, len(STEPS), 2)
    plus, minus = (sides[..., 0] - at[0]) / STEPS, (at[0] - sides[..., 1]) / STEPS
    near, far = _nothing(centre, one.weights)
    moves = _moves(outputs, one.weights)
    fit = STEPS[:-DECADE] > 0.9e-3
    typical = moves / np.sqrt(sum(o[0].size for o in outputs))
    fit |= typical * STEPS[:-DECADE] > MOVE * max(near / NOTHING[0], far / NOTHING[1])
    least = np.maximum(max(near, far), SHARE * moves)
    known = _agreed(plus, minus, least, fit | program.sharp)
    if known.verdict != "derivative":
        return known
    if not program.strict and np.abs(known.slopes).max() <= max(near, far):
        return Truth("vertex")
    size = max(known.scale, 0.0 if program.closed else SEEN / NOTHING[1] * far)
    known.mismatch = _mismatch(program, one, 0.5 * (plus + minus)[0], size)
    if not known.mismatch <= CONFLICT:
        known.verdict = "conflict"
    return known


def _nothing(centre: Sequence[Array], weights: Sequence[Array]) -> tuple[float, float]:
    pairs = list(zip(centre, weights, strict=True))
    near = np.sqrt(sum(float(np.sum((w * o) ** 2)) for o, w in pairs))
    far = np.sqrt(sum(float(np.sum(w**2) * np.mean(o**2)) for o, w in pairs))
    return NOTHING[0] * float(near), NOTHING[1] * float(far)


def _moves(outputs: Sequence[Array], weights: Sequence[Array]) -> Array:
    """|w| |dx/dh| at each step: the size of the loss's slope were it not for the angle."""
    found = np.zeros(len(STEPS))
    for output, weight in zip(outputs, weights, strict=True):
        ends = output[1:].reshape(DIRECTIONS, len(STEPS), 2, -1)
        moves = np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1).max(axis=0) / (2 * STEPS)
        found += moves * np.linalg.norm(weight)
    return found[DECADE:]


def _same(mine: Sequence[Array], other: Sequence[Array] | None, tolerance: float) -> bool:
    if other is None:
        return False
    most = max(np.abs(b).max() for b in other)
    return all(
        np.abs(a - b).max() <= tolerance * max(np.abs(b).max(), 1e-3 * most, 1e-300)
        for a, b in zip(mine, other, strict=True)
    )


def _agreed(plus: Array, minus: Array, least: Array, fit: Array) -> Truth:
    up, down = ((10 * s[:, DECADE:] - s[:, :-DECADE]) / 9 for s in (plus, minus))
    mean = 0.5 * (plus + minus)
    both = (100 * mean[:, DECADE:] - mean[:, :-DECADE]) / 99
    scale = np.maximum(np.abs(both).max(axis=0), least)
    spread = np.max([np.abs(s - both).max(axis=0) for s in (up, down)], axis=0) / scale
    spread = np.where(fit & np.isfinite(spread), spread, np.inf)
    best = int(spread.argmin())
    if spread[best] > AGREE:
        return Truth("kink", both[:, best], scale[best], spread[best], STEPS[best + DECADE])
    drift = np.abs(both[:, best:] - both[:, [best]]).max(axis=0) / scale[best]
    if np.any(drift > np.maximum(5 * spread[best:] * scale[best:] / scale[best], 5 * AGREE)):
        return Truth("kink", both[:, best], scale[best], spread[best], STEPS[best + DECADE])
    return Truth("derivative", both[:, best], scale[best], spread[best], STEPS[best + DECADE])


def _mismatch(program: Program, one: Instance, mine: Array, scale: float) -> float:
    """Least difference, over steps, to another solver's central difference; nan if it fails."""
    found = []
    for h, own in list(zip(STEPS, mine, strict=True))[DECADE : 3 * DECADE : DECADE]:
        ends = []
        for sign in (h, -h):
            other = program.solve(_moved(one, one.ways[0], sign))
            ends.append(np.nan if other is None else loss(other, one.weights))
        found.append(abs((ends[0] - ends[1]) / (2 * h) - own) / scale)
        if found[-1] <= CONFLICT:
            break
    return float(np.nanmin(found)) if np.isfinite(found).any() else np.nan


def judge(layer: Any, program: Program, one: Instance, known: Truth) -> Found:
    """Pull the loss back through a layer and compare its slopes with the truth."""
    before = layer.stats.re_solves
    leaves = [
        torch.tensor(v, requires_grad=kind != "still")
        for v, kind in zip(one.values, program.kinds, strict=True)
    ]
    try:
        outputs = layer(*leaves)
        value = sum((o * torch.tensor(w)).sum() for o, w in zip(outputs, one.weights, strict=True))
        value.backward()
    except Exception as error:  # any of the library's: it is reported with its name
        return Found(np.inf, np.zeros(0), 0.0, 0.0, 0, type(error).__name__)
    grads = [np.zeros(1) if leaf.grad is None else leaf.grad.numpy() for leaf in leaves]
    slopes = np.array(
        [sum(float(np.sum(g * d)) for g, d in zip(grads, way, strict=True)) for way in one.ways]
    )
    error = np.abs(slopes - known.slopes).max() / known.scale
    stats = layer.stats
    return Found(
        float(error) if np.isfinite(error) else np.inf,
        slopes,
        stats.degenerate or 0.0,
        getattr(stats, "unverified", None) or 0.0,
        stats.re_solves - before,
    )
