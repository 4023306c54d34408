"""A function that minimises linear costs, as an engine.

It is asked afresh for every tilted batch: nothing is kept. Where it raises, the map asks it again
by halves of the batch until the culprit is alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from lpgd.core.engine import Answer, Capabilities
from lpgd.core.errors import LpgdError
from lpgd.core.params import Params
from lpgd.core.solution import FloatArray, Solution, Status

if TYPE_CHECKING:
    from lpgd.core.problem import Problem

COST, INSTANCES = "q", "instances"


@final
@dataclass(frozen=True)
class OracleEngine:
    """Asks an oracle.

    Parameters
    ----------
    oracle : callable
        From costs (N, d) to minimisers (N, d); with per-instance inputs a list of N of them is its
        second argument. The costs are its own, to write to as it likes.
    """

    oracle: Callable[..., Any]

    name: ClassVar[str] = "oracle"
    capabilities: ClassVar[Capabilities] = Capabilities(
        frozenset({"oracle"}), install="install what the oracle imports"
    )

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """See ``Engine.solve``. A row of a wrong shape, or not finite, has failed."""
        costs = np.array(params[COST].full(), order="C")
        size = len(costs)
        rows = self._ask(costs, params)
        if len(rows) != size:
            raise ValueError(f"the oracle returned {len(rows)} minimisers for {size} costs")
        solution, notes = Solution.blank(size, problem.n, problem.m), dict[int, str]()
        for row, found in enumerate(rows):
            point, why = _read(found, problem.n)
            if point is None:
                solution.status[row], notes[row] = Status.NUMERICAL, why
            else:
                solution.status[row], solution.x[row] = Status.OPTIMAL, point
        return Answer(solution, set_ups=size, notes=notes)

    def _ask(self, costs: FloatArray, params: Params) -> Any:
        inputs = [list(params[INSTANCES].full())] if INSTANCES in params else []
        try:
            return self.oracle(costs, *inputs)
        except LpgdError as error:  # of a layer within the oracle, where it is one element's fault
            raise RuntimeError(f"the oracle raised {type(error).__name__}: {error}") from error


def _read(found: Any, n: int) -> tuple[FloatArray | None, str]:
    """A minimiser, or None and what is wrong with it."""
    point = np.asarray(found, dtype=np.float64)
    if point.shape != (n,):
        return None, f"the oracle returned shape {point.shape}, expected ({n},)"
    if not np.isfinite(point).all():
        return None, "the oracle returned a NaN or infinite entry"
    return point, ""
