"""Where the choices and the numbers of a case come from."""

from collections.abc import Mapping, Sequence
from typing import TypeVar
from zlib import crc32

import numpy as np

Option = TypeVar("Option")


class Draw:
    """Choices by name, numbers by name and seed.

    A choice that is fixed leaves all others and all numbers as they were, so that a case can be
    made smaller choice by choice. The first option of every choice is the simplest.

    Parameters
    ----------
    seed : int
    fixed : mapping from name to int
        Options that are not drawn.
    """

    def __init__(self, seed: int, fixed: Mapping[str, int] | None = None) -> None:
        self.seed = seed
        self.fixed = dict(fixed or {})
        self.taken: dict[str, int] = {}

    def pick(
        self, name: str, options: Sequence[Option], weights: Sequence[int] | None = None
    ) -> Option:
        """One of the options, the first being the simplest; the same one for the same name."""
        if name in self.taken:
            return options[min(self.taken[name], len(options) - 1)]
        if name in self.fixed:
            index = min(self.fixed[name], len(options) - 1)
        else:
            index = self._index(name, weights or [1] * len(options))
        self.taken[name] = index
        return options[index]

    def chance(self, name: str, percent: int) -> bool:
        """Whether something happens that does so in some percent of the cases."""
        return self.pick(name, (False, True), (100 - percent, percent))

    def numbers(self, name: str) -> np.random.Generator:
        """A generator of its own for each name."""
        return np.random.default_rng([self.seed, crc32(name.encode())])

    def _index(self, name: str, weights: Sequence[int]) -> int:
        shares = np.cumsum(np.array(weights, dtype=np.float64))
        at = self.numbers("choice " + name).random() * shares[-1]
        return int(np.searchsorted(shares, at, side="right"))
