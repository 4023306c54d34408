"""Cone programs without the variables that their rows define; see ``conic/reduction.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from lpgd.core.params import Param, Params, batched, distinct, shared, taken
from lpgd.core.solution import IntArray, Solution, Status, among
from lpgd.engines.cones.solver import Found, Loaded, Request, Solver
from lpgd.families.conic.reduction import linear_terms

if TYPE_CHECKING:
    from lpgd.families.conic.conic import Conic

LARGEST = 250  # usual size of a Newton matrix beyond which dense matrices do not pay


@final
@dataclass(frozen=True)
class Eliminated:
    """Hands on what remains of small programs, where some rows define variables for all data."""

    solver: Solver

    def load(self, conic: Conic, params: Params, request: Request) -> Loaded:
        """See ``Solver.load``."""
        if conic.usual > LARGEST or conic.reduction.program is None:
            return self.solver.load(conic, params, request)
        return _Loaded(self.solver, conic, params, request)


@final
class _Loaded:
    def __init__(self, solver: Solver, conic: Conic, params: Params, request: Request) -> None:
        program = conic.reduction.program
        assert program is not None
        self.plan = conic.reduction
        self.group, first = distinct(params, ("P", "A"))
        self.matrices = self.plan.matrices(taken(params, first))
        self.values = {
            name: getattr(self.matrices, name)[:, pattern.rows, pattern.cols]
            for name, pattern in program.patterns.items()
        }
        size = len(self.group)
        data = {name: Param(value, self.group) for name, value in self.values.items()}
        for name, width in (("q", program.n), ("b", program.m)):  # which come with a solve
            data[name] = shared(np.zeros(width), size)
        self.loaded = solver.load(program, data, request)

    def solve(self, params: Params, rows: IntArray, start: Solution | None) -> Found:
        """See ``Loaded.solve``."""
        plan, (q, b) = self.plan, linear_terms(params)
        matrices = self.matrices.spread(self.group[rows])
        begin = None
        if start is not None:
            x, y = start.x.take(plan.kept, axis=1), start.y.take(plan.rest, axis=1)
            begin = Solution(x, y, start.status)
        reduced, group = plan.data(matrices, (q, b)), self.group[rows]
        data = {name: Param(value, group) for name, value in self.values.items()}
        data |= {"q": batched(reduced.q), "b": batched(reduced.b)}
        found = self.loaded.solve(data, rows, begin)
        # directions and multipliers that prove something satisfy the equations without q and b
        point = among(found.status, Status.OPTIMAL, Status.INACCURATE)[:, None]
        linear = np.where(point, q, 0.0), np.where(point, b, 0.0)
        x, y = plan.leave(matrices, linear, found.x, found.y)
        whole = Found.of(x, y, found.status)
        return Found(whole.x, whole.y, whole.status, found.error, found.seconds, found.set_ups)
