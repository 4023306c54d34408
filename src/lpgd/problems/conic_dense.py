"""Small cone programs as dense arrays, without the variables that a row of equality defines.

CVXPY writes sum_squares(Fx - g) with variables r = Fx - g. Such a variable enters no other row and
meets no remaining variable in P, so that its row gives it, and stationarity the row's multiplier:

    x_J = D^-1 (b_R - C x_N),    y_R = -D^-1 (P_JJ x_J + q_J),    D = A_RJ diagonal, C = A_RN.

Which variables go is a matter of the patterns alone; where a value in D is zero the reduced data
are not finite, and Newton's method on them fails.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from lpgd.problems.cones import Cones
from lpgd.problems.conic_newton import Dense, Model, Point
from lpgd.scaling import factors
from lpgd.solution import BoolArray, FloatArray, IntArray, Rows, Solution
from lpgd.tilt import Adjoint, Cotangent

if TYPE_CHECKING:
    from lpgd.params import Params
    from lpgd.problems.conic import Conic

WEAK = 1e-9  # multipliers minus slacks below this, relative to the largest, count as zero
SLIGHT = 1e-6  # slacks this small, relative to b, are zero
MOST = 2.0**40  # factor of the objective
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

    def augmented(self, rho: FloatArray) -> Matrices:
        """With P + rho I, rho (N,)."""
        rho = (rho * self.units)[:, None, None]
        n, k = self.P.shape[1], self.curve.shape[1]
        curve = np.ascontiguousarray(self.back.swapaxes(1, 2)) @ self.back
        P = self.P + rho * (np.eye(n) + curve)
        return replace(self, P=P, curve=self.curve + rho * np.eye(k))


@final
@dataclass(frozen=True, eq=False)
class Reduction:
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

    conic: Conic
    cones: Cones
    gone: IntArray
    kept: IntArray
    used: IntArray
    rest: IntArray

    @classmethod
    def of(cls, conic: Conic) -> Reduction:
        """Of a program's patterns; dense matrices leave everything."""
        gone, used = _defined(conic)
        kept, rest = np.arange(conic.n), np.arange(conic.m)
        if len(gone) == conic.n:
            gone, used = gone[:0], used[:0]
        cones = replace(conic.cones, zero=conic.cones.zero - len(used))
        return cls(conic, cones, gone, np.setdiff1d(kept, gone), used, np.setdiff1d(rest, used))

    @classmethod
    def whole(cls, conic: Conic) -> Reduction:
        """That which leaves everything."""
        none = np.zeros(0, dtype=np.intp)
        return cls(conic, conic.cones, none, np.arange(conic.n), none, np.arange(conic.m))

    @property
    def usual(self) -> int:
        """About the size of a Newton matrix: variables, and rows that hold with equality."""
        held = {"zero": 1.0, "nonneg": 0.5, "psd": 0.25, "exp": 1 / 3, "power": 1 / 3}
        rows = sum(
            1.0 if kind == "soc" else held[kind] * (stop - start)
            for kind, start, stop in self.cones.blocks()
        )
        return len(self.kept) + int(rows)

    def matrices(self, params: Params, point: Solution) -> Matrices:
        """Reduced matrices, in units in which multipliers and slacks of ``point`` have one size."""
        conic, size = self.conic, len(point)
        full = {"P": np.zeros((1, conic.n, conic.n))}
        for name in sorted(params.keys() & {"P", "A"}):
            values, pattern = params[name].values, conic.patterns.get(name)
            dense = values if pattern is None else pattern.dense(values)
            full[name] = replace(params[name], values=dense).full()
        slacks = conic.slacks(params, point.x)
        room = np.maximum(_size(slacks), SLIGHT * _size(params["b"].full()))
        units = np.clip(factors(_size(point.y)) / factors(room), 1 / MOST, MOST)
        if (units != 1).any():
            full["P"] = full["P"] * units[:, None, None]
        P, A = (np.broadcast_to(full[k], (size, *full[k].shape[1:])) for k in ("P", "A"))
        J, N, R = self.gone, self.kept, self.used
        if not len(J):
            return Matrices(P, A, P[:, :0], P[:, 0, :0], P[:, :0, :0], units)
        pivots, curve = np.ascontiguousarray(A[:, R, J]), _part(P, J, J)
        with np.errstate(all="ignore"):
            back = -_part(A, R, N) / pivots[..., None]
            reduced = _part(P, N, N) + np.ascontiguousarray(back.swapaxes(1, 2)) @ (curve @ back)
        return Matrices(reduced, _part(A, self.rest, N), back, pivots, curve, units)

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
        return Point(point.x.take(self.kept, axis=1), y - s, s, np.full(len(point), np.inf))

    def leave(
        self, matrices: Matrices, linear: Linear, point: Point, y: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """x and y of the program from those of the reduced one."""
        if not len(self.gone):
            return point.x, y / matrices.units[:, None]
        x, full = np.empty_like(linear[0]), np.empty_like(linear[1])
        x[:, self.kept], full[:, self.rest] = point.x, y
        with np.errstate(all="ignore"):
            made = linear[1].take(self.used, axis=1) / matrices.pivots
            made = made + (matrices.back @ point.x[..., None])[..., 0]
            slope = (matrices.curve @ made[..., None])[..., 0]
            slope += linear[0].take(self.gone, axis=1) * matrices.units[:, None]
            x[:, self.gone], full[:, self.used] = made, -slope / matrices.pivots
        return x, full / matrices.units[:, None]


def _defined(conic: Conic) -> tuple[IntArray, IntArray]:
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


def adjoint(
    conic: Conic, params: Params, point: Solution, cotangent: Cotangent, rho: float
) -> Adjoint:
    """Solve the adjoint of the optimality conditions for every row of the cotangent.

    The derivative of the solution as q moves along dx and b against dy, s being b - Ax. Nonnegative
    rows are held where slack and multiplier are zero within rounding; a singular system gets its
    least-squares solution of minimum norm. There the derivative is not unique.
    """
    params = {name: param.take(cotangent.rows) for name, param in params.items()}
    dx = cotangent.dx
    if cotangent.ds is not None:
        dx = dx - conic.transposed_product(params, cotangent.ds)
    plan, linear = Reduction.of(conic), (dx, -cotangent.dy)
    matrices = plan.matrices(params, point)
    zero = np.logical_or.reduce(matrices.pivots == 0, axis=1)
    if not zero.any():
        return _adjoint(plan, matrices, params, point, linear, rho)
    a, v, degenerate = np.empty_like(dx), np.empty_like(cotangent.dy), zero.copy()
    for rows, form in ((~zero, plan), (zero, Reduction.whole(conic))):
        some, at = {name: param.take(rows) for name, param in params.items()}, point.take(rows)
        load = linear[0][rows], linear[1][rows]
        part = _adjoint(form, form.matrices(some, at), some, at, load, rho)
        a[rows], v[rows], degenerate[rows] = part.a, part.v, part.degenerate
    return Adjoint(a, v, degenerate)


def _adjoint(
    plan: Reduction,
    matrices: Matrices,
    params: Params,
    point: Solution,
    linear: Linear,
    rho: float,
) -> Adjoint:
    conic = plan.conic
    if rho:
        matrices = matrices.augmented(np.full(len(point), rho))
    moved = plan.data(matrices, linear)
    at, weak = _held(plan, plan.enter(matrices, point, conic.slacks(params, point.x)))
    model = Model.of(plan.cones, moved, at)
    a, v, y = model.step((moved.q, -moved.b), least=True)
    found = plan.leave(matrices, linear, Point(a, v, v, at.error), y)
    return Adjoint(*found, degenerate=weak | ~model.sound)


def _held(plan: Reduction, at: Point) -> tuple[Point, BoolArray]:
    """Hold nonnegative rows without slack, and tell which points have weakly active ones."""
    rows = slice(plan.cones.zero, plan.cones.zero + plan.cones.nonneg)
    reach = np.maximum(_size(at.v), _size(at.s))
    zero = np.maximum(WEAK * reach, np.finfo(np.float64).tiny)[:, None]
    weak = np.abs(at.v[:, rows]) <= zero
    v = at.v.copy()
    v[:, rows] = np.where(weak, zero, v[:, rows])
    return replace(at, v=v), np.logical_or.reduce(weak, axis=1)


def _part(matrices: FloatArray, rows: IntArray, cols: IntArray) -> FloatArray:
    return matrices.take(rows, axis=1).take(cols, axis=2)


def _size(values: FloatArray) -> FloatArray:
    return np.abs(values).max(axis=1, initial=0.0)
