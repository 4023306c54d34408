"""Powers of two that bring sizes near 1, so that tolerances mean the same in all units."""

import numpy as np
from numpy.typing import NDArray

from lpgd.core.solution import BoolArray, FloatArray, IntArray

Exponents = NDArray[np.intc]
FAIR = 64.0  # sizes between 1/64 and 64 are left alone, and so is zero
LOST = 2.0**-1000  # numbers this small have lost digits: they are nothing beside larger ones
SQUARES = 1e-150, 1e150  # sizes whose squares are normal numbers
GAP = 1e5  # times as large or far as all before: what stands for "never", or for no bound at all
LARGEST = 1022  # exponent up to which a power of two and its inverse are normal numbers


def top(values: FloatArray) -> FloatArray:
    """The largest absolute value of each row, (N, k) to (N,); zero where k is."""
    if not values.size:
        return np.zeros(len(values))
    starts: IntArray = np.arange(len(values)) * values.shape[1]
    return np.maximum.reduceat(np.abs(values).ravel(), starts)  # much less a row than max(axis=1)


def least(values: FloatArray) -> FloatArray:
    """The least of each row, (N, k) to (N,); infinite where there is none."""
    if not values.size:
        return np.full(len(values), np.inf)
    starts: IntArray = np.arange(len(values)) * values.shape[1]
    return np.minimum.reduceat(values.ravel(), starts)


def before_gap(sizes: FloatArray, movable: BoolArray) -> FloatArray:
    """The largest of sizes (N, k) before one that is GAP times as large; infinite for none.

    At least that of all that are not ``movable``. NaN are none.
    """
    firm = np.fmax.reduce(np.where(movable, np.nan, sizes), axis=1, initial=np.nan)
    every = np.sort(sizes, axis=1)  # NaN comes last
    wide = every[:, 1:] > GAP * every[:, :-1]
    if not wide.size:
        return np.full(len(sizes), np.inf)
    last = np.where(wide.any(axis=1), wide.argmax(axis=1), 0)[:, None]
    found = np.where(wide.any(axis=1), np.take_along_axis(every, last, axis=1)[:, 0], np.inf)
    return np.fmax(found, firm)


def lengths(matrices: FloatArray) -> FloatArray:
    """Euclidean lengths of the rows of matrices, (D, m, n) to (D, m), at any size."""
    found = np.sqrt(np.einsum("dij,dij->di", matrices, matrices))
    least, most = SQUARES
    odd = ~((found > least) & (found < most))
    if odd.any():
        rows = matrices[odd]
        tops = top(rows)
        shares = rows / np.where(tops > 0, tops, 1.0)[:, None]
        found[odd] = tops * np.sqrt((shares**2).sum(axis=1))
    return found


def fair(sizes: FloatArray) -> BoolArray:
    """Which sizes need no factor."""
    return (sizes == 0) | ((sizes >= 1 / FAIR) & (sizes <= FAIR))


def exponents(sizes: FloatArray, step: int = 1) -> Exponents:
    """Multiples k of ``step`` such that sizes times 2^k are near 1; 0 for fair ones.

    Apply them by ``np.ldexp``, summed where there are several: 2^k alone may overflow.
    """
    known = np.isfinite(sizes) & ~fair(sizes)
    return -step * np.rint(np.log2(np.where(known, sizes, 1.0)) / step).astype(np.intc)


def exponents_of(logs: FloatArray) -> Exponents:
    """The same of sizes that are known by their binary logarithms."""
    known = np.isfinite(logs) & (np.abs(logs) > np.log2(FAIR))
    return -np.rint(np.where(known, logs, 0.0)).astype(np.intc)


def factors(sizes: FloatArray, step: int = 1) -> FloatArray:
    """Powers of 2^step that bring unfair sizes near 1; 1 for fair ones. Nothing is rounded."""
    most = LARGEST // step * step
    return np.ldexp(np.ones(sizes.shape), np.clip(exponents(sizes, step), -most, most))
