"""Units of variables in which the columns of a program are alike.

Users measure variables in units of their own, grams beside tonnes: how large one is says nothing of
another then. It does in units in which the largest entries of columns are about 1 beside those of
their rows, the square roots of the diagonal of P being a row like any other. These depend on the
data alone, and change with the units of the user. A half-line with one entry compares it with none.
"""

from dataclasses import replace

import numpy as np

from lpgd.core.params import Params, batched
from lpgd.core.pattern import Pattern
from lpgd.core.scaling import LOST, Exponents
from lpgd.core.solution import FloatArray, Solution
from lpgd.families.quadratic.products import Values
from lpgd.families.quadratic.rows import Rows

APART = 10  # powers of two between units in which sizes can still be compared


@np.errstate(all="ignore")  # of rows and columns of zeros
def units(values: Values) -> Exponents:
    """Powers of two (N, n) by which x has to be divided; 0 for elements where users' units do."""
    of, cols = values.of, np.zeros(values["q"].shape)
    matrices = [_compared(values, k) for k in of.blocks.keys() & {"A", "G"}]
    if of.quadratic:
        bends = np.maximum(values.diagonal(), 0.0)  # by rounding they may be negative
        matrices.append((np.sqrt(bends)[:, None], None))
    for sizes, pattern in matrices:
        np.maximum(cols, _of_cols(sizes, pattern), out=cols)
    first, cols = np.where(cols > LOST, 1 / cols, 0.0), np.zeros_like(cols)
    for sizes, pattern in matrices:
        rows = _of_rows(sizes, pattern, first)
        shares = sizes / (rows[:, :, None] if pattern is None else rows[:, pattern.rows])
        cols = np.maximum(cols, _of_cols(np.where(sizes > LOST, shares, 0.0), pattern))
    logs = -np.log2(cols)
    known = np.isfinite(logs)
    most = np.where(known, logs, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    least = np.where(known, logs, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    apart = known & (most - least > APART)
    return np.where(apart, np.rint(logs - 0.5 * (most + least)), 0.0).astype(np.intc)


def changed(
    of: Rows, params: Params, point: Solution, gaps: tuple[FloatArray, FloatArray], cols: Exponents
) -> tuple[Params, Solution, tuple[FloatArray, FloatArray]]:
    """A program, a point, and its slopes (N, n) and slacks (N, m), in units of ``units``."""
    slopes, slacks = gaps[0], gaps[1].copy()
    for name in of.blocks.keys() & {"lb", "ub"}:
        block = of.blocks[name]
        slacks[:, block] = np.ldexp(slacks[:, block], -cols)
    gaps = np.ldexp(slopes, cols), slacks
    return program(of, params, cols), measured(of, point, cols), gaps


def program(of: Rows, params: Params, cols: Exponents) -> Params:
    """Programs in units of ``units``."""
    values, data = Values(of, params), dict(params)
    for name in params.keys() & {"q", "lb", "ub"}:
        data[name] = batched(np.ldexp(values[name], cols if name == "q" else -cols))
    for name in params.keys() & {"P", "A", "G"}:
        pattern = of.patterns.get(name)
        power = cols[:, None] if pattern is None else cols[:, pattern.cols]
        if name == "P":
            power = power + (cols[:, :, None] if pattern is None else cols[:, pattern.rows])
        data[name] = batched(np.ldexp(values[name], power))
    return data


def measured(of: Rows, point: Solution, cols: Exponents) -> Solution:
    """Points of programs in units of ``units``; with ``-cols``, in those of users again."""
    y = point.y.copy()
    for name in of.blocks.keys() & {"lb", "ub"}:
        block = of.blocks[name]
        y[:, block] = np.ldexp(y[:, block], cols)
    return replace(point, x=np.ldexp(point.x, -cols), y=y)


def _compared(values: Values, name: str) -> tuple[FloatArray, Pattern | None]:
    """Sizes of the entries of a block, and their places; zero where a half-line has no other."""
    of, sizes = values.of, np.abs(values[name])
    pattern, there = of.patterns.get(name), sizes > LOST
    block, lines = of.blocks[name], of.cones.zero + of.cones.nonneg  # other cones' rows are alike
    counts = np.zeros((len(sizes), block.stop - block.start))
    if pattern is None:
        counts += np.count_nonzero(there, axis=2)
    else:
        counts += pattern.product(there.astype(np.float64), np.ones((len(sizes), of.n)))
    counts[:, max(lines - block.start, 0) :] = 2.0
    several = counts > 1
    kept = several[:, :, None] if pattern is None else several[:, pattern.rows]
    return np.where(kept, sizes, 0.0), pattern


def _of_cols(sizes: FloatArray, pattern: Pattern | None) -> FloatArray:
    """The largest of each column, (N, n)."""
    if pattern is None:
        return sizes.max(axis=1, initial=0.0)
    return pattern.tops_of_cols(sizes)


def _of_rows(sizes: FloatArray, pattern: Pattern | None, cols: FloatArray) -> FloatArray:
    """The largest of each row, times factors of columns, (N, m)."""
    if pattern is None:
        return (sizes * cols[:, None]).max(axis=2, initial=0.0)
    return pattern.tops_of_rows(sizes * cols[:, pattern.cols])
