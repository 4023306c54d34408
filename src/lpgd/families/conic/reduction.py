"""Cone programs without the variables that a row of equality defines, as dense arrays.

CVXPY writes sum_squares(Fx - g) with variables r = Fx - g. Such a variable enters no other row and
meets no remaining variable in P, so that its row gives it, and stationarity the row's multiplier:

    x_J = D^-1 (b_R - C x_N),    y_R = -D^-1 (P_JJ x_J + q_J),    D = A_RJ diagonal, C = A_RN.

Which variables go is a matter of the patterns alone; where a value in D is zero the reduced data
are not finite, and Newton's method on them fails. Solvers get a reduced program only where D is
known to be constant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar, cast, final

import numpy as np

from lpgd.core.params import Param, Params, distinct, taken
from lpgd.core.pattern import Pattern
from lpgd.core.scaling import exponents, top
from lpgd.core.solution import FloatArray, IntArray, Rows, Solution
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.equations import Dense, Point
from lpgd.families.conic.tops import Layout, tops
from lpgd.families.quadratic.structure import Structure

Program = TypeVar("Program", bound=Structure)
SLIGHT = 1e-6  # slacks this small, relative to b, are zero
IDLE = 1e-3  # multipliers this small, relative to q, may be what a rough solution leaves of none
MOST = 40  # binary logarithm of the factor of the objective
Linear = tuple[FloatArray, FloatArray]
"""q (N, n) and b (N, m)."""


@final
@dataclass(frozen=True)
class Matrices(Rows):
    """Reduced matrices of N elements, and what turns linear terms and points into each other.

    Attributes
    ----------
    P : (N, n - k, n - k) float64
    A : (N, m - k, n - k) float64
    back : (N, k, n - k) float64
        -D^-1 C.
    pivots : (N, k) float64
        D.
    curve : (N, k, k) float64
        P_JJ.
    units : (N,) float64
        Powers of two by which the objective is multiplied.
    """

    P: FloatArray
    A: FloatArray
    back: FloatArray
    pivots: FloatArray
    curve: FloatArray
    units: FloatArray

    def spread(self, group: IntArray) -> Matrices:
        """Those that each of several elements uses; views, where it is one for all."""
        size = len(group)
        if len(self.units) > 1:
            return self.take(group)
        if size == 1:
            return self
        return Matrices(*(np.broadcast_to(a, (size, *a.shape[1:])) for a in vars(self).values()))

    def augmented(self, kept: FloatArray, gone: FloatArray) -> Matrices:
        """With diagonals (N, n - k) and (N, k) added to P_NN and P_JJ."""
        kept, gone = (_diagonal(part * self.units[:, None]) for part in (kept, gone))
        curve = np.ascontiguousarray(self.back.swapaxes(1, 2)) @ (gone @ self.back)
        return replace(self, P=self.P + kept + curve, curve=self.curve + gone)


@final
@dataclass(frozen=True, eq=False)
class Reduction(Generic[Program]):
    """Which variables and rows of a cone program go.

    Attributes
    ----------
    conic : Conic
    cones : Cones
        Of the rows that stay.
    gone, kept : (k,), (n - k,) int
        Variables.
    used, rest : (k,), (m - k,) int
        Rows of the zero cone that define them, and the others.
    """

    conic: Program
    cones: Cones
    gone: IntArray
    kept: IntArray
    used: IntArray
    rest: IntArray

    @classmethod
    def of(cls, conic: Program) -> Reduction[Program]:
        """Of a program's patterns; dense matrices leave everything."""
        gone, used = _defined(conic)
        kept, rest = np.arange(conic.n), np.arange(conic.m)
        if len(gone) == conic.n:
            gone, used = gone[:0], used[:0]
        cones = replace(conic.cones, zero=conic.cones.zero - len(used))
        return cls(conic, cones, gone, np.setdiff1d(kept, gone), used, np.setdiff1d(rest, used))

    @classmethod
    def whole(cls, conic: Program) -> Reduction[Program]:
        """That which leaves everything."""
        none = np.zeros(0, dtype=np.intp)
        return cls(conic, conic.cones, none, np.arange(conic.n), none, np.arange(conic.m))

    @cached_property
    def layout(self) -> Layout:
        """Of the reduced program."""
        return Layout(self.cones, tops(self.conic, self.cones, self.kept, self.rest))

    @property
    def usual(self) -> int:
        """About the size of a Newton matrix: variables, and rows that hold with equality."""
        held = {"zero": 1.0, "nonneg": 0.5, "psd": 0.25, "exp": 1 / 3, "power": 1 / 3}
        rows = sum(
            1.0 if kind == "soc" else held[kind] * (stop - start)
            for kind, start, stop in self.cones.blocks()
        )
        return len(self.kept) + int(rows)

    @cached_property
    def program(self) -> Program | None:
        """The reduced program, if it exists for all data and has no more entries; else None."""
        conic, given = self.conic, self.conic.patterns
        if conic.fixed is None or not (len(self.gone) and len(self.rest)):
            return None
        fixed = given["A"].matrix(conic.fixed.astype(np.float64))
        if not fixed[self.used, self.gone].all():
            return None
        A = given["A"].ones
        patterns = {"A": Pattern.of(A[self.rest][:, self.kept])}
        if conic.quadratic:
            P, back = given["P"].ones, A[self.used][:, self.kept]
            fill = back.T @ P[self.gone][:, self.gone] @ back
            patterns["P"] = Pattern.of(P[self.kept][:, self.kept] + fill)
        more = sum(len(patterns[name].rows) - len(given[name].rows) for name in patterns)
        if more > 0:
            return None
        n = len(self.kept)
        changed = cast(Any, replace)
        return changed(conic, n=n, cones=self.cones, patterns=patterns, fixed=None, own=None)

    def matrices(self, params: Params) -> Matrices:
        """Reduced matrices of every element."""
        group, first = distinct(params, ("P", "A"))
        if len(first) == len(group):
            return self._matrices(params)
        some = self._matrices(taken(params, first))
        return some.spread(group)

    def _matrices(self, params: Params) -> Matrices:
        conic, size = self.conic, len(params["q"].index)
        full = {"P": np.zeros((1, conic.n, conic.n))}
        for name in sorted(params.keys() & {"P", "A"}):
            values, pattern = params[name].values, conic.patterns.get(name)
            dense = values if pattern is None else pattern.dense(values)
            full[name] = Param(dense, params[name].index).full()
        A, whole = full["A"], (size, conic.n, conic.n)
        P = full["P"] if len(full["P"]) == size else np.broadcast_to(full["P"], whole)
        J, N, R, units = self.gone, self.kept, self.used, np.ones(size)
        if not len(J):
            return Matrices(P, A, P[:, :0], P[:, 0, :0], P[:, :0, :0], units)
        pivots, curve = np.ascontiguousarray(A[:, R, J]), _part(P, J, J)
        with np.errstate(all="ignore"):
            back = -_part(A, R, N) / pivots[..., None]
            reduced = _part(P, N, N) + np.ascontiguousarray(back.swapaxes(1, 2)) @ (curve @ back)
        return Matrices(reduced, _part(A, self.rest, N), back, pivots, curve, units)

    def balanced(
        self, matrices: Matrices, params: Params, y: FloatArray, slacks: FloatArray
    ) -> Matrices:
        """In units in which the multipliers and the slacks of a point have one size."""
        units = balance(params, y, slacks)
        if not (units != 1).any():
            return matrices
        factor = units[:, None, None]
        P, curve = matrices.P * factor, matrices.curve * factor
        return replace(matrices, P=P, curve=curve, units=units)

    def data(self, matrices: Matrices, linear: Linear) -> Dense:
        """Reduced data with these linear terms."""
        q, b = linear[0] * matrices.units[:, None], linear[1]
        if not len(self.gone):
            return Dense(matrices.P, q, matrices.A, b)
        with np.errstate(all="ignore"):
            at = b.take(self.used, axis=1) / matrices.pivots
            slope = q.take(self.gone, axis=1) + (matrices.curve @ at[..., None])[..., 0]
            q = q.take(self.kept, axis=1) + (slope[:, None] @ matrices.back)[:, 0]
        return Dense(matrices.P, q, matrices.A, b.take(self.rest, axis=1))

    def enter(self, matrices: Matrices, point: Solution, slacks: FloatArray) -> Point:
        """A saddle point of the program as one of the reduced program, of unknown error."""
        s, y = slacks.take(self.rest, axis=1), point.y.take(self.rest, axis=1)
        y = y * matrices.units[:, None]
        return Point(point.x.take(self.kept, axis=1), y - s, y, np.full(len(point), np.inf))

    def leave(
        self, matrices: Matrices, linear: Linear, kept: FloatArray, y: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """x and y of the program from those of the reduced one."""
        if not len(self.gone):
            return kept, y / matrices.units[:, None]
        x, full = np.empty_like(linear[0]), np.empty_like(linear[1])
        x[:, self.kept], full[:, self.rest] = kept, y
        with np.errstate(all="ignore"):
            made = linear[1].take(self.used, axis=1) / matrices.pivots
            made = made + (matrices.back @ kept[..., None])[..., 0]
            slope = (matrices.curve @ made[..., None])[..., 0]
            slope += linear[0].take(self.gone, axis=1) * matrices.units[:, None]
            x[:, self.gone], full[:, self.used] = made, -slope / matrices.pivots
        return x, full / matrices.units[:, None]


def balance(params: Params, y: FloatArray, slacks: FloatArray) -> FloatArray:
    """Factors of the objective (N,) that give multipliers and slacks one size."""
    room = np.maximum(top(slacks), SLIGHT * top(params["b"].full()))
    pull = np.maximum(top(y), IDLE * top(params["q"].full()))
    power = exponents(np.array([pull, room]))
    return np.ldexp(1.0, np.clip(power[0] - power[1], -MOST, MOST))


def linear_terms(params: Params) -> Linear:
    """q and b of every element."""
    return params["q"].full(), params["b"].full()


def _defined(conic: Structure) -> tuple[IntArray, IntArray]:
    """Variables that a row of equality defines, and these rows."""
    none = np.zeros(0, dtype=np.intp)
    if "A" not in conic.patterns or (conic.quadratic and "P" not in conic.patterns):
        return none, none
    A = conic.patterns["A"]
    alone = np.bincount(A.cols, minlength=conic.n) == 1
    entries = np.flatnonzero(alone[A.cols] & (A.rows < conic.cones.zero))
    _, first = np.unique(A.rows[entries], return_index=True)  # one for each row
    rows, cols = A.rows[entries[first]], A.cols[entries[first]]
    chosen = np.zeros(conic.n, dtype=np.bool_)
    chosen[cols] = True
    while conic.quadratic:  # drop what meets a variable that stays, until none does
        P = conic.patterns["P"]
        meets = P.rows[chosen[P.rows] & ~chosen[P.cols]]
        if not len(meets):
            break
        chosen[meets] = False
    return cols[chosen[cols]], rows[chosen[cols]]


def _diagonal(values: FloatArray) -> FloatArray:
    return values[..., None] * np.eye(values.shape[-1])


def _part(matrices: FloatArray, rows: IntArray, cols: IntArray) -> FloatArray:
    return matrices.take(rows, axis=1).take(cols, axis=2)
