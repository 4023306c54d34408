"""The gradient of weighted Lagrangians, whose parts may be too large for numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lpgd.core.params import flat
from lpgd.core.problem import Groups
from lpgd.core.scaling import Exponents, top
from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.core.tilt import Term
from lpgd.map.forward import Forward
from lpgd.map.terms import quiet

STEEP, LOWER = 1e290, 2.0**-64


def formed(
    forward: Forward,
    terms: Sequence[Term],
    wanted: Mapping[str, Groups],
    point: Solution,
    power: Exponents | None = None,
) -> tuple[dict[str, FloatArray], IntArray]:
    """Gradients of terms, and the rows that are left out: no numbers hold their own.

    Rows are times 2^-``power``, where that is given.
    """
    sizes = _sizes(terms)
    with np.errstate(all="ignore"):
        lost = np.flatnonzero((sizes if power is None else np.ldexp(sizes, -power)) == np.inf)
    if len(lost):
        alone = dict.fromkeys(wanted, lost[:, None])
        each = _restored(forward, terms, alone, sizes, power)
        fine = [np.logical_and.reduce(flat(np.isfinite(part)), axis=1) for part in each.values()]
        lost = lost[~np.logical_and.reduce(fine)]
    if len(lost):
        terms = quiet(terms, lost, point)
    return _restored(forward, terms, wanted, sizes, power), lost


def _restored(
    forward: Forward,
    terms: Sequence[Term],
    wanted: Mapping[str, Groups],
    sizes: FloatArray,
    power: Exponents | None,
) -> dict[str, FloatArray]:
    if power is None:
        return _formed(forward, terms, wanted, sizes)
    total = dict[str, FloatArray]()
    for exponent in np.unique(power):
        some = [replace(t, weight=np.where(power == exponent, t.weight, 0.0)) for t in terms]
        with np.errstate(all="ignore"):
            part = {
                k: np.ldexp(g, -exponent) for k, g in _formed(forward, some, wanted, sizes).items()
            }
            total = {k: total.get(k, 0.0) + g for k, g in part.items()}
    return total


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
