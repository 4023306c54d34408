"""Links of a chain that answer from memory: a cache of costs, a pool of solutions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np

from lpgd.core.locked import Locked
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, IntArray
from lpgd.engines.oracle.ask import Ask, halved

Key = tuple[tuple[int, ...], bytes]
"""Shape and content of a cost."""


@final
class Cached(Locked):
    """Answers costs that it has seen, to the last bit, from memory.

    Calls with per-instance inputs pass. So do failures and incumbents, which the next try may
    improve. The least recently used solutions are dropped.

    Parameters
    ----------
    ask : Ask
    size : int
        Bytes of costs and solutions, about, that are kept.
    """

    def __init__(self, ask: Ask, size: int) -> None:
        super().__init__()
        self.ask, self.size = ask, size
        self.known: OrderedDict[Key, Any] = OrderedDict()

    def __call__(self, costs: FloatArray, instances: Sequence[Any] | None) -> Reply:
        """See ``Ask``."""
        if instances is not None:
            return self.ask(costs, instances)
        keys = [(cost.shape, cost.tobytes()) for cost in costs]
        found: dict[Key, Any] = {}
        with self.lock:
            for key in keys:
                if key in self.known:
                    self.known.move_to_end(key)
                    found[key] = self.known[key]
        new = list(dict.fromkeys(key for key in keys if key not in found))
        place = {key: row for row, key in reversed(list(enumerate(keys)))}
        rows = np.array([place[key] for key in new], dtype=np.intp)
        reply = halved(self.ask, costs[rows], None) if len(rows) else Reply([])
        self._remember(new, reply, costs.shape[1:])
        at = {key: row for row, key in enumerate(new)}
        old = [row for row, key in enumerate(keys) if key in found]
        parts = [(np.array(old, dtype=np.intp), Reply([found[keys[row]] for row in old]))]
        counts = {**reply.counts, "cached": len(keys) - len(new)}
        for row, key in enumerate(keys):
            if key in at:  # equal costs are asked for once
                parts.append((np.array([row]), _one(reply, at[key])))
        return replace(Reply.gathered(len(keys), parts), counts=counts)

    def _remember(self, keys: Sequence[Key], reply: Reply, shape: tuple[int, ...]) -> None:
        each = 2 * 8 * int(np.prod(shape)) + 200
        with self.lock:
            for row, key in enumerate(keys):
                one = _one(reply, row)
                if one.status is None and one.flags is None:
                    x = one.x[0]  # an oracle may write to its arrays again
                    self.known[key] = x.copy() if isinstance(x, np.ndarray) else x
            while len(self.known) * each > self.size:
                self.known.popitem(last=False)


def _one(reply: Reply, row: int) -> Reply:
    status = None if reply.status is None else reply.status[row : row + 1]
    flags = None if reply.flags is None else reply.flags[row : row + 1]
    return Reply(
        [reply.x[row]],
        status if status is not None and status.any() else None,
        flags if flags is not None and flags.any() else None,
        {0: reply.notes[row]} if row in reply.notes else {},
        cause=reply.cause if status is not None and status.any() else None,
    )


@final
class Pooled(Locked):
    """Solves a share of the elements, and answers the others by the best solution seen so far.

    For sets that all elements share: calls with per-instance inputs pass. What the pool answers is
    feasible, but nothing says that it is optimal.

    Parameters
    ----------
    ask : Ask
    share : float
        Of the elements that are solved, in (0, 1].
    solutions : (K, *shape) array
        With which the pool begins; may be empty.
    sign : {1, -1}
        -1 if the oracle maximises.
    seed : int
        Of the draws that decide which elements are solved.
    """

    def __init__(self, ask: Ask, share: float, solutions: Any, sign: float, seed: int) -> None:
        super().__init__()
        self.ask, self.share, self.sign, self.active = ask, share, sign, True
        self.draw = np.random.default_rng(seed)
        self.pools: dict[tuple[int, ...], list[FloatArray]] = {}
        self.seen: set[Key] = set()
        self._add(solutions)

    def __call__(self, costs: FloatArray, instances: Sequence[Any] | None) -> Reply:
        """See ``Ask``."""
        if instances is not None or not self.active:
            return self.ask(costs, instances)
        with self.lock:
            solved = self.draw.random(len(costs)) < self.share
            if costs.shape[1:] not in self.pools:
                solved[:] = True
        rows, others = np.flatnonzero(solved), np.flatnonzero(~solved)
        parts: list[tuple[IntArray, Reply]] = []
        if len(rows):
            reply = halved(self.ask, costs[rows], None)
            good = np.ones(len(rows), dtype=np.bool_) if reply.status is None else reply.status == 0
            self._add([x for x, fine in zip(reply.x, good, strict=True) if fine])
            parts.append((rows, reply))
        if len(others):
            parts.append((others, Reply(self._best(costs[others]), counts={"pooled": len(others)})))
        return Reply.gathered(len(costs), parts)

    def _best(self, costs: FloatArray) -> FloatArray:
        with self.lock:
            pool = np.stack(self.pools[costs.shape[1:]])
        values = self.sign * costs.reshape(len(costs), -1) @ pool.reshape(len(pool), -1).T
        return pool[values.argmin(axis=1)]

    def _add(self, solutions: Any) -> None:
        with self.lock:
            for solution in solutions:
                point = np.array(solution, dtype=np.float64)
                key = point.shape, point.tobytes()
                if np.isfinite(point).all() and key not in self.seen:
                    self.seen.add(key)
                    self.pools.setdefault(point.shape, []).append(point)
