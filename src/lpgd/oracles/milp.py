"""Integer and linear programs with fixed rows as oracles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from lpgd.core.options import array
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status
from lpgd.oracles.base import SetOracle, refuse
from lpgd.oracles.checks import count, entries, limit
from lpgd.oracles.program import Outcome, Program


class ProgramOracle(SetOracle):
    """A ``Program`` that is solved once an element. Features of its solution may bear the costs."""

    program: Program
    limits: tuple[tuple[str, Any], ...] = ()
    lift: Any = None
    """(n, d) sparse: the program's costs are ``fixed + lift c``, its answer ``lift.T x``."""
    fixed: FloatArray | float = 0.0

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        return replied(costs, self._solve_one)

    def _solve_one(self, cost: FloatArray) -> Outcome:
        flat = cost.ravel()
        q = (flat if self.lift is None else self.lift @ flat) + self.fixed
        found = self.program.solve(q, self.limits)
        if found.x is None:
            return found
        x = found.x if self.lift is None else found.x @ self.lift
        return found._replace(x=x.reshape(cost.shape))


def replied(costs: FloatArray, solve: Callable[[FloatArray], Outcome]) -> Reply:
    """The outcomes of each element as one reply."""
    x = np.zeros(costs.shape)
    status, flags = np.zeros(len(costs), dtype=np.int8), np.zeros(len(costs), dtype=np.uint8)
    notes = dict[int, str]()
    for row, cost in enumerate(costs):
        found = solve(cost)
        status[row], flags[row] = found.status, found.flag
        if found.x is not None:
            x[row] = found.x
        elif found.status == Status.OPTIMAL:
            status[row] = Status.NUMERICAL
        if found.note:
            notes[row] = found.note
    return Reply(x, status if status.any() else None, flags if flags.any() else None, notes)


def limits(gap: float, nodes: int, seconds: float) -> tuple[tuple[str, Any], ...]:
    """Options of HiGHS for a relative gap, a limit of nodes and one of seconds; 0 is none.

    Raises
    ------
    ValueError
    """
    asked = (
        ("mip_rel_gap", limit("relative_gap", gap)),
        ("mip_max_nodes", count("node_limit", nodes, least=0)),
        ("time_limit", limit("time_limit", seconds)),
    )
    return tuple((name, value) for name, value in asked if value)


def stacked(G: Any, h: Any, A: Any, b: Any) -> tuple[Any, tuple[FloatArray, FloatArray]]:
    """The rows Ax = b, then Gx <= h, as C and its two sides.

    Raises
    ------
    ValueError
    """
    parts, lower, upper = list[Any](), list[FloatArray](), list[FloatArray]()
    for name, matrix, side, equal in (("A", A, b, True), ("G", G, h, False)):
        if (matrix is None) != (side is None):
            raise ValueError("G comes with h, and A with b")
        if matrix is not None:
            rows = _rows(name, matrix)
            values = entries("b" if equal else "h", side, rows.shape[0])
            if equal and not np.isfinite(values).all():
                raise ValueError("b must be finite")
            parts.append(rows)
            lower.append(values if equal else np.full(len(values), -np.inf))
            upper.append(values)
    if not parts:
        raise ValueError("a program needs G and h, or A and b")
    if len({part.shape[1] for part in parts}) > 1:
        raise ValueError(f"G and A have {parts[1].shape[1]} and {parts[0].shape[1]} columns")
    return sparse.vstack(parts), (np.concatenate(lower), np.concatenate(upper))


def _rows(name: str, matrix: Any) -> Any:
    given: Any = matrix if sparse.issparse(matrix) else np.atleast_2d(array(name, matrix))
    if given.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, got shape {given.shape}")
    rows: Any = sparse.csr_array(given)
    if not np.isfinite(array(name, rows.data)).all():
        raise ValueError(f"{name} must be finite")
    return rows


@public("lpgd.oracles")
class MILP(ProgramOracle):
    """minimise <c, x> subject to Gx <= h, Ax = b, lb <= x <= ub, some entries whole; by HiGHS.

    Costs (B, n). Exact up to ``relative_gap`` and HiGHS's tolerances (1e-9 of the largest cost). A
    limit of nodes is deterministic. One of seconds is not: answers then depend on the machine and
    its load. The best point known when a limit is reached is used and flagged
    (``layer.stats.incumbents``); an element without one has failed.

    Parameters
    ----------
    G, h, A, b : arrays (m, n) and (m,); matrices may be scipy's sparse ones
        Inequalities and equalities; one pair may be missing.
    lb, ub : float or (n,)
    integer : bool or (n,) bool
        Which entries are whole numbers.
    relative_gap : float
    node_limit : int
        0 is none.
    time_limit : float
        Seconds an element; 0 is none.
    """

    def __init__(  # noqa: PLR0913
        self, G: Any = None, h: Any = None, A: Any = None, b: Any = None, *,
        lb: Any = 0.0, ub: Any = np.inf, integer: Any = True,
        relative_gap: float = 0.0, node_limit: int = 0, time_limit: float = 0.0,
    ) -> None:  # fmt: skip
        matrix, sides = stacked(G, h, A, b)
        bounds = entries("lb", lb, matrix.shape[1]), entries("ub", ub, matrix.shape[1])
        whole = np.asarray(integer)
        if whole.dtype != np.bool_ or whole.shape not in ((), bounds[0].shape):
            raise ValueError(f"integer must be a bool or {matrix.shape[1]} of them")
        self.program = Program.of(matrix, sides, bounds, whole)
        self.shape = (self.program.n,)
        self.limits = limits(relative_gap, node_limit, time_limit)
        self.gap = np.inf if node_limit or time_limit else max(relative_gap, 1e-9)

    def __repr__(self) -> str:
        return f"MILP(n={self.program.n}, rows={len(self.program.row_lower)})"
