"""The gradient of weighted Lagrangians, whose parts may be too large for numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lpgd.core.params import flat
from lpgd.core.problem import Groups
from lpgd.core.scaling import top
from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.core.tilt import Term
from lpgd.map.forward import Forward
from lpgd.map.terms import quiet

STEEP, LOWER = 1e290, 2.0**-64


def formed(
    forward: Forward, terms: Sequence[Term], wanted: Mapping[str, Groups], point: Solution
) -> tuple[dict[str, FloatArray], IntArray]:
    """Gradients of terms, and the rows that are left out: no numbers hold their own."""
    sizes = _sizes(terms)
    lost = np.flatnonzero(sizes == np.inf)
    if len(lost):
        each = _formed(forward, terms, dict.fromkeys(wanted, lost[:, None]), sizes)
        fine = [np.logical_and.reduce(flat(np.isfinite(part)), axis=1) for part in each.values()]
        lost = lost[~np.logical_and.reduce(fine)]
    if len(lost):
        terms = quiet(terms, lost, point)
    return _formed(forward, terms, wanted, sizes), lost


def _formed(
    forward: Forward, terms: Sequence[Term], wanted: Mapping[str, Groups], sizes: FloatArray
) -> dict[str, FloatArray]:
    gradients = forward.problem.grad(forward.params, terms, wanted)
    if not (sizes > STEEP).any():
        return gradients
    # parts that are too large may have a difference that is not
    lowered = [replace(term, weight=term.weight * LOWER) for term in terms]
    again = forward.problem.grad(forward.params, lowered, wanted)
    with np.errstate(over="ignore"):
        return {k: np.where(np.isfinite(g), g, again[k] / LOWER) for k, g in gradients.items()}


def _sizes(terms: Sequence[Term]) -> FloatArray:
    """How large the products are that the gradient of each row is made of."""
    found = np.zeros(len(terms[0].weight) if terms else 0)
    with np.errstate(all="ignore"):
        for term in terms:
            size = top(term.point.x)
            most = (1 + size) * (1 + np.maximum(size, top(term.multipliers)))
            found = np.fmax(found, np.abs(term.weight) * most)  # a NaN is the cotangent's
    return found
