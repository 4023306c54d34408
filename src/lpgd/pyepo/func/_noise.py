"""Noise that rules get from torch, drawn like the costs of the call."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lpgd.core.rule import Memory
from lpgd.core.solution import FloatArray

Draw = Callable[[tuple[int, ...], torch.Tensor], torch.Tensor]


class DrawnNoise:
    """A ``lpgd.rules`` noise that asks a function of a shape and a tensor that says what like."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.like = torch.empty(0)
        self.sign = 1.0

    def begin(self) -> Memory:
        """Nothing: the generator is the module's."""
        return {}

    def draw(self, shape: tuple[int, ...], memory: Memory) -> FloatArray:
        """See ``lpgd.rules.noise.Noise``."""
        drawn = self.sign * self._draw(shape, self.like)
        return drawn.to("cpu", torch.float64).numpy()
