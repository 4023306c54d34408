"""Products of vectors with the data of a batch of programs.

C stacks blocks: matrices (``A``, ``G``), dense or on a pattern, and bounds (-I for ``lb``, I for
``ub``). r stacks their right-hand sides b, h, -lb and ub.
"""

from typing import final

import numpy as np

from lpgd.core.params import Param, Params
from lpgd.core.scaling import LOST
from lpgd.core.solution import FloatArray
from lpgd.families.quadratic.rows import Rows

# Right-hand side of each block of multipliers, and the sign with which it enters L.
SIDES = {"A": ("b", -1.0), "G": ("h", -1.0), "lb": ("lb", 1.0), "ub": ("ub", -1.0)}


SMALL = 1e-3  # sizes below this, relative to the largest, are no measure of error
ROUNDING = 64 * np.finfo(np.float64).eps  # of terms that cancel
TINY = np.finfo(np.float64).tiny  # numbers below have lost digits, and measure nothing


@final
class Values(dict[str, FloatArray]):
    """Data of a batch of N programs by argument, one value an element; each is fetched once."""

    def __init__(self, of: Rows, params: Params) -> None:
        super().__init__()
        self.of, self.params = of, params

    def __missing__(self, name: str) -> FloatArray:
        param = self.params[name]
        alone = len(param.values) == len(param.index) == 1
        self[name] = found = param.values if alone else param.full()
        return found

    def curve(self, x: FloatArray) -> FloatArray:
        """P x, (N, n)."""
        return self._times("P", x) if self.of.quadratic else np.zeros_like(x)

    def diagonal(self) -> FloatArray:
        """The diagonal of P, (N, n)."""
        if not self.of.quadratic:
            return np.zeros((1, self.of.n))
        pattern = self.of.patterns.get("P")
        if pattern is None:
            return self["P"].diagonal(axis1=1, axis2=2)
        found, on = (
            np.zeros((len(self["P"]), self.of.n)),
            np.flatnonzero(pattern.rows == pattern.cols),
        )
        found[:, pattern.rows[on]] = self["P"][:, on]
        return found

    def product(self, x: FloatArray) -> FloatArray:
        """C x, (N, n) to (N, m)."""
        parts = [
            self._times(name, x) if name in "AG" else -SIDES[name][1] * x for name in self.of.blocks
        ]
        return parts[0] if len(parts) == 1 else np.concatenate([x[:, :0], *parts], axis=1)

    def transposed_product(self, y: FloatArray) -> FloatArray:
        """C'y, (N, m) to (N, n)."""
        total = np.zeros((len(y), self.of.n))
        for name, block in self.of.blocks.items():
            part = y[:, block]
            if name in self.of.patterns:
                total += self.of.patterns[name].transposed_product(self[name], part)
            elif name in "AG":
                total += (part[:, None, :] @ self[name])[:, 0]
            else:
                total -= SIDES[name][1] * part
        return total

    def folded(self, dx: FloatArray, ds: FloatArray) -> FloatArray:
        """dx - C'ds, (N, n), where terms cancel within rounding exactly zero."""
        sum_ = dx - self.transposed_product(ds)
        terms = np.abs(dx) + self.absolute().pull(ds)
        return np.where(np.abs(sum_) <= ROUNDING * terms, 0.0, sum_)

    def sides(self) -> FloatArray:
        """r, (N, m)."""
        parts = [-sign * self[rhs] for rhs, sign in map(SIDES.__getitem__, self.of.blocks)]
        size = len(self.params["q"].index)
        return parts[0] if len(parts) == 1 else np.concatenate([np.zeros((size, 0)), *parts], 1)

    def _times(self, name: str, x: FloatArray) -> FloatArray:
        if name in self.of.patterns:
            return self.of.patterns[name].product(self[name], x)
        return (self[name] @ x[:, :, None])[..., 0]

    def absolute(self) -> "Values":
        """Sizes of the entries of the matrices."""
        names = self.params.keys() & {"P", "A", "G"}
        return Values(self.of, {**self.params, **{k: _sizes(self.params[k]) for k in names}})

    def pull(self, y: FloatArray) -> FloatArray:
        """|C|'|y|, (N, m) to (N, n); of ``absolute`` ones."""
        y = np.abs(y)
        if "lb" in self.of.blocks:  # whose rows are -I
            y[:, self.of.blocks["lb"]] *= -1
        return self.transposed_product(y)

    def distances(self, sides: FloatArray) -> FloatArray:
        """How far from zero an x of equal entries meets each row, (N, m); of ``absolute`` ones.

        Rows of entries that are nothing are met nowhere.
        """
        sums = self.product(np.ones((len(sides), self.of.n)))
        return np.where(np.abs(sums) >= LOST, np.abs(sides / sums), np.inf)

    def counts(self) -> FloatArray:
        """How many entries each row has, (N, m)."""
        there = {name: _there(self.params[name]) for name in self.params.keys() & {"A", "G"}}
        ones = np.ones((len(self.params["q"].index), self.of.n))
        return np.abs(Values(self.of, {**self.params, **there}).product(ones))

    def bend(self) -> FloatArray:
        """Where costs and curvature balance, (N,); 0 where they do not meet; of ``absolute``."""
        curve = self.curve(np.ones((1, self.of.n)))
        pull = np.where(curve > 0, np.abs(self["q"]), 0.0)
        bend = pull.max(axis=1, initial=0.0) / curve.max(axis=1, initial=0.0)
        return np.where(np.isfinite(bend), bend, 0.0)


def nearest(distances: FloatArray) -> FloatArray:
    """The least distance of rows that do not pass through zero, (N,); infinite without any."""
    return np.where(distances >= TINY, distances, np.inf).min(axis=1, initial=np.inf)


def unit(distances: FloatArray, bend: FloatArray) -> FloatArray:
    """The size of x that data suggest, (N,)."""
    near = nearest(distances)
    return np.where(np.isfinite(near), near, np.where(bend > 0, bend, 1.0))


def _there(param: Param) -> Param:
    return Param((param.values != 0).astype(np.float64), param.index)


def _sizes(param: Param) -> Param:
    if len(param.values) > len(param.index):
        return Param(np.abs(param.full()), np.arange(len(param.index)))
    return Param(np.abs(param.values), param.index)
