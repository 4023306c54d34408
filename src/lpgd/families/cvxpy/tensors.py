"""From CVXPY's parametrised cone program to affine maps in the layout of ``Conic``.

CVXPY stacks, column by column, [A_c b_c] with A_c x + b_c in K, q and P; each is a sparse matrix
times (theta, 1), theta the parameters stacked column by column. So A = -A_c and b = b_c.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple, cast

import numpy as np
from scipy import sparse

from lpgd.core.pattern import Pattern, totals
from lpgd.core.solution import FloatArray, IntArray
from lpgd.families.conic.cones import Cones
from lpgd.families.cvxpy.affine import Affine, Linear

ORDER = ("zero", "nonneg", "soc", "psd", "exp", "power")


@dataclass(frozen=True, eq=False)
class Rows:
    """Where the rows of CVXPY's program lie in ours.

    Attributes
    ----------
    cones : Cones
    places : (m,) int
        Our row of each of CVXPY's.
    blocks : mapping from id of a constraint to slice
        CVXPY's rows of each constraint.
    """

    cones: Cones
    places: IntArray
    blocks: Mapping[int, slice]

    @classmethod
    def of(cls, program: Any) -> "Rows":
        """Read CVXPY's cones; a second-order cone of one row is a nonnegative number."""
        dims = program.cone_dims
        listed: list[tuple[str, int]] = [("zero", dims.zero), ("nonneg", dims.nonneg)]
        listed += [("soc" if size > 1 else "nonneg", size) for size in dims.soc]
        listed += [("psd", order * (order + 1) // 2) for order in dims.psd]
        listed += [("exp", 3)] * dims.exp + [("power", 3)] * len(dims.p3d)
        kinds = np.repeat([ORDER.index(kind) for kind, _ in listed], [size for _, size in listed])
        places = np.empty(len(kinds), dtype=np.intp)
        places[np.argsort(kinds, kind="stable")] = np.arange(len(kinds))
        soc = tuple(size for size in dims.soc if size > 1)
        cones = Cones(
            zero=dims.zero,
            nonneg=dims.nonneg + len(dims.soc) - len(soc),
            soc=soc,
            psd=tuple(dims.psd),
            exp=dims.exp,
            power=tuple(float(alpha) for alpha in dims.p3d),
        )
        ends = np.cumsum([0] + [constraint.size for constraint in program.constraints])
        blocks = {c.id: slice(a, b) for c, a, b in zip(program.constraints, ends, ends[1:])}  # noqa: B905
        return cls(cones, places, blocks)


class Entries(NamedTuple):
    """Entries of a sparse matrix; those of one place are summed."""

    values: FloatArray
    rows: IntArray
    cols: IntArray
    shape: tuple[int, int]

    @classmethod
    def of(cls, tensor: Any) -> "Entries":
        """Of a scipy matrix."""
        by_cols: Any = tensor if tensor.format == "csc" else tensor.tocsc()
        counts = cast(IntArray, np.diff(by_cols.indptr))
        cols = np.repeat(np.arange(len(counts)), counts)
        return cls(by_cols.data, by_cols.indices.astype(np.intp), cols, by_cols.shape)

    def some(self, chosen: Any, rows: IntArray, count: int) -> "Entries":
        """Chosen ones, in other ``rows``, of which there are ``count``."""
        return Entries(self.values[chosen], rows, self.cols[chosen], (count, self.shape[1]))


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of CVXPY's tensors that belong to a parameter.

    Attributes
    ----------
    start : int
    entries : tuple of (k,) int
        The entry of the user's parameter, counted row by row, that each column multiplies; where
        there are several, their mean. CVXPY knows a symmetric parameter by its upper triangle, for
        which the mean of both triangles is taken; a diagonal or sparse one by its entries.
    size : int
        Of the parameter.
    """

    start: int
    entries: tuple[IntArray, ...]
    size: int

    @classmethod
    def of(cls, program: Any, parameter: Any, final: int) -> "Columns":
        """Columns of the user's parameter, which became the one with the id ``final``."""
        every = np.arange(parameter.size, dtype=np.intp).reshape(tuple[int, ...](parameter.shape))
        if program.param_id_to_size[final] == parameter.size:
            entries = [every.ravel(order="F")]
        else:
            entries = [_lowered(parameter, every)]
            if any(parameter.attributes[name] for name in ("symmetric", "PSD", "NSD")):
                entries.append(_lowered(parameter, every.swapaxes(-1, -2)))
        return cls(program.param_id_to_col[final], tuple(entries), parameter.size)

    def part(self, tensor: Entries) -> Any:
        """What of a tensor multiplies the parameter, (rows, size); None for nothing."""
        mine = np.flatnonzero(
            (tensor.cols >= self.start) & (tensor.cols < self.start + len(self.entries[0]))
        )
        if not len(mine):
            return None
        at, count = tensor.cols[mine] - self.start, len(self.entries)
        values = np.tile(tensor.values[mine] / count, count)
        cols = np.concatenate([places[at] for places in self.entries])
        keys, place = np.unique(
            np.tile(tensor.rows[mine], count) * self.size + cols, return_inverse=True
        )
        sums = totals(place, values, len(keys))
        rows, cols = np.divmod(keys[sums != 0], self.size)
        starts = np.searchsorted(rows, np.arange(tensor.shape[0] + 1))
        form = sums[sums != 0], cols, starts
        return sparse.csr_array(form, shape=(tensor.shape[0], self.size)) if len(rows) else None


def _lowered(parameter: Any, values: IntArray) -> IntArray:
    reduction: Any = import_module("cvxpy.reductions.cvx_attr2constr")
    return np.array(reduction.lower_value(parameter, values), dtype=np.intp).ravel("F")


def maps(
    program: Any, rows: Rows, columns: Mapping[str, Columns]
) -> tuple[dict[str, Affine], dict[str, Pattern], Affine]:
    """Affine maps of P (where the objective is quadratic), q, A and b, and patterns of P and A.

    The last one is the constant of the objective, (1,).
    """
    n, m = program.x.size, len(rows.places)
    costs, places = Entries.of(program.q), dict[str, IntArray]()
    linear, last = np.flatnonzero(costs.rows < n), np.flatnonzero(costs.rows == n)
    tensors = {"q": costs.some(linear, costs.rows[linear], n)}
    tensors["A"], tensors["b"], places["A"] = _constraints(Entries.of(program.A), rows, n)
    if program.P is not None:
        tensors["P"], places["P"] = _hessian(Entries.of(program.P), n)
    shapes = {"P": (n, n), "A": (m, n)}
    patterns = {k: Pattern(*np.divmod(at, max(n, 1)), shapes[k]) for k, at in places.items()}
    offset = _affine(costs.some(last, np.zeros_like(last), 1), columns)
    return {name: _affine(tensors[name], columns) for name in sorted(tensors)}, patterns, offset


def _constraints(tensor: Entries, rows: Rows, n: int) -> tuple[Entries, Entries, IntArray]:
    m = len(rows.places)
    cols, old = np.divmod(tensor.rows, max(m, 1))
    row, right = rows.places[old], cols == n
    b = tensor.some(right, row[right], m)
    left = tensor.some(~right, (row * n + cols)[~right], 0)
    A, places = _stored(left._replace(values=-left.values))
    return A, b, places


def _hessian(tensor: Entries, n: int) -> tuple[Entries, IntArray]:
    """P + P' halved, so that the pattern is symmetric and every value is that of a symmetric P."""
    cols, row = np.divmod(tensor.rows, max(n, 1))
    keys = np.concatenate([row * n + cols, cols * n + row])
    twice = Entries(np.tile(0.5 * tensor.values, 2), keys, np.tile(tensor.cols, 2), tensor.shape)
    return _stored(twice)


def _stored(tensor: Entries) -> tuple[Entries, IntArray]:
    """The rows of a tensor that are not zero, and which those are, in ascending order."""
    present = np.flatnonzero(tensor.values)
    places, rows = np.unique(tensor.rows[present], return_inverse=True)
    return tensor.some(present, rows, len(places)), places


def _affine(tensor: Entries, columns: Mapping[str, Columns]) -> Affine:
    count, width = tensor.shape
    fixed = tensor.cols == width - 1
    constant = totals(tensor.rows[fixed], tensor.values[fixed], count)
    parts = {name: own.part(tensor) for name, own in columns.items()}
    return Affine(constant, {k: Linear(part) for k, part in parts.items() if part is not None})
