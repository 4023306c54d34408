"""The adjoint of the optimality conditions of cone programs.

Of small programs by dense matrices, those of a step of Newton's method (see ``newton``). Of large
sparse ones, with d and B the eigenvalues and the turned rows of the projection's derivative, by

    [ P + rho I       B'     ] [a]     [dx]
    [     B      -(1 - d)/d  ] [w] = - [dy]

over the rows with d > 0, each of the others having w = 0; dy is turned like B, and v is w turned
back. Eliminating the rows with d < 1 gives the dense system.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from lpgd.core.params import Params, taken
from lpgd.core.problem import users
from lpgd.core.scaling import top
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent
from lpgd.families.conic import newton
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.equations import Point
from lpgd.families.conic.far import around
from lpgd.families.conic.newton import HELD, Model
from lpgd.families.conic.projections import Derivative, derive, edges
from lpgd.families.conic.reduction import Linear, Matrices, Reduction, balance, linear_terms
from lpgd.families.conic.saddle import solved
from lpgd.families.conic.singular import Singular
from lpgd.families.conic.units import Units
from lpgd.families.quadratic.structure import QUIET, Structure

LARGE = 500  # variables and rows beyond which sparse matrices stay sparse
OFF = 1e-6  # relative residual of an adjoint that is none
NOTHING = 1e-9  # multipliers and moves below this, relative to others, are none
SKEW = 10  # powers of two between factors whose sum keeps enough digits of the smaller one
WEAK = 1e-9  # multipliers minus slacks below this, relative to the largest, count as zero


class Linearized:
    """A ``Linearization`` of cone programs.

    The derivative of the solution as q moves along dx and b against dy, s being b - Ax. Nonnegative
    rows are held where slack and multiplier are zero within rounding; a singular system gets its
    least-squares solution of minimum norm.
    """

    def __init__(
        self,
        plan: Reduction[Any],
        params: Params,
        solution: Solution,
        units: Units | None = None,
    ) -> None:
        self.plan, self.solution, self._units = plan, solution, units
        self.params = around(plan.conic, params, solution.x)
        self._parts: dict[float, list[Part]] = {}

    @cached_property
    def units(self) -> Units:
        """Those in which the data are fair, so that none looks singular for its units.

        An engine may have found them.
        """
        return self._units or Units.of(self.plan.conic, self.params)

    @cached_property
    def inside(self) -> tuple[Params, Solution, BoolArray]:
        """Data and solutions in these units, and which of them lack digits there."""
        units, conic = self.units, self.plan.conic
        params = units.linear(units.matrices(conic, self.params))
        point = units.enter(self.solution)
        skew = np.abs(units.skew).max(axis=1, initial=0)
        thin = units.thin
        if conic.n + conic.m > LARGE:
            return params, point, thin | (skew > SKEW)
        blurred, odd = np.zeros(len(point), dtype=np.bool_), np.flatnonzero(thin | (skew > 0))
        if len(odd):
            part, fine = _restored(self.plan, taken(params, odd), point.take(odd))
            blurred[odd], point = ~fine, point.put(odd, part)
        return params, point, blurred

    def line(self, cotangent: Cotangent, rho: float) -> Adjoint | None:
        """None: curvature bends what is tilted at once."""
        return None

    @QUIET
    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """See ``Linearization.adjoint``."""
        conic, rows = self.plan.conic, cotangent.rows
        if cotangent.ds is not None:
            params = taken(self.params, rows)
            cotangent = conic.folded(params, cotangent)
        dx, dy = cotangent.dx, -cotangent.dy
        # nothing shall overflow, or vanish, or keep more digits than it would in company
        if self.units.idle:
            power = -np.frexp(np.maximum(top(dx), top(dy)))[1][:, None]
            found = self._adjoint(rows, (np.ldexp(dx, power), np.ldexp(dy, power)), rho)
            return replace(found, a=np.ldexp(found.a, -power), v=np.ldexp(found.v, -power))
        units = self.units.take(rows).lifted(dx, dy)
        found = self._adjoint(rows, units.terms(dx, dy), rho)
        a, v = units.leave(found.a, found.v)
        return replace(found, a=a, v=v, unsure=found.unsure | self.inside[2][rows])

    def _adjoint(self, rows: IntArray, linear: Linear, rho: float) -> Adjoint:
        """The adjoint in fair units."""
        conic, bend = self.plan.conic, rho * self.units.bend
        matrices = {"A", "P"} if conic.quadratic else {"A"}
        if conic.n + conic.m > LARGE and matrices <= conic.patterns.keys():
            params, point, _ = self.inside
            return _sparse(conic, taken(params, rows), point.take(rows), linear, bend[rows])
        found = Adjoint(np.empty_like(linear[0]), np.empty_like(linear[1]), *_unknown(len(rows)))
        for part in self._factorized(rho):
            mine = np.flatnonzero(part.place[rows] >= 0)
            if len(mine) == len(rows):
                return part.adjoint(part.place[rows], linear)
            if len(mine):
                load = linear[0][mine], linear[1][mine]
                found = found.put(mine, part.adjoint(part.place[rows[mine]], load))
        return found

    def _factorized(self, rho: float) -> list[Part]:
        if rho not in self._parts:
            self._parts[rho] = list(self._split(rho))
        return self._parts[rho]

    def _split(self, rho: float) -> Iterator[Part]:
        plan, (params, point, _) = self.plan, self.inside
        matrices = plan.matrices(params)
        bend = rho * self.units.bend if rho else None
        zero = np.logical_or.reduce(matrices.pivots == 0, axis=1)
        if not zero.any():
            yield Part.of(plan, matrices, (params, point), np.arange(len(zero)), bend)
            return
        for form, chosen in ((plan, ~zero), (Reduction[Any].whole(plan.conic), zero)):
            if chosen.any():
                data, place = taken(params, np.flatnonzero(chosen)), np.full(len(chosen), -1)
                place[chosen] = np.arange(len(place[chosen]))
                more = None if bend is None else bend[chosen]
                yield Part.of(form, form.matrices(data), (data, point.take(chosen)), place, more)


@dataclass(frozen=True)
class Part:
    """Elements that are reduced alike, factorized.

    Attributes
    ----------
    place : (B,) int
        Where each element of the batch stands here, -1 for elsewhere.
    weak : (E, m) bool
        Nonnegative rows without slack and multiplier.
    edge : (E,) bool
        Elements with another cone at whose edge a solution bends.
    """

    plan: Reduction[Any]
    matrices: Matrices
    model: Model
    place: IntArray
    weak: BoolArray
    edge: BoolArray

    @classmethod
    def of(
        cls,
        plan: Reduction[Any],
        matrices: Matrices,
        solved: tuple[Params, Solution],
        place: IntArray,
        bend: FloatArray | None,
    ) -> Part:
        """Factorize the conditions at the solutions of elements at these places, P + ``bend``."""
        params, point = solved
        slacks = plan.conic.slacks(params, point.x)
        matrices = plan.balanced(matrices, params, point.y, slacks)
        if bend is not None:
            matrices = matrices.augmented(bend[:, plan.kept], bend[:, plan.gone])
        zero = np.zeros_like(point.x), np.zeros_like(point.y)
        at, weak, edge = _held(plan.cones, plan.enter(matrices, point, slacks))
        model = Model.of(plan.layout, plan.data(matrices, zero), at)
        return cls(plan, matrices, model, place, weak, edge)

    def adjoint(self, places: IntArray, linear: Linear) -> Adjoint:
        """The adjoint of the elements at these places for cotangents of theirs."""
        plan, whole = self.plan, np.array_equal(places, np.arange(len(self.weak)))
        matrices = self.matrices if whole else self.matrices.take(places)
        model = self.model if whole else self.model.take(places)
        moved = plan.data(matrices, linear)
        a, _, w = model.step((moved.q, -moved.b), least=True)
        most = np.maximum(top(w), top(moved.q))[:, None]
        curve, pull = (moved.P @ a[..., None])[..., 0], (w[:, None] @ moved.A)[:, 0]
        terms = top(np.maximum(np.maximum(np.abs(curve), np.abs(pull)), np.abs(moved.q)))
        off = top(curve + pull + moved.q) / np.where(terms > 0, terms, 1.0)
        kink = (self.weak[places] & (np.abs(w) > NOTHING * most)).any(axis=1) | self.edge[places]
        (unique, tied), share = self._unique(places, model), model.at.share
        strict = np.logical_or.reduce((share > HELD) & (share < 1 - HELD), axis=1)
        a, v = plan.leave(matrices, linear, a, w)
        unsure = ~np.logical_and.reduce(np.isfinite(a), axis=1) | (off > OFF)
        return Adjoint(a, v, kink | ~unique, unsure, strict, tied=tied & ~kink)

    def _unique(self, places: IntArray, model: Model) -> tuple[BoolArray, BoolArray]:
        """Rows whose solution is unique over the user's variables; where only x is, see ``tied``.

        Equations that depend on each other leave their multipliers open.
        """
        unique, tied = model.sound.copy(), np.zeros_like(model.sound)
        for row in np.flatnonzero(~unique):
            system: Singular = model.factors[row]
            if not system.finite:
                continue
            null, n = system.null, len(system.hessian)
            free = self._free(places[row], null[:n])
            loose: BoolArray = np.logical_or.reduce(np.abs(null[n:]) > NOTHING, axis=1)
            unique[row] = not (free or loose.any())
            tied[row] = not (unique[row] or free or loose[self.plan.cones.zero :].any())
        return unique, tied

    def _free(self, place: int, null: FloatArray) -> bool:
        """Whether user's variables move along ways of the reduced program."""
        plan = self.plan
        way = np.zeros((plan.conic.n, null.shape[1]))
        way[plan.kept], way[plan.gone] = null, self.matrices.back[place] @ null
        return bool((np.abs(way[users(plan.conic)[0]]) > NOTHING).any())


