"""How good decisions are: regret, and whether they are optimal.

Functions of arrays, of one number or one each element; ``lpgd.torch.metrics`` accumulates them over
batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lpgd.core.errors import StructureError
from lpgd.core.options import array, number
from lpgd.core.solution import BoolArray, FloatArray

Oracle = Callable[[FloatArray], Any]
LEAST = 1e-8  # added to a sum of optima, as PyEPO does, so that none is zero


def regret(solutions: ArrayLike, true_costs: ArrayLike, best: ArrayLike) -> FloatArray:
    """What decisions cost more than the best: <c_t, x> - L*(c_t), where costs are minimised.

    Parameters
    ----------
    solutions, true_costs : (..., d)
    best : (...)
        Optimal values at the true costs. Values that are maximised are minus costs.

    Returns
    -------
    (...) float64

    Raises
    ------
    StructureError
        Solutions and true costs of other sizes, or optima of another shape than their batch.
    """
    x, c = array("solutions", solutions), array("true_costs", true_costs)
    if not x.ndim or x.shape[-1:] != c.shape[-1:]:
        raise StructureError(
            f"solutions and true_costs must have one size, got shapes {x.shape} and {c.shape}"
        )
    try:
        value = (c * x).sum(axis=-1)
    except ValueError:
        raise StructureError(
            f"batch dimensions of solutions {x.shape[:-1]} and true_costs {c.shape[:-1]} do not "
            "broadcast"
        ) from None
    return value - _one_each("best", best, value.shape)


def normalised_regret(regrets: ArrayLike, best: ArrayLike) -> float:
    """The sum of regrets over that of the absolute optima (PyEPO's definition, 1e-8 included).

    Parameters
    ----------
    regrets, best : (...)

    Raises
    ------
    StructureError
        Not one optimum for all, nor one each.
    """
    lost = array("regrets", regrets)
    optima = np.broadcast_to(_one_each("best", best, lost.shape), lost.shape)
    return float(lost.sum()) / (float(np.abs(optima).sum()) + LEAST)


def worst_solutions(
    costs: ArrayLike, true_costs: ArrayLike, oracle: Oracle, tolerance: float = 1e-5
) -> FloatArray:
    """Of the solutions that are optimal for predicted costs the worst for the true ones.

    The upper side of LPGD with the true costs as cotangent, so small a step that only ties move.

    Parameters
    ----------
    costs, true_costs : (B, d)
    oracle : callable
        From costs to minimisers.
    tolerance : float
        Size of the step over that of the costs: what costs less more than this is a tie.

    Returns
    -------
    (B, d) float64

    Raises
    ------
    StructureError
        Costs and true costs of other shapes, or solutions of the oracle.
    """
    c, truth = array("costs", costs), array("true_costs", true_costs)
    if c.ndim != 2 or c.shape != truth.shape:
        raise StructureError(
            f"costs and true_costs must have one shape (B, d), got {c.shape} and {truth.shape}"
        )
    number("tolerance", tolerance)
    size = np.abs(c).max(axis=1, initial=0.0), np.abs(truth).max(axis=1, initial=0.0)
    step = tolerance * np.where(size[0] > 0, size[0], 1.0) / np.where(size[1] > 0, size[1], 1.0)
    found = array("solutions of the oracle", oracle(c - step[:, None] * truth))
    if found.shape != c.shape:  # regret would broadcast one solution to all
        raise StructureError(f"the oracle returned shape {found.shape}, expected {c.shape}")
    return found


def unambiguous_regret(
    costs: ArrayLike,
    true_costs: ArrayLike,
    best: ArrayLike,
    oracle: Oracle,
    tolerance: float = 1e-5,
) -> FloatArray:
    """Regret of the worst solution among those optimal for predicted costs; see Elmachtoub (2022).

    Parameters
    ----------
    costs, true_costs : (B, d)
    best : (B,)
    oracle, tolerance
        See ``worst_solutions``.

    Returns
    -------
    (B,) float64
    """
    return regret(worst_solutions(costs, true_costs, oracle, tolerance), true_costs, best)


def optimal(regrets: ArrayLike, best: ArrayLike, tolerance: float = 1e-6) -> BoolArray:
    """Which decisions are optimal: regret within the tolerance, relative to 1 + |optimum|.

    Parameters
    ----------
    regrets, best : (...)
    tolerance : float

    Raises
    ------
    StructureError
        Not one optimum for all, nor one each.
    """
    number("tolerance", tolerance)
    lost = array("regrets", regrets)
    found: BoolArray = lost <= tolerance * (1 + np.abs(_one_each("best", best, lost.shape)))
    return found


def _one_each(name: str, value: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    given = array(name, value)
    if given.shape not in ((), shape):
        raise StructureError(f"{name} must have shape {shape}, got {given.shape}")
    return given
