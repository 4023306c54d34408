"""A batch of LPs in units that HiGHS can rely on, and its answers in our signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lpgd.core.params import Params
from lpgd.core.scaling import FAIR
from lpgd.core.solution import FloatArray
from lpgd.engines.highs.matrix import Exponents, Matrix
from lpgd.engines.highs.run import LP
from lpgd.families.qp.qp import QP


@dataclass(frozen=True)
class Batch:
    """Data of a batch, each element in units of its own."""

    problem: QP
    matrix: Matrix
    cost: FloatArray  # (N, n)
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray  # (N, M)
    row_upper: FloatArray
    zoom: Exponents  # (N, 2)
    coarse: Exponents

    @classmethod
    def of(cls, problem: QP, params: Params, matrix: Matrix) -> Batch:
        """Gather the linear terms of a batch."""
        cost = params["q"].full()
        above = [params[rhs].full() for rhs in ("b", "h") if rhs in params]
        below = [params["b"].full()] if "b" in params else []
        below += [np.full(params["h"].full().shape, -np.inf)] if "h" in params else []
        none = np.zeros((len(cost), 0))
        row_lower, row_upper = (np.concatenate([none, *side], axis=1) for side in (below, above))
        lower, upper = _bound(params, "lb", cost, -np.inf), _bound(params, "ub", cost, np.inf)
        units = matrix.units
        if units is not None:
            rows, columns = units.rows[matrix.group], units.columns[matrix.group]
            cost = np.ldexp(cost, -columns)
            lower, upper = np.ldexp(lower, columns), np.ldexp(upper, columns)
            row_lower, row_upper = np.ldexp(row_lower, rows), np.ldexp(row_upper, rows)
        zoom, coarse = zip(_zoom(row_upper, lower, upper), _zoom(cost), strict=True)
        return cls(
            problem, matrix, cost, lower, upper, row_lower, row_upper,
            np.stack(zoom, axis=1), np.stack(coarse, axis=1),
        )  # fmt: skip

    def lp(self, row: int, zoom: Exponents) -> LP:
        """One element."""
        matrix, (point, money) = self.matrix, zoom[row].tolist()
        return LP(
            self.cost[row], self.lower[row], self.upper[row],
            self.row_lower[row], self.row_upper[row],
            matrix.layout.starts, matrix.layout.cols, matrix.scaled(row), point, money,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of elements, rows and columns."""
        return (len(self.cost), *self.matrix.layout.shape)

    def leave(self, x: FloatArray) -> FloatArray:
        """Points or directions in the user's units."""
        units = self.matrix.units
        return x if units is None else np.ldexp(x, -units.columns[self.matrix.group])

    def multipliers(self, rows: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """(y, z, mu_l, mu_u) in the user's units, of those of rows and bounds in ours."""
        equalities = self.problem.block(rows, "A")
        rest = slice(equalities.shape[1], None)
        parts = {
            "A": equalities,
            "G": _push(rows[:, rest], self.row_upper[:, rest]),
            "lb": _push(lower, self.lower),
            "ub": _push(upper, self.upper),
        }
        units = self.matrix.units
        if units is not None:
            lift, columns = units.rows[self.matrix.group], units.columns[self.matrix.group]
            lifts = {"A": lift[:, : rest.start], "G": lift[:, rest]}
            with np.errstate(all="ignore"):
                parts = {k: np.ldexp(part, lifts.get(k, columns)) for k, part in parts.items()}
        return np.concatenate([rows[:, :0], *(parts[name] for name in self.problem.blocks)], axis=1)


def _zoom(*parts: FloatArray) -> tuple[Exponents, Exponents]:
    """Powers of two for each element; those of use, and coarse ones.

    Where all data are small the largest comes near 1, and where all are large the smallest: finer
    units than needed find the same solution, coarser ones a wrong one. Infinities and zeros are no
    sizes. Coarse units bring the largest near 1.
    """
    largest, smallest = np.zeros(len(parts[0])), np.full(len(parts[0]), np.inf)
    for part in parts:
        sizes = np.abs(part)
        some = np.isfinite(sizes) & (sizes > 0)
        largest = np.maximum(largest, sizes.max(axis=1, initial=0.0, where=some))
        smallest = np.minimum(smallest, sizes.min(axis=1, initial=np.inf, where=some))
    up = (largest > 0) & (largest < 1 / FAIR)
    down = np.isfinite(smallest) & (smallest > FAIR)
    size = np.where(up, largest, np.where(down, smallest, 1.0))
    large = np.where(largest > FAIR, largest, size)
    return _near_one(size), _near_one(large)


def _near_one(sizes: FloatArray) -> Exponents:
    return np.where(sizes == 1.0, 0, -np.frexp(sizes)[1])


def _bound(params: Params, name: str, cost: FloatArray, missing: float) -> FloatArray:
    return params[name].full() if name in params else np.full(cost.shape, missing)


def _push(multipliers: FloatArray, bound: FloatArray) -> FloatArray:
    """Multipliers >= 0 of one-sided bounds; an infinite bound has none."""
    return np.where(np.isfinite(bound), np.maximum(multipliers, 0.0), 0.0)
