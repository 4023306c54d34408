"""How an oracle is asked: what it returns, whatever its form, is a ``Reply``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np

from lpgd.core.errors import LpgdError, MissingExtraError, crash
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status
from lpgd.engines.signals import interrupts_kept


class Ask(Protocol):
    """Minimisers of costs (B, *shape), which are its own to write to; a link of a chain."""

    def __call__(self, costs: FloatArray, instances: Sequence[Any] | None) -> Reply:
        """``instances`` are per-instance inputs, B of them, or None."""
        ...


@final
@dataclass(frozen=True)
class Direct:
    """Asks the oracle itself, for the whole batch at once."""

    oracle: Callable[..., Any]

    def __call__(self, costs: FloatArray, instances: Sequence[Any] | None) -> Reply:
        """See ``Ask``. What the oracle raises is raised."""
        asked: Callable[..., Any] = getattr(self.oracle, "reply", self.oracle)
        inputs = () if instances is None else (instances,)
        try:
            with interrupts_kept():
                found = asked(costs, *inputs)
        except MissingExtraError:
            raise
        except LpgdError as error:  # of a layer within the oracle, where it is one element's fault
            raise RuntimeError(f"the oracle raised {type(error).__name__}: {error}") from error
        reply = found if isinstance(found, Reply) else Reply(found)
        if not hasattr(reply.x, "__len__"):
            raise TypeError(f"the oracle returned {reply.x!r}, no minimisers")
        if len(reply) != len(costs):
            raise ValueError(f"the oracle returned {len(reply)} minimisers for {len(costs)} costs")
        return reply


def halved(ask: Ask, costs: FloatArray, instances: Sequence[Any] | None) -> Reply:
    """Ask; where that raises, by halves of the batch until the culprit is alone."""
    try:
        return ask(costs.copy(), instances)
    except (ModuleNotFoundError, MissingExtraError):
        raise
    except Exception as error:  # whatever an oracle raises costs its element
        size = len(costs)
        if size == 1:
            return Reply.failed(1, Status.CRASHED, crash(error), error)
        parts = [
            (rows, halved(ask, costs[rows], picked(instances, rows)))
            for rows in np.array_split(np.arange(size), 2)
        ]
        return Reply.gathered(size, parts)


def picked(instances: Sequence[Any] | None, rows: Any) -> Sequence[Any] | None:
    """The per-instance inputs of some elements."""
    return None if instances is None else [instances[row] for row in rows]
