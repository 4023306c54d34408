"""Noise that rules add to costs, and the state that it keeps in a rule's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np

from lpgd.core.options import positive, whole
from lpgd.core.params import Param
from lpgd.core.public import public
from lpgd.core.rule import DRAWS, Memory
from lpgd.core.solution import FloatArray


class Noise(Protocol):
    """A source of noise. What it remembers are named arrays of the memory that it is given.

    Noise that remembers nothing but ``draws``, an array of numbers >= 0 that decide what is drawn,
    also serves functions, which draw from a key.
    """

    def begin(self) -> Memory:
        """What it remembers before the first draw."""
        ...

    def draw(self, shape: tuple[int, ...], memory: Memory) -> FloatArray:
        """A float64 array of this shape; the next call draws others."""
        ...


def known(noise: Any) -> None:
    """Refuse what is no source of noise.

    Raises
    ------
    ValueError
    """
    if isinstance(noise, type) or not (hasattr(noise, "begin") and hasattr(noise, "draw")):
        raise ValueError(f"noise must be like lpgd.rules.Gaussian(), got {noise!r}")


def generator(seed: int, memory: Memory) -> Any:
    """A generator of its own for each draw, so that the number of draws is all that is kept."""
    numbers = memory[DRAWS]
    memory[DRAWS] = numbers + 1
    return np.random.default_rng([seed, *map(int, numbers)])


def keyed(noise: Noise, key: Param, shape: tuple[int, ...]) -> FloatArray:
    """Noise (B, *shape), that of each element drawn from its own key (B, k)."""
    drawn = [noise.draw(shape, {**noise.begin(), DRAWS: own}) for own in key.values.astype(int)]
    return np.array(drawn).reshape(len(drawn), *shape)[key.index]


@public("lpgd.rules")
@final
@dataclass(frozen=True)
class Gaussian:
    """Standard normal noise.

    Parameters
    ----------
    seed : int
        Together with the number of draws it decides what is drawn.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        whole("seed", self.seed, least=0)

    def begin(self) -> Memory:
        """The number of draws."""
        return {DRAWS: np.zeros(1, dtype=np.int64)}

    def draw(self, shape: tuple[int, ...], memory: Memory) -> FloatArray:
        """See ``Noise.draw``."""
        found: FloatArray = generator(self.seed, memory).normal(size=shape)
        return found


@public("lpgd.rules")
@final
@dataclass(frozen=True)
class SumOfGamma:
    """Sums of Gamma variables (Niepert et al., NeurIPS 2021): kappa of them are nearly Gumbel.

    Parameters
    ----------
    kappa : float
        > 0; of sets with k ones k is the natural choice.
    terms : int
        Length of the sum, >= 1.
    seed : int
    """

    kappa: float = 5.0
    terms: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        positive("kappa", self.kappa)
        whole("terms", self.terms)
        whole("seed", self.seed, least=0)

    def begin(self) -> Memory:
        """The number of draws."""
        return {DRAWS: np.zeros(1, dtype=np.int64)}

    def draw(self, shape: tuple[int, ...], memory: Memory) -> FloatArray:
        """See ``Noise.draw``."""
        rng, total = generator(self.seed, memory), np.zeros(shape)
        for i in range(1, self.terms + 1):
            total += rng.gamma(1 / self.kappa, self.kappa / i, shape)
        return (total - np.log(self.terms)) / self.kappa
