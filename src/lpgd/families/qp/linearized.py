"""The optimality conditions of a batch of QPs to first order, kept with its solutions."""

from __future__ import annotations

from functools import cached_property
from typing import final

import numpy as np

from lpgd.core.params import Params, taken
from lpgd.core.solution import BoolArray, IntArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent
from lpgd.families.qp.active import Active
from lpgd.families.qp.kkt import Element
from lpgd.families.qp.whitened import NOTHING, STEP, Group, Roots
from lpgd.families.quadratic.structure import QUIET, Structure
from lpgd.families.quadratic.whitening import Whitened


@final
class Linearized:
    """A ``Linearization`` of QPs and LPs with dense or small sparse matrices.

    Strictly convex elements with safely independent active rows are solved many at once (see
    ``whitened``), the others one by one (``kkt``). What is factorized once serves every cotangent.
    ``given`` is what an engine has of them.
    """

    def __init__(
        self,
        problem: Structure,
        params: Params,
        solution: Solution,
        given: Whitened | None = None,
    ) -> None:
        self.problem, self.params, self.solution = problem, params, solution
        self._given = given
        self._roots: dict[float, Roots | None] = {}
        self._groups: dict[float, list[Group]] = {}
        self._elements: dict[int, Element] = {}

    @cached_property
    def active(self) -> Active:
        """Active rows of every element."""
        return Active.of(self.problem, self.params, self.solution)

    @QUIET
    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """See ``Linearization.adjoint``."""
        cotangent = self._folded(cotangent)
        found, done = self._whitened(cotangent, rho)
        rest = np.flatnonzero(~done)
        if len(rest):
            found = found.put(rest, self._exactly(cotangent.take(rest), rho))
        return found

    @QUIET
    def line(self, cotangent: Cotangent, rho: float) -> Adjoint | None:
        """See ``Linearization.line``: of LPs, and of elements that are solved many at once."""
        linear = not (self.problem.quadratic or rho)
        if not linear and self._root(rho) is None:
            return None
        cotangent = self._folded(cotangent)
        if linear:
            found = self._exactly(cotangent, rho)
            done = ~found.unsure
        else:
            found, done = self._whitened(cotangent, rho)
        rows, problem = cotangent.rows, self.problem
        params = taken(self.params, rows)
        rate = cotangent.dy + problem.product(params, found.a)
        active, y = self.active.take(rows), self.solution.y[rows]
        reach = active.reach(problem.cones.zero, y, found.v, rate)
        reach[~done | found.degenerate] = 0.0
        return Adjoint(found.a, found.v, found.degenerate, found.unsure, found.strict, reach)

    def _folded(self, cotangent: Cotangent) -> Cotangent:
        if cotangent.ds is None:
            return cotangent
        params = taken(self.params, cotangent.rows)
        return self.problem.folded(params, cotangent)

    def _root(self, rho: float) -> Roots | None:
        if rho not in self._roots:
            dense = self.problem.quadratic and not self.problem.patterns
            roots = Roots.of(self.params, rho, self._given) if dense else None
            self._roots[rho] = roots if roots is not None and roots.good.any() else None
        return self._roots[rho]

    def _grouped(self, roots: Roots, rho: float) -> list[Group]:
        if rho not in self._groups:
            counts = self.active.held.sum(axis=1)
            easy = roots.good & (counts <= self.problem.n) & ~self.active.fixed.any(axis=1)
            sizes = np.where(easy, -(-counts // STEP), -1)
            alike = [np.flatnonzero(sizes == k) for k in np.unique(sizes[easy])]
            groups = [Group.of(self.problem, self.active, roots, some) for some in alike]
            self._groups[rho] = [group.take(np.flatnonzero(group.apart)) for group in groups]
        return self._groups[rho]

    def _whitened(self, cotangent: Cotangent, rho: float) -> tuple[Adjoint, BoolArray]:
        """The rows of elements that are solved many at once, and which those are."""
        rows, size = cotangent.rows, len(cotangent.rows)
        a, v = np.zeros_like(cotangent.dx), np.zeros_like(cotangent.dy)
        degenerate, done = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
        roots = self._root(rho)
        if roots is None:
            return Adjoint(a, v, degenerate, done.copy(), self._strict(rows)), done
        for group in self._grouped(roots, rho):
            place = np.full(len(self.solution.x), -1)
            place[group.elements] = np.arange(len(group.elements))
            mine: IntArray = np.flatnonzero(place[rows] >= 0)
            if not len(mine):
                continue
            some = group.take(place[rows[mine]])
            row = np.broadcast_to(mine[:, None], some.rows.shape)
            dy = cotangent.dy[row, some.rows]
            a[mine], found, shares = some.solve(roots, cotangent.dx[mine], dy)
            v[row[some.used], some.rows[some.used]] = found[some.used]
            weak = some.used & self.active.weak[some.elements[:, None], some.rows]
            degenerate[mine] = (weak & (shares > NOTHING)).any(axis=1)
            done[mine] = True
        return Adjoint(a, v, degenerate, np.zeros_like(done), self._strict(rows)), done

    def _strict(self, rows: IntArray) -> BoolArray:
        roots = self._root(0.0)
        if roots is None:
            return np.zeros(len(rows), dtype=np.bool_)
        return roots.good[rows]

    def _element(self, element: int) -> Element:
        if element not in self._elements:
            held = self.active.held[element]
            self._elements[element] = Element(self.problem, self.params, element, held)
        return self._elements[element]

    def _exactly(self, cotangent: Cotangent, rho: float) -> Adjoint:
        a, v = np.zeros_like(cotangent.dx), np.zeros_like(cotangent.dy)
        degenerate, unsure = (np.zeros(len(a), dtype=np.bool_) for _ in range(2))
        for row, element in enumerate(cotangent.rows.tolist()):
            load = self.active.weak[element], cotangent.dx[row], cotangent.dy[row]
            found = self._element(element).adjoint(*load, rho)
            a[row], v[row], degenerate[row], unsure[row] = found
        return Adjoint(a, v, degenerate, unsure, self._strict(cotangent.rows))
