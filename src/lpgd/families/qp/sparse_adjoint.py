"""Implicit differentiation of the optimality conditions of large sparse QPs.

The adjoint system of ``kkt.py``, with sparse matrices and one factorization an element. An engine
that has factorized it at the solution hands it over; without it the same system is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from lpgd.core.params import Params, taken
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent
from lpgd.families.qp.active import SURE
from lpgd.families.qp.sparse_kkt import Active, Element, System
from lpgd.families.quadratic.structure import QUIET, Structure

LARGE = 400  # variables and rows from which sparse systems cost less than dense ones
TIGHT = 1e-9  # relative slack that is none
IDLE = 1e-7  # relative slack and multiplier of weak constraints, and derivatives that are none
MOST = 2  # systems of an element that are kept
ROUGH = 1e-7  # residual from which rounding decides


def serves(problem: Structure) -> bool:
    """Whether a QP has a sparse P, or other sparse matrices and is large."""
    sides = sum(block.stop - block.start for name, block in problem.blocks.items() if name in "AG")
    large = bool(problem.patterns) and problem.n + sides > LARGE
    return problem.quadratic and (large or "P" in problem.patterns)


def held(element: Element, x: FloatArray, y: FloatArray) -> Active:
    """The active constraints of a solution, weakly active ones too."""
    slack, load = element.shares(x, y)
    return Active.of(element, (load > slack) | (slack <= TIGHT))


def system_at(
    element: Element, x: FloatArray, y: FloatArray, rho: float, near: Sequence[System]
) -> System:
    """The system of the active constraints: one of those given, where it is that."""
    active = held(element, x, y)
    known = (s for s in near if s.rho == rho and s.active.same(active))
    return next(known, None) or System(element, active, rho)


@final
class Linearized:
    """A ``Linearization`` of large sparse QPs, one factorization an element.

    ``given`` are systems that an engine has factorized at the solutions, a sequence an element.
    """

    def __init__(
        self,
        problem: Structure,
        params: Params,
        solution: Solution,
        given: Sequence[Sequence[System]] | None = None,
    ) -> None:
        self.problem, self.params, self.solution = problem, params, solution
        self._systems = [list(known) for known in given or [()] * len(solution)]

    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """See ``Linearization.adjoint``.

        Every active constraint is held, weakly active ones too. Where they depend on each other,
        the shortest solution is taken. Rows are ``degenerate`` where constraints are dependent,
        where the objective is flat, and where a constraint that is weakly active, or next to it,
        changes the derivative. A row of which the system cannot be factorized is NaN.
        """
        return self.line(cotangent, rho)

    @QUIET
    def line(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """See ``Linearization.line``: always, a solve costs more."""
        rows = cotangent.rows
        if cotangent.ds is not None:
            cotangent = self.problem.folded(taken(self.params, rows), cotangent)
        a, v = np.zeros_like(cotangent.dx), np.zeros_like(cotangent.dy)
        degenerate, unsure, strict = (np.zeros(len(rows), dtype=np.bool_) for _ in range(3))
        found = Adjoint(a, v, degenerate, unsure, strict, np.zeros((len(rows), 2)))
        for element in np.unique(rows).tolist():
            mine = np.flatnonzero(rows == element)
            try:
                system = self._system(element, rho)
            except RuntimeError:
                a[mine], v[mine], unsure[mine], degenerate[mine] = np.nan, np.nan, True, True
                continue
            for row in mine:
                self._solve(system, element, int(row), cotangent, found)
        return found

    def _system(self, element: int, rho: float) -> System:
        known = self._systems[element]
        one = known[0].element if known else Element.of(self.problem, self.params, element)
        x, y = self.solution.x[element], self.solution.y[element]
        system = system_at(one, x, y, rho, known)
        if system not in known:
            self._systems[element] = [system, *known][:MOST]
        return system

    def _solve(
        self, system: System, element: int, row: int, cotangent: Cotangent, found: Adjoint
    ) -> None:
        x, y = self.solution.x[element], self.solution.y[element]
        dx, dy, one = cotangent.dx[row], cotangent.dy[row], system.element
        a, v, error = solved(system, dx, dy)
        found.a[row], found.v[row] = a, v
        gap = one.joined(one.C @ a, -a, a) + dy
        felt, loose = [np.abs(v), np.abs(gap)], _weak(one, system.active, x, y)
        matters = [f[w] > IDLE * f.max(initial=0.0) for f, w in zip(felt, loose, strict=True)]
        found.degenerate[row] = system.singular or any(bool(part.any()) for part in matters)
        found.unsure[row] = not error <= ROUGH
        if found.reach is not None and not found.degenerate[row]:
            found.reach[row] = breakpoints(system, (x, y), (a, v), dy)


def solved(system: System, dx: FloatArray, dy: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """K (a; v) = -(dx; m), and the residual. Variables at a bound follow its cotangent."""
    element, (_, lower, upper) = system.element, system.active
    m, m_lower, m_upper = element.split(dy)
    count = np.maximum(1.0 * lower + upper, 1.0)
    a = (np.where(lower, m_lower, 0.0) - np.where(upper, m_upper, 0.0)) / count
    top = dx + element.P @ a + system.rho * a
    bottom = m + element.C @ a
    w = np.zeros_like(m)
    a[system.free], w[system.rows], error = system.solve(-top[system.free], -bottom[system.rows])
    net = -(dx + element.P @ a + system.rho * a + element.transposed @ w) / count
    v = element.joined(w, np.where(lower, -net, 0.0), np.where(upper, net, 0.0))
    return a, v, error


def breakpoints(
    system: System,
    at: tuple[FloatArray, FloatArray],
    way: tuple[FloatArray, FloatArray],
    dy: FloatArray,
) -> tuple[float, float]:
    """Up to which |t| of either sign the active set stays along a way."""
    element, (x, y), (a, v) = system.element, at, way
    loaded = system.active.flat(element)
    gap = element.joined(element.C @ a, -a, a) + dy
    value = np.where(loaded, y, element.slacks(x))
    rate = np.where(loaded, v, -gap)
    signed = np.isfinite(value)
    signed[: element.equalities] = False
    signed &= ~system.active.twice(element)
    value, rate = np.maximum(value[signed], 0.0), rate[signed]
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [np.where(s * rate < 0, value / np.abs(rate), np.inf) for s in (-1.0, 1.0)]
    return SURE * float(ends[0].min(initial=np.inf)), SURE * float(ends[1].min(initial=np.inf))


def _weak(
    element: Element, active: Active, x: FloatArray, y: FloatArray
) -> tuple[BoolArray, BoolArray]:
    """Inequalities with little slack and little multiplier, those that are held and the others.

    Never two bounds that are one equality.
    """
    slack, load = element.shares(x, y)
    weak = (load <= IDLE) & (slack <= IDLE) & ~active.twice(element)
    weak[: element.equalities] = False
    flat = active.flat(element)
    return weak & flat, weak & ~flat
