"""A function of one cost as an oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lpgd.core.errors import crash
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status


@public("lpgd.oracles")
class Each:
    """See ``each``."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(f"function must be a callable, got {function!r}")
        self.function = function

    def __repr__(self) -> str:
        return f"each({self.function!r})"

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """Solve one element after the other; one that raises has crashed, and no other."""
        found, causes = list[Any](), dict[int, Exception]()
        for row, cost in enumerate(costs):
            given = () if instances is None else (instances[row],)
            try:
                found.append(self.function(cost, *given))
            except ModuleNotFoundError:
                raise
            except Exception as error:  # whatever it is, it costs its element
                found.append(np.zeros(cost.shape))
                causes[row] = error
        if not causes:
            return Reply(found)
        status = np.zeros(len(costs), dtype=np.int8)
        status[list(causes)] = Status.CRASHED
        notes = {row: crash(error) for row, error in causes.items()}
        return Reply(found, status, notes=notes, cause=next(iter(causes.values())))

    def __call__(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> list[Any]:
        """Solutions of B costs; what the function raises is raised."""
        found = self.reply(np.asarray(costs, dtype=np.float64), instances)
        if found.cause is not None:
            raise found.cause
        return list(found.x)


def each(function: Callable[..., Any]) -> Each:
    """An oracle from a function of one cost: ``function(cost)``, or with per-instance inputs
    ``function(cost, instance)``, returns a solution.

    A function that can be pickled makes an oracle that can; ``joblib`` pickles lambdas too.
    """
    return Each(function)