def _restored(plan: Reduction[Any], params: Params, point: Solution) -> tuple[Solution, BoolArray]:
    """Points with the digits of multipliers that drown in a sum of factors in the user's units.

    Newton's method finds them again from the others; what it does not solve stays, and is told.
    """
    slacks = plan.conic.slacks(params, point.x)
    matrices = plan.balanced(plan.matrices(params), params, point.y, slacks)
    linear = linear_terms(params)
    data, at = plan.data(matrices, linear), plan.enter(matrices, point, slacks)
    found = newton.solve(plan.layout, data, at)
    x, y = plan.leave(matrices, linear, found.x, found.y)
    fine = found.error <= newton.FINE
    x, y = (np.where(fine[:, None], *pair) for pair in ((x, point.x), (y, point.y)))
    return Solution(x, y, point.status), fine


def _unknown(size: int) -> tuple[BoolArray, BoolArray, BoolArray]:
    degenerate, unsure, strict = (np.zeros(size, dtype=np.bool_) for _ in range(3))
    return degenerate, unsure, strict


def _sparse(
    conic: Structure, params: Params, point: Solution, linear: Linear, bend: FloatArray
) -> Adjoint:
    slacks = conic.slacks(params, point.x)
    units = balance(params, point.y, slacks)
    start = point.y * units[:, None] - slacks
    at, weak, edge = _held(conic.cones, Point(point.x, start, start + slacks, np.zeros(len(point))))
    derivative = derive(conic.cones, at.v, at.y - at.v)
    load = derivative.turned(linear[1][..., None])[..., 0]
    a, w = np.zeros_like(linear[0]), np.zeros_like(load)
    degenerate, unsure, _ = _unknown(len(point))
    strict = np.logical_or.reduce((derivative.share > HELD) & (derivative.share < 1 - HELD), axis=1)
    for i in range(len(point)):
        given = {name: params[name].take(np.array([i])).full()[0] for name in conic.patterns}
        form = {name: pattern.matrix(given[name]) for name, pattern in conic.patterns.items()}
        rows = np.flatnonzero(derivative.share[i] > 0)
        B = (_turn(derivative, i) @ form["A"]).tocsr()[rows]
        more: Any = sparse.diags(bend[i])
        hessian = units[i] * (form.get("P", 0 * more) + more)
        spare = (1 - derivative.share[i, rows]) / derivative.share[i, rows]
        rhs = -units[i] * linear[0][i], load[i, rows]
        a[i], w[i, rows], sound = solved(hessian, B, spare, rhs)
        degenerate[i] = not sound
    v = derivative.turned_back(w[..., None])[..., 0] / units[:, None]
    most = np.maximum(top(w), top(linear[0]))[:, None]
    degenerate |= (weak & (np.abs(w) > NOTHING * most)).any(axis=1) | edge
    return Adjoint(a, v, degenerate, unsure, strict)


