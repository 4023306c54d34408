"""Oracles spread over workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, IntArray, Status
from lpgd.engines.oracle.ask import Ask, halved, picked
from lpgd.engines.scatter import Done, Pace, Scatter, portable


@dataclass(frozen=True)
class Asked:
    """What a worker does with a chunk."""

    ask: Ask

    def __call__(self, work: tuple[FloatArray, Sequence[Any] | None]) -> Reply:
        """Ask; elements that raise have crashed."""
        reply = halved(self.ask, *work)
        return reply if reply.cause is None else replace(reply, cause=portable(reply.cause))


@final
@dataclass(frozen=True)
class Spread:
    """Asks for chunks of a batch at once; a link of a chain.

    An element whose worker dies, or does not answer in time, has failed, and no other.
    """

    ask: Ask
    scatter: Scatter
    pace: Pace = field(default_factory=Pace, compare=False)

    def __call__(self, costs: FloatArray, instances: Sequence[Any] | None) -> Reply:
        """See ``Ask``."""
        size, jobs = len(costs), self.scatter.jobs()
        if jobs == 1 or not size:
            return self.ask(costs, instances)
        return Reply.gathered(size, self._asked(costs, instances, self.pace.chunks(size, jobs)))

    def _asked(
        self, costs: FloatArray, instances: Sequence[Any] | None, chunks: Sequence[IntArray]
    ) -> list[tuple[IntArray, Reply]]:
        works = [(costs[rows], picked(instances, rows)) for rows in chunks]
        sizes = [len(rows) for rows in chunks]
        outcomes = self.scatter(Asked(self.ask), works, sizes)
        self.pace.learn(outcomes, sizes)
        found: list[tuple[IntArray, Reply]] = []
        for rows, outcome in zip(chunks, outcomes, strict=True):
            if isinstance(outcome, Done):
                if outcome.error is not None:  # a package is missing: no fault of an element
                    raise outcome.error
                found.append((rows, outcome.result))
            elif len(rows) > 1:
                found += self._asked(costs, instances, [rows[i : i + 1] for i in range(len(rows))])
            else:
                found.append((rows, _failed(outcome.error, late=outcome.late)))
        return found


def _failed(error: Exception, *, late: bool) -> Reply:
    if late:
        return Reply.failed(1, Status.TIME_LIMIT, "the oracle did not answer in time", error)
    why = f"its worker died ({type(error).__name__})"
    return Reply.failed(1, Status.CRASHED, why, error)
