"""Units in which a badly scaled program is handed to DAQP.

DAQP's tolerances are absolute: a row whose norm in the metric of the inverse Hessian is below 1e-6
is dropped, violations below ``primal_tol`` count as none, and proximal iterations stop on an
absolute residual. Rows of norm 1, a Hessian or costs of size 1, right-hand sides that ask for an x
of size 1 and, where there is no curvature, columns of size 1 make them mean the same in every
user's units. All factors are powers of two, so nothing is rounded; fair sizes are left alone, and
most programs are fair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lpgd.core.params import Param, Params, batched
from lpgd.core.scaling import LOST, SQUARES, Exponents, exponents, exponents_of, fair, lengths
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Rows, Solution, Status
from lpgd.families.qp.qp import QP

SIDES = {"A": "b", "G": "h"}
ROWS = {"b": "A", "h": "G"}
# How far a right-hand side keeps x from the origin, as a function of it.
AWAY: dict[str, Any] = {"b": np.abs, "h": np.negative, "lb": np.positive, "ub": np.negative}
FAR = 60  # binary logarithm of units of variables that no two quantities of a model have
MOST = 500  # binary logarithm of units beyond which products of two numbers overflow or vanish
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Units(Rows):
    """Exponents of two of each element: what DAQP is handed is the user's value times 2^exponent.

    Attributes
    ----------
    cost : (N, 1) int
        Of the objective.
    columns : (N, n) int
        Of x. Variables with curvature share one.
    A, G : (N, m_eq) and (N, m_in) int
        Of the right-hand sides of the rows.
    curve : (N, 1) int
        Of P, in the scaled variables; the same for all elements of a group.
    """

    cost: Exponents
    columns: Exponents
    A: Exponents
    G: Exponents
    curve: Exponents

    @classmethod
    def of(cls, problem: QP, params: Params, *, wide: bool = False) -> Units | None:
        """Exponents for a batch; None where all are 0.

        ``wide`` are those in which the costs alone say how large x is, as right-hand sides that
        are rounding do not.
        """
        norms = {"A": _norms(params, "A"), "G": _norms(params, "G")}
        flat = np.zeros((len(norms["A"]), problem.n), dtype=np.intc)
        costs = np.abs(params["q"].full())
        pull = costs.max(axis=1, initial=0.0)
        curved, straight = np.zeros_like(pull), np.ones(costs.shape, dtype=np.bool_)
        if problem.quadratic:  # the largest entry of a convex Hessian lies on the diagonal
            P = params["P"]
            bends = P.values.diagonal(axis1=1, axis2=2)
            curved, straight = bends.max(axis=1, initial=0.0)[P.index], (bends == 0)[P.index]
        size = _size(params, norms, flat, (pull, curved), wide=wide)
        # of 0 <= h nothing but h has a size
        hollow, sides = dict[str, BoolArray](), list[FloatArray]()
        for name in SIDES.keys() & params.keys():
            hollow[name] = norms[name] == 0
            sides.append(np.abs(params[SIDES[name]].full())[hollow[name]])
        plain = _plain(params, norms, curved, straight)
        sizes = [*sides, size, np.where(curved > 0, curved, pull)]
        if plain.all() and fair(np.concatenate(sizes, axis=None)).all():
            return None
        rows = {name: exponents(norms[name]) for name in SIDES}
        if straight.any():
            if not straight.all():  # which see the rows in the one unit of the others
                rows = {k: exponents(_bent(params, k, ~straight, norms[k])) for k in SIDES}
            flat = -exponents(_tops(params, rows) * (straight & ~plain[:, None]))
            norms = {name: _norms(params, name, flat) for name in SIDES}
            rows = {name: exponents(norms[name]) for name in SIDES}
            size = _size(params, norms, flat, (pull, curved), wide=wide)
        power, curve = exponents(size)[:, None], exponents(curved, step=2)[:, None]
        columns = flat + power
        slope = np.where(costs > 0, np.log2(costs), -np.inf) - columns  # which might underflow
        slope = 2 * exponents_of(0.5 * slope.max(axis=1, initial=-np.inf))[:, None]
        cost = np.where(curved[:, None] > 0, curve + 2 * power, slope)
        for name in SIDES:
            rows[name] += power
        for (name, empty), side in zip(hollow.items(), sides, strict=True):
            rows[name][empty] = exponents(side)
        return cls(cost, columns, rows["A"], rows["G"], curve)

    @property
    def moved(self) -> BoolArray:
        """Elements that are others in these units, (N,)."""
        parts = self.cost, self.columns, self.A, self.G, self.curve
        return np.logical_or.reduce([part.any(axis=1) for part in parts])

    @property
    def far(self) -> BoolArray:
        """Elements in which quantities have units so far apart as those of no model, (N,).

        What is rounding in DAQP's may be the largest force in the user's then, or overflow.
        """
        sides = np.concatenate([self.cost, self.columns, self.A, self.G], axis=1)
        return (np.ptp(self.columns, axis=1) > FAR) | (np.abs(sides).max(axis=1) > MOST)

    def matrices(self, params: Params, group: IntArray, first: IntArray) -> dict[str, Param]:
        """Scaled P, G and A, one for each group."""
        scaled: dict[str, Param] = {}
        if "P" in params:
            P = params["P"].take(first).full()
            scaled["P"] = Param(np.ldexp(P, self.curve[first][:, :, None]), group)
        for name in SIDES:
            if name in params:
                rows, columns = getattr(self, name)[first], self.columns[first]
                power = rows[:, :, None] - columns[:, None]
                scaled[name] = Param(np.ldexp(params[name].take(first).full(), power), group)
        return scaled

    def linear(self, params: Params) -> dict[str, Param]:
        """Scaled costs and right-hand sides."""
        powers = {"q": self.cost - self.columns, "b": self.A, "h": self.G}
        powers |= {"lb": self.columns, "ub": self.columns}
        return {
            name: batched(np.ldexp(params[name].full(), power))
            for name, power in powers.items()
            if name in params
        }

    def enter(self, start: Solution | None) -> Solution | None:
        """A point of the user in DAQP's units."""
        return None if start is None else replace(start, x=np.ldexp(start.x, self.columns))

    def leave(self, problem: QP, solution: Solution) -> Solution:
        """A solution in DAQP's units in those of the user; none where it is infinite in these."""
        powers = {"A": self.A, "G": self.G, "lb": self.columns, "ub": self.columns}
        y = solution.y.copy()
        for name, block in problem.blocks.items():
            y[:, block] = np.ldexp(y[:, block], powers[name] - self.cost)
        x, status = np.ldexp(solution.x, -self.columns), solution.status
        finite = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
        if not finite.all():
            x[~finite], y[~finite] = 0.0, 0.0
            status = np.where(finite, status, Status.NUMERICAL).astype(np.int8)
        return replace(solution, x=x, y=y, status=status)


