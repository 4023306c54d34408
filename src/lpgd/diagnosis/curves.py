"""Gradients against tau, and the loss and its envelope along the negative gradient."""

from dataclasses import dataclass

import numpy as np

from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.core.tilt import Tilt
from lpgd.diagnosis.facts import Facts, pull, silent, solved
from lpgd.frontend.mapped import Derivative
from lpgd.map.forward import Forward
from lpgd.rules.ends import ENDS, untilted
from lpgd.rules.lpgd import LPGD

MOST = 64  # rows of a sweep; more of them are thinned out
SPAN = (-6, 4)  # decades of tau about a tilt as large as the costs
STEPS = np.array([0.0, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0])


@dataclass(frozen=True, eq=False)
class Sweep:
    """What the gradient would be at other tau, the rule's other options kept.

    Attributes
    ----------
    tau : (K,) float64
    gradient : (K, S) float64
        Size of the gradient of each of S elements, in the learned arguments; NaN where a tilted
        solve failed.
    moved : (K, S) bool
        Whether its solution left x*.
    elements : (S,) int
    """

    tau: FloatArray
    gradient: FloatArray
    moved: np.ndarray
    elements: IntArray


@dataclass(frozen=True, eq=False)
class Line:
    """The loss along the negative gradient of the learned arguments, all taken together.

    Attributes
    ----------
    step : (K,) float64
        Length of the step, relative to the arguments.
    loss : (K,) float64
        The loss of the layer's output; NaN where elements could not be solved.
    envelope : (K,) float64
        The envelope whose gradient it is, its loss linearised, its anchor and tau held fixed, and
        shifted so that at the loss's own solution it differs from the loss by nothing but the
        envelope.
    """

    step: FloatArray
    loss: FloatArray
    envelope: FloatArray


def sweep(facts: Facts) -> Sweep | None:
    """Pull the loss back with tau over decades; None where nothing is pulled back."""
    if facts.sizes is None or facts.forward.samples is not None:
        return None
    chosen = thinned(len(facts.rows))
    rows = facts.rows[chosen]
    middle = np.log10(np.median(facts.sizes.large[chosen]))
    ends = [middle + SPAN[0], middle + SPAN[1]]
    if facts.tau is not None:
        ends += [np.log10(facts.tau)]
    if not np.isfinite(ends).all():
        return None
    decades = np.arange(max(np.floor(min(ends)), -290), min(np.ceil(max(ends)), 290) + 1)
    every = max(1, -(-len(decades) // 16))
    taus = 10.0 ** decades[::every]
    gradient, moved = (np.zeros((len(taus), len(rows))) for _ in range(2))
    with silent():
        backward = solved(facts.forward, facts.subject, facts.forward.solution.take(rows))
        for place, tau in enumerate(taus):
            rule = LPGD(tau=float(tau), rho=facts.rho, side=facts.side, retries=0)
            pulled, size, gone = pull(rule, backward, facts.cotangent.take(rows), facts.subject)
            gradient[place] = np.where(pulled.failed == 0, size, np.nan)
            moved[place] = gone
    return Sweep(taus, gradient, moved.astype(np.bool_), rows)


def thinned(count: int) -> IntArray:
    """At most ``MOST`` of so many rows, evenly."""
    if count <= MOST:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, MOST).astype(np.intp))


def gradients(facts: Facts) -> list[FloatArray]:
    """What the layer returns as gradients of the learned data, in float64, by any caller's sum."""
    subject = facts.subject
    with silent():
        _, cotangents = subject.loss(facts.outputs, wide=False)
        way = Derivative(push=False, flags=subject.learned)
        shapes = [datum.shape for datum in subject.data]
        return subject.program.pullback(facts.forward, way, cotangents, shapes)


def line(facts: Facts, found: list[FloatArray]) -> Line | None:
    """The loss along the negative gradient ``found``; None where that is zero or not finite."""
    if facts.passed is None or not facts.passed.gradient.any():
        return None
    learned = [d for d, own in zip(facts.subject.data, facts.subject.learned, strict=True) if own]
    size, length = (_length(parts) for parts in (learned, found))
    if not (np.isfinite(length) and length > 0 and np.isfinite(size)):
        return None
    scale = (size if size > 0 else 1.0) / length
    values = [_at(facts, found, step * scale) for step in STEPS]
    loss, envelope = (np.array(part) for part in zip(*values, strict=True))
    return Line(STEPS.copy(), loss, envelope)


def _at(facts: Facts, found: list[FloatArray], step: float) -> tuple[float, float]:
    """Loss and frozen envelope with the learned data moved."""
    subject, left = facts.subject, iter(found)
    data = [
        datum - step * next(left).reshape(datum.shape) if own else datum
        for datum, own in zip(subject.data, subject.learned, strict=True)
    ]
    with silent():
        forward, outputs = subject.program.solve(
            data, subject.shape, subject.precision.eps, keep=True
        )
        if not forward.solution.solved[facts.rows].all():
            return np.nan, np.nan
        value = subject.widely(outputs)[0]
        return value, facts.value + float(_envelope(facts, forward).sum())


def _envelope(facts: Facts, forward: Forward) -> FloatArray:
    """The envelope of each row at other data, minus its linear loss at the solution of the own."""
    assert facts.passed is not None
    rows, value = facts.rows, forward.program.lagrangian
    cotangent, own = facts.cotangent.take(rows), facts.forward.solution.take(rows)
    point = forward.solution.take(rows)
    backward = solved(forward, facts.subject, point)
    tilt, flat = untilted(own, cotangent, facts.rho), untilted(point, cotangent, 0.0)
    tau, ends = facts.passed.tau, ENDS[facts.side]
    values, fine = list[FloatArray](), np.ones(len(rows), dtype=np.bool_)
    for end in ends:
        t = end * tau
        at = backward.resolve(tilt.at(t)) if end and tau.any() else point
        fine &= at.solved
        values.append(value(forward.params, at, (tilt if end else flat).at(t)))
    finite = (values[0] - values[1]) / ((ends[0] - ends[1]) * np.where(tau > 0, tau, 1.0))
    limit = _linear(forward, point, flat)  # of the envelope as tau goes to zero
    found = np.where(tau > 0, np.where(fine, finite, np.nan), limit)
    return found - _linear(facts.forward, own, untilted(own, cotangent, 0.0))


def _linear(forward: Forward, point: Solution, tilt: Tilt) -> FloatArray:
    """The linear loss at each point: what a unit tilt adds to the Lagrangian."""
    value, one = forward.program.lagrangian, np.ones(len(point))
    return value(forward.params, point, tilt.at(one)) - value(forward.params, point, tilt)


def _length(parts: list[FloatArray]) -> float:
    most = max((np.abs(part).max(initial=0.0) for part in parts), default=0.0)
    if not most or not np.isfinite(most):
        return float(most)
    return float(most * np.sqrt(sum(((part / most) ** 2).sum() for part in parts)))
