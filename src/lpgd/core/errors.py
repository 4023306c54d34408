"""The exceptions and warnings of the library, and the one place that words a failed solve.

LpgdError
├── StructureError (ValueError)    a wrong shape, dtype, device or a missing partner argument
├── EngineError (ValueError)       an engine that cannot do what problem and rule ask of it
├── IllPosedError (ValueError)     an envelope that is a non-convex problem, or has no value
├── MissingExtraError (ImportError) an optional package is not installed
└── SolverError (RuntimeError)     elements of a batch could not be solved

SolverWarning, StuckWarning and OracleWarning are the warnings.
"""

from collections.abc import Mapping, Sequence

from lpgd.core.public import public
from lpgd.core.solution import Status

Index = int | tuple[int, ...]


@public("lpgd")
class LpgdError(Exception):
    """Base of the errors about problems, engines and solves.

    A bad option of a constructor is a ValueError or TypeError, a second derivative a RuntimeError.
    """


@public("lpgd")
class StructureError(LpgdError, ValueError):
    """An argument has the wrong shape, dtype or device, or its partner is missing."""


@public("lpgd")
class EngineError(LpgdError, ValueError):
    """The engine cannot solve this problem, or not the tilted one that the rule needs."""


@public("lpgd")
class IllPosedError(LpgdError, ValueError):
    """An envelope of a loss that is a non-convex problem: no solver's answer would be its value."""


@public("lpgd")
class MissingExtraError(LpgdError, ImportError):
    """An optional package is missing; the message names the command that installs it."""


@public("lpgd")
class SolverError(LpgdError, RuntimeError):
    """Some elements of the batch were not solved.

    Attributes
    ----------
    indices : tuple
        Batch index of each failed element: an int for one batch dimension, else a tuple of ints.
    statuses : tuple of Status
        Why each of them failed, in the order of ``indices``.
    """

    def __init__(
        self, message: str, indices: Sequence[Index] = (), statuses: Sequence[Status] = ()
    ) -> None:
        super().__init__(message)
        self.indices = tuple(indices)
        self.statuses = tuple(statuses)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[Index, ...], tuple[Status, ...]]]:
        return type(self), (str(self), self.indices, self.statuses)


@public("lpgd")
class SolverWarning(UserWarning):
    """Elements failed and were marked, as ``on_failure="nan"`` asks."""


@public("lpgd")
class StuckWarning(UserWarning):
    """No element moved under its tilt, so training would stall."""


@public("lpgd")
class OracleWarning(UserWarning):
    """An oracle's answers contradict each other: a wrong sense, an inexact or a random oracle."""


def crash(error: Exception) -> str:
    """What a message says of an exception that was not expected."""
    return f"crashed: {type(error).__name__}: {error}"[:200]


def word_failure(
    what: str,
    failed: Mapping[Index, Status],
    total: int,
    notes: Mapping[Index, str],
    advice: str | None = None,
) -> str:
    """Say what failed, where in the batch and what to try; at most five elements are named.

    Parameters
    ----------
    what : str
        Engine and stage, e.g. ``"daqp: tilted solve"``.
    failed : mapping from batch index to Status
    total : int
        Number of elements in the batch.
    notes : mapping from batch index to str
        More about single elements, e.g. the argument that holds a NaN.
    advice : str or None
        What to try; None takes the advice of the statuses.
    """
    named = [
        f"{index}: {notes.get(index, status.text)}" for index, status in list(failed.items())[:5]
    ]
    more = ", ..." if len(failed) > 5 else ""
    tips = [advice] if advice else dict.fromkeys(status.advice for status in failed.values())
    return (
        f"{what}: {len(failed)} of {total} elements failed (batch index {', '.join(named)}{more}). "
        f"Try: {'; '.join(tips)}."
    )