def _plain(
    params: Params, norms: dict[str, FloatArray], curved: FloatArray, straight: BoolArray
) -> BoolArray:
    """Elements (N,) whose matrices need no units, whatever those beside them need."""
    sizes = [*norms.values(), curved[:, None]]
    sizes += [_tops(params, {}) * straight] if straight.any() else []
    return np.logical_and.reduce([fair(part).all(axis=1) for part in sizes])


def _norms(params: Params, name: str, columns: Exponents | None = None) -> FloatArray:
    """Norms of the rows of a matrix, (N, m); of its columns times 2^-``columns``."""
    if name not in params:
        return np.zeros((len(params["q"].index), 0))
    matrix = params[name]
    values = matrix.values
    if columns is not None:
        values = np.ldexp(matrix.full(), -columns[:, None])
    norms = lengths(values)
    return norms if columns is not None else norms[matrix.index]


def _bent(params: Params, name: str, bent: BoolArray, norms: FloatArray) -> FloatArray:
    """Norms of the rows in variables with curvature, (N, m); of all, where there are none."""
    if name not in params:
        return norms
    values = params[name].full() * bent[:, None]
    some = np.abs(values).max(axis=2, initial=0.0)
    return np.where(some > SQUARES[0], some, norms)


def _tops(params: Params, rows: dict[str, Exponents]) -> FloatArray:
    """Largest entries of columns of both matrices in units of their rows, (N, n); 0 for none."""
    tops = np.zeros_like(params["q"].full())
    for name in SIDES:
        if name in params:
            values, index = params[name].values, params[name].index
            if name in rows:
                values, index = np.ldexp(params[name].full(), rows[name][:, :, None]), slice(None)
            tops = np.maximum(tops, np.abs(values).max(axis=1, initial=0.0)[index])
    return np.where(tops > LOST, tops, 0.0)  # what is next to nothing has no unit


def _size(
    params: Params,
    norms: dict[str, FloatArray],
    columns: Exponents,
    objective: tuple[FloatArray, FloatArray],
    *,
    wide: bool,
) -> FloatArray:
    """How large an x (N,) the data ask for.

    At least what keeps the origin infeasible; beyond that, what the costs ask for and the other
    bounds allow: those have the say by their geometric mean, as some may be there for show.
    """
    least = np.zeros(len(columns))
    caps = [np.zeros((len(columns), 0))]
    for name, away in AWAY.items():
        if name in params:
            side = params[name].full()
            side = np.ldexp(side, columns) if name in ("lb", "ub") else side / norms[ROWS[name]]
            distance = away(np.where(np.isfinite(side), side, 0.0))
            least = np.maximum(least, distance.max(axis=1, initial=0.0))
            if name != "b":
                caps.append(np.maximum(-distance, 0.0))
    pull, curved = objective
    bent = (curved > 0) & (pull > 0)
    wanted = np.where(bent, pull / np.where(bent, curved, 1.0), np.inf)
    reach = np.minimum(wanted, _middle(np.concatenate(caps, axis=1)))
    size = np.where(np.isfinite(reach), np.maximum(least, reach), least)
    # in units of what is rounding beside what the costs ask for, these would be out of all bounds
    floor = 1.0 if wide else EPS
    return np.where(bent & (size > 0), np.maximum(size, floor * wanted), size)


def _middle(caps: FloatArray) -> FloatArray:
    """Geometric mean of the positive entries, (N,); 1 where all are fair, infinite where none.

    Those next to nothing beside others are zeros with rounding.
    """
    present = caps > SQUARES[0] * caps.max(axis=1, initial=0.0, keepdims=True)
    if fair(caps).all():
        return np.where(present.any(axis=1), 1.0, np.inf)
    logs = np.log2(np.where(present, caps, 1.0)).sum(axis=1)
    count = present.sum(axis=1)
    return np.where(count > 0, np.exp2(logs / np.maximum(count, 1)), np.inf)
