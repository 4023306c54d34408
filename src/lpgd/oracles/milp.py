"""Integer and linear programs with fixed rows as oracles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status
from lpgd.oracles.base import SetOracle, refuse
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
        x, status, flag = self.program.solve(q, self.limits)
        if x is not None:
            x = (x if self.lift is None else x @ self.lift).reshape(cost.shape)
        return Outcome(x, status, flag)


def replied(costs: FloatArray, solve: Callable[[FloatArray], Outcome]) -> Reply:
    """The outcomes of each element as one reply."""
    x = np.zeros(costs.shape)
    status, flags = np.zeros(len(costs), dtype=np.int8), np.zeros(len(costs), dtype=np.uint8)
    for row, cost in enumerate(costs):
        found, status[row], flags[row] = solve(cost)
        if found is not None:
            x[row] = found
        elif status[row] == Status.OPTIMAL:
            status[row] = Status.NUMERICAL
    return Reply(x, status if status.any() else None, flags if flags.any() else None)


def limits(gap: float, nodes: int, seconds: float) -> tuple[tuple[str, Any], ...]:
    """Options of HiGHS for a relative gap, a limit of nodes and one of seconds; 0 is none."""
    found: list[tuple[str, Any]] = [("mip_rel_gap", float(gap))] if gap else []
    if nodes:
        found.append(("mip_max_nodes", int(nodes)))
    if seconds:
        found.append(("time_limit", float(seconds)))
    return tuple(found)


def stacked(G: Any, h: Any, A: Any, b: Any) -> tuple[Any, tuple[FloatArray, FloatArray]]:
    """The rows Ax = b, then Gx <= h, as C and its two sides."""
    parts, lower, upper = list[Any](), list[FloatArray](), list[FloatArray]()
    for matrix, side, equal in ((A, b, True), (G, h, False)):
        if (matrix is None) != (side is None):
            raise ValueError("G comes with h, and A with b")
        if matrix is not None:
            rows = sparse.csr_array(np.atleast_2d(matrix) if _dense(matrix) else matrix)
            values = np.broadcast_to(np.asarray(side, dtype=np.float64), (rows.shape[0],))
            parts.append(rows)
            lower.append(values if equal else np.full(len(values), -np.inf))
            upper.append(values)
    if not parts:
        raise ValueError("a program needs G and h, or A and b")
    if len({part.shape[1] for part in parts}) > 1:
        raise ValueError(f"G and A have {parts[1].shape[1]} and {parts[0].shape[1]} columns")
    return sparse.vstack(parts), (np.concatenate(lower), np.concatenate(upper))


def _dense(matrix: Any) -> bool:
    return not sparse.issparse(matrix)


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
        self.program = Program.of(matrix, sides, (lb, ub), integer)
        self.shape = (self.program.n,)
        self.limits = limits(relative_gap, node_limit, time_limit)
        self.gap = np.inf if node_limit or time_limit else max(relative_gap, 1e-9)

    def __repr__(self) -> str:
        return f"MILP(n={self.program.n}, rows={len(self.program.row_lower)})"
