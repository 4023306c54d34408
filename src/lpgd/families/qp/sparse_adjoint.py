"""Implicit differentiation of the optimality conditions of large sparse QPs.

The adjoint system of ``kkt.py``, with sparse matrices and one factorization an element. An engine
that has factorized it at the solution leaves it here for the backward pass; it lives as long as the
data do. Without it the same system is made again.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from lpgd.core.params import Params
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent
from lpgd.families.qp.sparse_kkt import Active, Element, System
from lpgd.families.quadratic.structure import Structure

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


def adjoint(
    problem: Structure, params: Params, point: Solution, cotangent: Cotangent, rho: float
) -> Adjoint:
    """Solve the adjoint system for every row of the cotangent.

    Every active constraint is held, weakly active ones too. Where they depend on each other, the
    shortest solution is taken. Rows are ``degenerate`` where constraints are dependent, where the
    objective is flat, and where a constraint that is weakly active, or next to it, changes the
    derivative. A row of which the system cannot be factorized is NaN.
    """
    size = len(point)
    a, v = np.zeros_like(point.x), np.zeros_like(point.y)
    degenerate, unsure = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    reach = np.zeros((size, 2))
    for element in np.unique(cotangent.rows):
        rows = np.flatnonzero(cotangent.rows == element)
        x, y = point.x[rows[0]], point.y[rows[0]]
        one = Element.of(problem, params, int(element))
        try:
            system = system_at(one, x, y, rho, KEPT.find(params, int(element)))
            KEPT.keep(params, int(element), system)
        except RuntimeError:
            a[rows], v[rows], unsure[rows], degenerate[rows] = np.nan, np.nan, True, True
            continue
        loose = _weak(one, system.active, x, y)
        for row in rows:
            dx, dy = cotangent.dx[row], cotangent.dy[row]
            a[row], v[row], error = solved(system, dx, dy)
            gap = one.joined(one.C @ a[row], -a[row], a[row]) + dy
            felt = [np.abs(v[row]), np.abs(gap)]
            matters = [f[w] > IDLE * f.max(initial=0.0) for f, w in zip(felt, loose, strict=True)]
            degenerate[row] = system.singular or any(bool(part.any()) for part in matters)
            unsure[row] = not error <= ROUGH
            reach[row] = breakpoints(system, (x, y), (a[row], v[row]), dy)
    return Adjoint(a, v, degenerate, reach, unsure)


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
    """The steps, a negative and a positive one, at which the active set changes along a way."""
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
    return -float(ends[0].min(initial=np.inf)), float(ends[1].min(initial=np.inf))


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


class _Kept:
    """Systems by the data that they are made of, for as long as these are in memory.

    Of an element the last MOST ones: those of its active constraints with and without the weakly
    active ones.
    """

    def __init__(self) -> None:
        self._systems: dict[tuple[int, ...], tuple[list[Any], list[System]]] = {}

    def __len__(self) -> int:
        return len(self._systems)

    def keep(self, params: Params, element: int, system: System) -> None:
        """Remember a system of an element."""
        known, key = self.find(params, element), _key(params, element)
        if system in known:
            return

        def forget(_: Any) -> None:
            self._systems.pop(key, None)

        owners = [weakref.ref(params[name].values, forget) for name in sorted(params)]
        self._systems[key] = owners, [system, *known][:MOST]

    def find(self, params: Params, element: int) -> Sequence[System]:
        """The systems of an element that were kept."""
        owners, systems = self._systems.get(_key(params, element), ([], []))
        values = [params[name].values for name in sorted(params)]
        alive = len(owners) == len(values)
        alive = alive and all(ref() is v for ref, v in zip(owners, values, strict=True))
        return systems if alive else []


def _key(params: Params, element: int) -> tuple[int, ...]:
    parts = (params[name] for name in sorted(params))
    return tuple(int(n) for p in parts for n in (id(p.values), p.index[element]))


KEPT = _Kept()
