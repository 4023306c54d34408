"""What the oracles of this package share: checks of shapes, failures, one call for a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import numpy as np

from lpgd.core.errors import Index, SolverError, StructureError, word_failure
from lpgd.core.options import array
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status

Shape = tuple[int | None, ...]
WHY = "costs have a NaN or infinite entry"
EXTREME = 900  # exponent of two beyond which sums of costs may overflow, and quotients


@public("lpgd.oracles")
class SetOracle(ABC):
    """Minimises linear costs over a set; a callable from (B, *shape) costs to as many minimisers.

    Attributes
    ----------
    shape : tuple of int or None
        Shape of one cost; None is any size.
    sense : "min"
        A layer with ``sense="max"`` hands it the negated costs.
    gap : float
        Relative suboptimality that its answers may have.
    """

    shape: Shape = (None,)
    sense: ClassVar[str] = "min"
    gap: float = 0.0

    @abstractmethod
    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """Minimisers of costs (B, *shape), and how each was found."""

    def __call__(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> FloatArray:
        """Minimisers of costs (B, *shape) float64.

        Raises
        ------
        SolverError
            Elements without a minimiser, or with a NaN or infinite cost. A layer asks for a
            ``reply`` instead, in which they are marked, and does as its ``on_failure`` says.
        """
        costs = self._costs(costs)
        if instances is not None:
            given = len(instances) if hasattr(instances, "__len__") else instances
            if given != len(costs):
                raise StructureError(f"{len(costs)} instances are needed, got {given!r}")
        bad = ~np.isfinite(costs).all(axis=tuple(range(1, costs.ndim)))
        if bad.any():
            notes = {int(row): WHY for row in np.flatnonzero(bad)}
            self._raise(np.where(bad, Status.INVALID, 0), notes)
        found = self.reply(costs, instances)
        if found.status is not None and found.status.any():
            self._raise(found.status, found.notes, found.cause)
        return np.asarray(found.x, dtype=np.float64)

    def _raise(self, status: Any, notes: Mapping[int, str], cause: Any = None) -> NoReturn:
        failed: dict[Index, Status] = {
            int(row): Status(int(status[row])) for row in np.flatnonzero(status)
        }
        message = word_failure(type(self).__name__, failed, len(status), {**notes})
        raise SolverError(message, list(failed), list(failed.values())) from cause

    def _costs(self, costs: Any) -> FloatArray:
        costs = array("costs", costs)
        given = costs.shape[1:]
        fits = len(given) == len(self.shape) and all(
            want in (None, got) for want, got in zip(self.shape, given, strict=True)
        )
        if not fits:
            want = ", ".join("any" if size is None else str(size) for size in self.shape)
            raise StructureError(
                f"{type(self).__name__} expects costs of shape (B, {want}), got {costs.shape}"
            )
        return costs


class ExactOracle(SetOracle):
    """A ``SetOracle`` whose every element has a minimiser, found for all of them at once."""

    @abstractmethod
    def minimise(self, costs: FloatArray) -> FloatArray:
        """Minimisers of costs (B, *shape)."""

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        return Reply(self.minimise(moderate(costs)))


def moderate(costs: FloatArray) -> FloatArray:
    """Costs (B, *shape), where their size is extreme times a power of two that makes it one.

    An element's minimisers stay the same, and whatever is computed of its costs is finite.
    """
    size = np.abs(costs).max(axis=tuple(range(1, costs.ndim)), initial=0.0)
    power = np.frexp(size)[1]
    power = np.where(np.abs(power) > EXTREME, -power, 0)
    if not power.any():
        return costs
    return np.ldexp(costs, power.reshape(-1, *[1] * (costs.ndim - 1)))


def refuse(oracle: Any, instances: Any) -> None:
    """Refuse per-instance inputs.

    Raises
    ------
    StructureError
    """
    if instances is not None:
        raise StructureError(f"{type(oracle).__name__} takes no per-instance inputs")
