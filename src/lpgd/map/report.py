"""What becomes of elements that failed: an exception or a warning, and a count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lpgd.core.engine import Answer
from lpgd.core.errors import Index, SolverError, SolverWarning, word_failure
from lpgd.core.rule import Pullback
from lpgd.core.scaling import top
from lpgd.core.solution import Flag, FloatArray, IntArray, Solution, Status, StatusArray
from lpgd.core.stats import Stats
from lpgd.core.tilt import Cotangent, Term
from lpgd.core.warn import warn
from lpgd.map.forward import Forward

OnFailure = Literal["raise", "nan"]

TILT_ADVICE = "a smaller tau, rho > 0, fallback=True (with side='average'), or on_failure='nan'"
TOO_LARGE = "no numbers hold the gradient, or what it is made of"
# A point that moves less than this, relative to its size, has not left its vertex.
MOVED = 1e-12
# Cotangents of this relative size are rounding in x: training has converged.
ROUNDING = 4 * np.finfo(np.float64).eps

ASK = "lpgd.diagnose(layer, ..., loss=...) looks at each element."
STUCK = (
    "no element moved under its tilt by more than rounding, so the gradient of the costs is zero "
    "and training would stall: the tilt is too small beside what holds the solutions, curvature or "
    "a corner. Use a larger tau, or rho > 0 with a tau that makes the tilt comparable to the "
    "costs. A loss averaged over a batch of B needs a tau B times as large as its sum. "
    "lpgd.diagnose(layer, ..., loss=...) tells which tau would do."
)

ELSEWHERE = (
    "{} of {} tilted solutions are in another basin than the forward solution: their difference is "
    "no gradient of a local solution. Use a smaller tau, or a start nearer to the one you mean."
)

ONE_SIDED = (
    "{} of {} elements could be tilted to one side alone, for the tilted solves of the other side "
    "failed, as those of a grid that refuses negative costs do: their gradient is that of one "
    "side. Counted in stats.one_sided; this warning is not repeated."
)


@dataclass(frozen=True)
class Failures:
    """Elements of a batch that a stage could not solve.

    Attributes
    ----------
    elements : (F,) int
    statuses : (F,) int8
    notes : mapping from element to str
    cause : Exception or None
    """

    elements: IntArray
    statuses: StatusArray
    notes: Mapping[int, str]
    cause: Exception | None = None

    @classmethod
    def of(cls, solution: Solution, notes: Mapping[int, str], cause: Exception | None) -> Failures:
        """The rows of a solution that are not solved."""
        failed = np.flatnonzero(~solution.solved)
        return cls(failed, solution.status[failed], notes, cause)

    @classmethod
    def none(cls) -> Failures:
        """Nothing failed."""
        return cls(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int8), {})

    def joined(self, lost: IntArray, note: str) -> Failures:
        """With elements that later broke down, and a note of those."""
        new = np.setdiff1d(lost, self.elements)
        status = np.full(len(new), Status.NUMERICAL, dtype=np.int8)
        notes = {**self.notes, **dict.fromkeys(new.tolist(), note)}
        elements = np.concatenate([self.elements, new])
        return Failures(elements, np.concatenate([self.statuses, status]), notes, self.cause)


def judge(
    why: Failures, where: Forward, stage: str, policy: OnFailure, stats: Stats, advice: str = ""
) -> None:
    """Raise or warn of failures, as the policy says, and count them.

    Raises
    ------
    SolverError
    """
    if not len(why.elements):
        return
    places = [place(int(e), where.shape) for e in why.elements]
    failed = {p: Status(int(s)) for p, s in zip(places, why.statuses, strict=True)}
    stats.add(failures=len(failed))
    named = {place(e, where.shape): note for e, note in why.notes.items()}
    what, size = f"{where.engine.name}: {stage}", len(where.solution)
    message = word_failure(what, failed, size, named, advice or None)
    if policy == "raise":
        raise SolverError(message, list(failed), list(failed.values())) from why.cause
    warn(f"{message} {ASK}", SolverWarning)


def judge_pulled(
    pulled: Pullback | None,
    why: Failures,
    lost: IntArray,
    where: Forward,
    policy: OnFailure,
    stats: Stats,
) -> None:
    """The same for the failures of a pullback and the elements whose gradient no numbers hold."""
    if not (len(why.elements) or len(lost)):
        return
    both = why.joined(lost, TOO_LARGE)
    if pulled is None or not len(why.elements):
        smaller = "a smaller cotangent" + (" or tau" if pulled and pulled.tau is not None else "")
        judge(both, where, "gradient", policy, stats, smaller)
    elif pulled.tau is None:
        judge(both, where, "derivative", policy, stats)
    else:
        advice = TILT_ADVICE
        if (why.statuses == Status.INFEASIBLE).all():  # which a proximal term does not mend
            advice = TILT_ADVICE.replace("rho > 0, ", "")
        tau = pulled.tau[pulled.failed != 0].min(initial=np.inf)
        judge(both, where, f"tilted solve at tau {tau:.3g}", policy, stats, advice)


def cause_of(answer: Answer) -> Exception | None:
    """What a solver raised, or else what it says of a row that failed."""
    said = next(iter(answer.notes.values()), None)
    return answer.cause or (RuntimeError(said) if said else None)


def note_moved(answer: Answer, stats: Stats) -> None:
    """Count tilted solutions in other basins, and warn of them."""
    flags = answer.solution.flags
    moved = 0 if flags is None else int((flags & np.uint8(Flag.MOVED) != 0).sum())
    if moved:
        stats.add(moved=moved)
        warn(ELSEWHERE.format(moved, len(answer.solution)), SolverWarning)


def note(pulled: Pullback, stats: Stats) -> None:
    """Count what a pullback tells of itself; warn of the first elements tilted to one side."""
    made = np.zeros(0) if pulled.tau is None else pulled.tau[pulled.tau > 0]
    told: dict[str, Any] = {"tau": (float(made.min()), float(made.max())) if len(made) else None}
    for name in ("degenerate", "unverified"):
        rows = getattr(pulled, name)
        if rows is not None:
            told[name] = float(np.count_nonzero(rows) / max(len(rows), 1))
    stats.note(**told)
    stats.add(retries=pulled.retries)
    count = 0 if pulled.one_sided is None else int(pulled.one_sided.sum())
    if count:
        first = not stats.one_sided
        stats.add(one_sided=count)
        if first:
            warn(ONE_SIDED.format(count, len(pulled.failed)), SolverWarning)


def place(element: int, shape: tuple[int, ...]) -> Index:
    """Batch index of an element."""
    index = tuple(int(i) for i in np.unravel_index(element, shape)) if shape else 0
    return index[0] if isinstance(index, tuple) and len(index) == 1 else index


def is_stuck(terms: Sequence[Term], point: Solution, dx: FloatArray) -> bool:
    """Whether a loss pulls at some x, and none of those moved."""
    size = 1 + top(point.x)
    pushed = top(dx) > ROUNDING * size
    for term in terms:
        moves = top(term.point.x - point.x)
        counts = pushed & (term.weight != 0)  # points of failed tilts are none
        if (moves > MOVED * size)[counts].any():
            return False
    return bool(pushed.any())


def pulling(pulled: Pullback, cotangent: Cotangent) -> FloatArray:
    """Cotangents of x (N, n) of rows that ought to move."""
    if pulled.stays is None:
        return cotangent.dx
    return np.where(pulled.stays[:, None], 0.0, cotangent.dx)
