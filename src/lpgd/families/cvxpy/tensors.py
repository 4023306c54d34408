"""From CVXPY's parametrised cone program to affine maps in the layout of ``Conic``.

CVXPY stacks, column by column, [A_c b_c] with A_c x + b_c in K, q and P; each is a sparse matrix
times (theta, 1), theta the parameters stacked column by column. So A = -A_c and b = b_c.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse

from lpgd.core.pattern import Pattern
from lpgd.core.solution import IntArray
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


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of CVXPY's tensors that belong to a parameter.

    Attributes
    ----------
    start : int
    entries : sparse (k, size)
        What each column multiplies, as a combination of the entries of the user's parameter,
        counted row by row. CVXPY knows a symmetric parameter by its upper triangle, for which the
        mean of both triangles is taken; a diagonal or sparse one by its entries.
    """

    start: int
    entries: Any

    @classmethod
    def of(cls, program: Any, parameter: Any, final: int) -> "Columns":
        """Columns of the user's parameter, which became the one with the id ``final``."""
        every = np.arange(parameter.size, dtype=np.intp).reshape(tuple[int, ...](parameter.shape))
        if program.param_id_to_size[final] == parameter.size:
            entries = _picked(every.ravel(order="F"), parameter.size)
        else:
            entries = _picked(_lowered(parameter, every), parameter.size)
            if any(parameter.attributes[name] for name in ("symmetric", "PSD", "NSD")):
                mirrored = _picked(_lowered(parameter, every.swapaxes(-1, -2)), parameter.size)
                entries = 0.5 * (entries + mirrored)
        return cls(program.param_id_to_col[final], entries)


def _lowered(parameter: Any, values: IntArray) -> IntArray:
    reduction: Any = import_module("cvxpy.reductions.cvx_attr2constr")
    return np.array(reduction.lower_value(parameter, values), dtype=np.intp).ravel("F")


def _picked(places: IntArray, size: int) -> Any:
    count = len(places)
    return sparse.csr_array((np.ones(count), (np.arange(count), places)), shape=(count, size))


def offset(program: Any, columns: Mapping[str, Columns]) -> Affine:
    """The constant of the objective, (1,)."""
    n = program.x.size
    return _affine(sparse.csr_array(program.q)[n : n + 1], columns)


def maps(
    program: Any, rows: Rows, columns: Mapping[str, Columns]
) -> tuple[dict[str, Affine], dict[str, Pattern]]:
    """Affine maps of P (where the objective is quadratic), q, A and b, and patterns of P and A."""
    n, m = program.x.size, len(rows.places)
    places: dict[str, IntArray] = {}
    tensors: dict[str, Any] = {"q": sparse.csr_array(program.q)[:n]}
    tensors["A"], tensors["b"], places["A"] = _constraints(program.A, rows, n)
    if program.P is not None:
        tensors["P"], places["P"] = _hessian(program.P, n)
    shapes = {"P": (n, n), "A": (m, n)}
    patterns = {k: Pattern(*np.divmod(at, max(n, 1)), shapes[k]) for k, at in places.items()}
    return {name: _affine(tensors[name], columns) for name in sorted(tensors)}, patterns


def _constraints(tensor: Any, rows: Rows, n: int) -> tuple[Any, Any, IntArray]:
    m = len(rows.places)
    entries = sparse.coo_array(tensor)
    cols, old = np.divmod(entries.row.astype(np.int64), max(m, 1))
    row, right = rows.places[old], cols == n
    width = entries.shape[1]
    b = sparse.csr_array((entries.data[right], (row[right], entries.col[right])), shape=(m, width))
    A, places = _stored(-entries.data[~right], (row * n + cols)[~right], entries.col[~right], width)
    return A, b, places


def _hessian(tensor: Any, n: int) -> tuple[Any, IntArray]:
    """P + P' halved, so that the pattern is symmetric and every value is that of a symmetric P."""
    entries = sparse.coo_array(tensor)
    cols, row = np.divmod(entries.row.astype(np.int64), max(n, 1))
    keys = np.concatenate([row * n + cols, cols * n + row])
    halves = np.tile(0.5 * entries.data, 2)
    return _stored(halves, keys, np.tile(entries.col, 2), entries.shape[1])


def _stored(values: Any, keys: IntArray, cols: Any, width: int) -> tuple[Any, IntArray]:
    """The rows of a tensor that are not zero, and their keys in ascending order."""
    present = values != 0
    places, row = np.unique(keys[present], return_inverse=True)
    shape = (len(places), width)
    return sparse.csr_array((values[present], (row, cols[present])), shape=shape), places


def _affine(tensor: Any, columns: Mapping[str, Columns]) -> Affine:
    by_column = sparse.csc_array(tensor)
    constant = np.asarray(by_column[:, [-1]].toarray(), dtype=np.float64)[:, 0]
    parts: dict[str, Linear] = {}
    for name, own in columns.items():
        block = by_column[:, own.start : own.start + own.entries.shape[0]]
        part = sparse.csr_array(block @ own.entries)
        part.eliminate_zeros()
        if part.nnz:
            parts[name] = Linear(part)
    return Affine(constant, parts)
