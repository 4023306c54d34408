"""Forward passes kept on the host, for frameworks whose residuals are arrays only.

A forward pass is found again by its *token*, bytes that travel with the arrays. The store is
bounded: what it has given up is made again from the arrays, which costs time, never another answer.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from lpgd.core.solution import IntArray
from lpgd.frontend.envelope import Evaluated
from lpgd.map.forward import Forward

Item = Forward | Evaluated
TOKEN = 8  # bytes; drawn at random, so that those of two processes differ
AROUND = 4  # what a solver keeps of its data is about so many times their size


@dataclass(frozen=True)
class Kept:
    """A forward pass or an envelope in the store, and the lock of those who use it."""

    item: Item
    size: int
    lock: Lock = field(default_factory=Lock)


@dataclass
class Store:
    """Forward passes by token, at most ``entries`` of them and about ``size`` bytes.

    Of those that have been used, the ``used`` newest stay: few are asked for twice. The oldest go
    first; the newest stays, whatever its size.

    Attributes
    ----------
    hits, misses : int
        How often a forward pass was found, and how often not.
    """

    entries: int = 64
    size: int = 2**28
    used: int = 4
    hits: int = 0
    misses: int = 0
    _fresh: OrderedDict[bytes, Kept] = field(default_factory=OrderedDict, repr=False)
    _spent: OrderedDict[bytes, Kept] = field(default_factory=OrderedDict, repr=False)
    _total: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __len__(self) -> int:
        return len(self._fresh) + len(self._spent)

    def put(self, item: Item) -> bytes:
        """Keep a forward pass, or an envelope with those that it holds; return its token."""
        held = item.solved if isinstance(item, Evaluated) else (item,)
        token, kept = os.urandom(TOKEN), Kept(item, sum(map(_size, held)))
        with self._lock:
            self._fresh[token] = kept
            self._total += kept.size
            while len(self) > 1 and (len(self) > self.entries or self._total > self.size):
                self._drop(self._spent or self._fresh)
        return token

    @contextmanager
    def using(self, token: bytes, *, wait: bool = True) -> Iterator[Item | None]:
        """What was kept under a token for one user at a time, or None if it is lost.

        Without ``wait`` also None where somebody else uses it.
        """
        kept = self._found(token)
        free = kept is not None and kept.lock.acquire(blocking=wait)
        with self._lock:
            self.hits, self.misses = self.hits + free, self.misses + (not free)
        if kept is None or not free:
            yield None
            return
        try:
            yield kept.item
        finally:
            kept.lock.release()

    def clear(self) -> None:
        """Give up everything."""
        with self._lock:
            self._fresh.clear()
            self._spent.clear()
            self._total = 0

    def _found(self, token: bytes) -> Kept | None:
        with self._lock:
            kept = self._fresh.pop(token, None) or self._spent.pop(token, None)
            if kept is not None:
                self._spent[token] = kept
                while len(self._spent) > self.used:
                    self._drop(self._spent)
        return kept

    def _drop(self, among: OrderedDict[bytes, Kept]) -> None:
        self._total -= among.popitem(last=False)[1].size


def one_call(tokens: np.ndarray, rows: IntArray) -> bytes | None:
    """The token of elements that are those of one call in their order, else None."""
    if not len(rows) or (rows != np.arange(len(rows))).any():
        return None
    return None if (tokens != tokens[0]).any() else tokens[0].tobytes()


def _size(forward: Forward) -> int:
    """About how many bytes a forward pass takes."""
    solved = [(forward.params, forward.solution)]
    if forward.samples is not None:
        solved.append((forward.samples[0].params, forward.samples[1]))
    arrays = [param.values for params, _ in solved for param in params.values()]
    arrays += [part for _, found in solved for part in (found.x, found.y)]
    return AROUND * sum(array.nbytes for array in arrays)