def _turn(derivative: Derivative, element: int) -> Any:
    """The transposed eigenvectors of an element as a sparse matrix."""
    m = derivative.share.shape[1]
    alone = np.ones(m, dtype=np.bool_)
    parts: list[tuple[IntArray, IntArray, FloatArray]] = []
    for rows, Q in derivative.turns:
        alone[rows] = False
        k, d = rows.shape
        left = np.broadcast_to(rows[:, :, None], (k, d, d)).ravel()
        right = np.broadcast_to(rows[:, None, :], (k, d, d)).ravel()
        parts.append((left, right, Q[element].swapaxes(1, 2).ravel()))
    rest = np.flatnonzero(alone)
    parts.append((rest, rest, np.ones(len(rest))))
    left, right, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csr_matrix((values, (left, right)), shape=(m, m))


def _held(cones: Cones, at: Point) -> tuple[Point, BoolArray, BoolArray]:
    """Hold nonnegative rows without slack; which those are, and who is at the edge of a cone."""
    rows = slice(cones.zero, cones.zero + cones.nonneg)
    reach = np.maximum(top(at.v), top(at.y - at.v))
    zero = np.maximum(WEAK * reach, np.finfo(np.float64).tiny)[:, None]
    weak = np.zeros(at.v.shape, dtype=np.bool_)
    weak[:, rows] = np.abs(at.v[:, rows]) <= zero
    return replace(at, v=np.where(weak, zero, at.v)), weak, edges(cones, at.v) <= zero[:, 0]
