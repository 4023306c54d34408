"""Solvers that hold the matrices of a batch of cone programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

import numpy as np

from lpgd.core.params import Param, Params, batched, distinct
from lpgd.core.solution import IntArray, Solution
from lpgd.families.conic.reduction import linear_terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from lpgd.families.conic.conic import Conic
    from lpgd.families.conic.newton import Dense


class Loaded(Protocol):
    """A solver that holds the matrices of a batch."""

    accuracy: float
    threads: int | None

    def serves(self, rows: IntArray) -> bool:
        """Whether it solves for these elements, in this order."""
        ...

    def solve(
        self, conic: Conic, params: Params, rows: IntArray, start: Solution | None
    ) -> Solution:
        """Solve with the linear terms in ``params``, one a row; ``rows`` are their elements."""
        ...


@final
class Reduced:
    """A ``Loaded`` that keeps to itself the variables which rows of the program define.

    Parameters
    ----------
    load : callable
        Makes the ``Loaded`` of what remains.
    conic : Conic
        With a reduced program.
    params : Params
    """

    def __init__(
        self, load: Callable[[Conic, Params], Loaded], conic: Conic, params: Params
    ) -> None:
        program = conic.reduction.program
        assert program is not None
        self.plan, self.program = conic.reduction, program
        self.group, first = distinct(params, ("P", "A"))
        self.matrices = self.plan.matrices({k: param.take(first) for k, param in params.items()})
        self.values = {
            name: getattr(self.matrices, name)[:, pattern.rows, pattern.cols]
            for name, pattern in program.patterns.items()
        }
        every = np.arange(len(self.group))
        data = self.plan.data(self.matrices.spread(self.group), linear_terms(params))
        self.loaded = load(program, self._params(data, every))
        self.accuracy, self.threads = self.loaded.accuracy, self.loaded.threads

    def serves(self, rows: IntArray) -> bool:
        """See ``Loaded.serves``."""
        return self.loaded.serves(rows)

    def solve(
        self, conic: Conic, params: Params, rows: IntArray, start: Solution | None
    ) -> Solution:
        """See ``Loaded.solve``."""
        plan, linear = self.plan, linear_terms(params)
        matrices = self.matrices.spread(self.group[rows])
        begin = None
        if start is not None:
            x, y = start.x.take(plan.kept, axis=1), start.y.take(plan.rest, axis=1)
            begin = Solution(x, y, start.status)
        data = self._params(plan.data(matrices, linear), rows)
        found = self.loaded.solve(self.program, data, rows, begin)
        return Solution(*plan.leave(matrices, linear, found.x, found.y), found.status)

    def _params(self, data: Dense, rows: IntArray) -> Params:
        matrices = {name: Param(value, self.group[rows]) for name, value in self.values.items()}
        return {**matrices, "q": batched(data.q), "b": batched(data.b)}
