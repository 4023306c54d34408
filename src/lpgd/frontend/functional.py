"""Losses that are functions, added to a user's Lagrangian in whole.

The problem with the loss is another user's Lagrangian, L + t loss, of which t is the last
parameter: an envelope is a difference of its optimal values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpgd.core.errors import IllPosedError, StructureError
from lpgd.frontend.batches import Shape
from lpgd.frontend.envelope import Envelope, Evaluated
from lpgd.frontend.optimal_value import Piece, total
from lpgd.frontend.program import Program
from lpgd.frontend.saddle import Perturbation


@dataclass(frozen=True)
class WithLoss:
    """A Lagrangian and its procedure with t times a loss, of (*params, *targets, t).

    Attributes
    ----------
    function : callable
        The Lagrangian.
    procedure : callable
    loss : callable
        ``loss(x, *targets)``.
    targets : int
        How many there are.
    traced : bool
        Whether values are those of a trace, so that nothing can be known of t.
    """

    function: Callable[..., Any]
    procedure: Callable[..., Any]
    loss: Callable[..., Any]
    targets: int
    traced: bool = False

    def lagrangian(self, x: Any, y: Any, *every: Any) -> Any:
        """L + t loss."""
        params, targets, t = self._parts(every)
        return self.function(x, y, *params) + t * self.loss(x, *targets)

    def solve(self, every: Any, tilt: Perturbation) -> Any:
        """The procedure, told of the loss if there is one."""
        params, targets, t = self._parts(every)
        if not self.traced:
            t = float(t)
            if not t:
                return self.procedure(params, tilt)

        def loss(x: Any) -> Any:
            return self.loss(x, *targets)

        own = Perturbation(t, start=tilt.start, wrap=tilt.wrap, flat=tilt.flat, loss=loss)
        return self.procedure(params, own)

    def ranks(self, own: Any, targets: Sequence[Any]) -> Any:
        """Ranks of all parameters, from those of the layer's and those of the targets.

        Raises
        ------
        StructureError
        """
        if own is None and not targets:
            return None
        if own is None or not targets:
            raise StructureError(
                "give the layer ranks=, and targets= the number of dimensions that each target has "
                "for one element; or neither, if all that is passed is one element's"
            )
        return (*own, *targets, 0)

    def _parts(self, every: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...], Any]:
        first = len(every) - 1 - self.targets
        return tuple(every[:first]), tuple(every[first:-1]), every[-1]


@dataclass(frozen=True, eq=False)
class Functional:
    """An envelope of a loss that is a function; the counterpart of ``Stated``.

    Attributes
    ----------
    layer : saddle layer, of any framework
        Of the Lagrangian with the loss.
    envelope : Envelope
    targets : int
    """

    layer: Any
    envelope: Envelope
    targets: int

    @classmethod
    def of(cls, layer: Any, loss: Any, envelope: Envelope, targets: Sequence[Any]) -> Functional:
        """State it; ``layer.with_loss(loss, targets)`` is the layer with the loss.

        Raises
        ------
        StructureError
            There is a proximal term.
        IllPosedError
            Another side than the lower one.
        """
        if envelope.rho:
            raise StructureError("rho must be 0 for a function; add a proximal term to it")
        if envelope.side != "lower":
            raise IllPosedError(
                f"the {envelope.side} side subtracts the loss, and nothing is known of a function "
                "that would make this well posed. Use side='lower', or loss='linear'."
            )
        return cls(layer.with_loss(loss, targets), envelope, max(1, len(targets)))

    def calls(
        self, inputs: tuple[Any, ...], target: Any, weight: Any
    ) -> Iterator[tuple[Any, tuple[Any, ...]]]:
        """The layer with the arguments of its call; see ``Stated.calls``."""
        if weight is not None:
            raise StructureError("a function has its own weights; weight must be None")
        given = (target,) if self.targets == 1 else tuple(target)
        if len(given) != self.targets:
            raise StructureError(f"target must have {self.targets} parts, got {len(given)}")
        yield self.layer, (*inputs, *given)

    def whole(self, calls: Sequence[Any]) -> Any:
        return calls[0]

    def evaluate(
        self, programs: Sequence[Program], data: Sequence[np.ndarray], shape: Shape, eps: float
    ) -> Evaluated:
        """See ``Stated.evaluate``; the last datum is t."""
        count = len(data) - 1
        pieces = [
            Piece(weight, programs[0], count, (np.array(t),))
            for t, weight in reversed(self.envelope.ends)
        ]
        return total(pieces, data, shape, eps, warm=True)
