"""What a layer has done so far."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Any


@dataclass
class Stats:
    """Counters of a layer since it was made; safe to read at any time.

    Attributes
    ----------
    set_ups : int
        Problems factorized or handed to a solver afresh.
    solves, re_solves : int
        Forward and tilted solves.
    retries : int
        Tilted solves repeated with a smaller tau.
    failures : int
        Elements that stayed unsolved, forward or backward.
    inexact : int
        Inaccurate solutions that were accepted.
    incumbents : int
        Solutions that are the best known when a solver's limit was reached.
    cached, pooled : int
        Answers of an oracle's cache and of its pool of solutions.
    contradictions : int
        Tilted solutions of an oracle that contradict the forward ones.
    moved : int
        Tilted solutions in another basin than the forward solution.
    one_sided : int
        Elements of which ``tau="auto"`` could tilt an oracle's costs to one side alone.
    tau : (float, float) or None
        Smallest and largest tilt that the last backward pass made; None where it made none.
    degenerate : float or None
        Share of elements in the last backward pass at a kink, on a flat face, at a vertex (where a
        gradient of the costs is wanted) or with dependent active rows: the derivative is not unique
        there, or says nothing of the costs.
    unverified : float or None
        Share of elements whose gradient could be neither derived nor verified.
    seconds_forward, seconds_backward : float
        Wall-clock time within the layer.
    """

    set_ups: int = 0
    solves: int = 0
    re_solves: int = 0
    retries: int = 0
    failures: int = 0
    inexact: int = 0
    incumbents: int = 0
    cached: int = 0
    pooled: int = 0
    contradictions: int = 0
    moved: int = 0
    one_sided: int = 0
    tau: tuple[float, float] | None = None
    degenerate: float | None = None
    unverified: float | None = None
    seconds_forward: float = 0.0
    seconds_backward: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def add(self, **amounts: float) -> None:
        """Add to counters."""
        with self._lock:
            for name, amount in amounts.items():
                setattr(self, name, getattr(self, name) + amount)

    def note(self, **values: Any) -> None:
        """Replace values of the last pass."""
        with self._lock:
            for name, value in values.items():
                setattr(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())
