"""What may be wrong, each cause with its test; the first that holds is the cause of a diagnosis.

They stand in the order in which a gradient is made: the solve, the loss, the tilt, the data.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import compress
from typing import cast

import numpy as np

from lpgd.core.public import public
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Status
from lpgd.core.tilt import Cotangent
from lpgd.diagnosis.facts import Facts, Passed
from lpgd.diagnosis.sense import better
from lpgd.diagnosis.shape import dependent_rows
from lpgd.diagnosis.words import WORDS
from lpgd.families.quadratic.structure import Structure
from lpgd.rules.ends import ENDS
from lpgd.rules.exact import Exact
from lpgd.rules.sizes import STILL

AVERAGED = 0.5  # a share of the batch size between this and its inverse is that of a mean
MANY = 0.25  # share of the elements that a sum would move, which makes a mean the cause
EXACT = 1e-10  # measured error of a point that is exact up to rounding, so that moves are too
ROUNDING = 1e-15  # relative error of such moves
FLAT = 1e6  # how much more a loss falls than its derivative promises, where it is saturated


@public("lpgd")
@dataclass(frozen=True, eq=False)
class Finding:
    """Something that a diagnosis found.

    Attributes
    ----------
    name : str
        E.g. ``"tau below the breakpoint"``; ``lpgd.diagnosis.words`` lists them.
    elements : (E,) int
        The elements of the batch, counted row by row, that it was found in.
    text, advice : str
        What it means, and what to try.
    """

    name: str
    elements: IntArray
    text: str
    advice: str


Found = tuple[str, BoolArray, dict[str, object]]
"""Name, elements (B,), and what the text is filled with."""


def findings(facts: Facts, gradients: list[FloatArray]) -> list[Finding]:
    """All that holds, what matters most first."""
    found: list[Finding] = []
    for check in CHECKS:
        for name, rows, fill in check(facts, gradients):
            if rows.any():
                text, advice = (part.format(**fill) for part in WORDS[name])
                found.append(Finding(name, np.flatnonzero(rows), text, advice))
    return found


def unsolved(facts: Facts, _: list[FloatArray]) -> Iterator[Found]:
    """Elements that the engine could not solve."""
    status = facts.forward.solution.status
    for kind in np.unique(status[status > 0]):
        word = Status(int(kind))
        yield "not solved", status == kind, {"status": word.text, "advice": word.advice}


def overflow(facts: Facts, gradients: list[FloatArray]) -> Iterator[Found]:
    """Losses and gradients beyond what the dtype holds."""
    own, solved = facts.subject.precision, facts.forward.solution.solved
    fill: dict[str, object] = {"dtype": own.name, "largest": own.largest}
    bad = solved & ~facts.cotangent.finite
    yield "overflow", bad & facts.wide.finite, fill
    yield "loss not finite", bad & ~facts.wide.finite, {"value": facts.value}
    if facts.passed is not None and not bad.any():
        with np.errstate(all="ignore"):
            tops = [np.abs(g).max(initial=0.0) for g in gradients]
        over = any(own.largest < top < np.inf for top in tops)
        yield "overflow", facts.spread(np.full(len(facts.rows), over)), fill


def underflow(facts: Facts, gradients: list[FloatArray]) -> Iterator[Found]:
    """Those that the dtype rounds to zero."""
    own, solved = facts.subject.precision, facts.forward.solution.solved
    fill: dict[str, object] = {"dtype": own.name, "least": own.least}
    lost = solved & ~facts.cotangent.loud & facts.cotangent.finite & facts.wide.loud
    lost &= facts.wide.finite
    yield "underflow", lost, fill
    tops = [float(np.abs(gradient).max(initial=0.0)) for gradient in gradients]
    if facts.passed is not None and not lost.any() and max(tops, default=0.0) > 0:
        under = max(tops) < own.least * own.eps
        yield "underflow", facts.spread(np.full(len(facts.rows), under)), fill


def silent_loss(facts: Facts, _: list[FloatArray]) -> Iterator[Found]:
    """A loss that does not pull, or hardly: it is saturated, at its best, or blind."""
    solved = facts.forward.solution.solved
    pull = facts.wide if facts.subject.precision.name != "float64" else facts.cotangent
    if not (solved.any() and pull.finite[solved].all()):
        return
    lowest, highest, promised = _probed(facts, pull)
    loud = pull.loud & solved
    if loud.any():
        if lowest > FLAT * promised and lowest > 0:
            yield "saturated unit", loud, {"where": "the loss", "factor": lowest / promised}
        return
    if lowest > 0:
        yield "saturated unit", solved, {"where": "the loss", "factor": np.inf}
    elif highest > 0:
        yield "loss at its least", solved, {"value": facts.value}
    else:
        yield "loss without the layer", solved, {}


def _probed(facts: Facts, pull: Cotangent) -> tuple[float, float, float]:
    """By how much the loss falls and rises at most near the outputs, and falls by its slope."""
    rng, outputs = np.random.default_rng(0), facts.outputs
    scale = max((np.abs(part[np.isfinite(part)]).max(initial=0.0) for part in outputs), default=0.0)
    scale = scale or 1.0
    slope = sum(np.abs(part).sum() for part in (pull.dx, pull.dy, pull.ds) if part is not None)
    base, lowest, highest, promised = facts.wide_value, 0.0, 0.0, 0.0
    for size in (0.01, 1.0, 10.0):
        for sign in (1.0, -1.0, None):
            moves = [
                scale * size * (rng.standard_normal(p.shape) if sign is None else sign + 0 * p)
                for p in outputs
            ]
            there = [part + move for part, move in zip(outputs, moves, strict=True)]
            with np.errstate(all="ignore"):
                change = facts.subject.widely(there)[0] - base
            if np.isfinite(change):
                highest = max(highest, change)
                if -change > lowest:
                    most = max(np.abs(move).max(initial=0.0) for move in moves)
                    lowest, promised = -change, float(slope * most)
    noise = 1e-12 * max(abs(base), 1e-300)
    return (lowest if lowest > noise else 0.0), (highest if highest > noise else 0.0), promised


def wrong_sense(facts: Facts, _: list[FloatArray]) -> Iterator[Found]:
    """An oracle whose points cost more than others that it knows."""
    if facts.forward.program.family != "oracle":
        return
    worse, opposite = better(facts)
    yield "oracle of the wrong sense", worse & opposite, {}
    yield "oracle that is no minimiser", worse & ~opposite, {}


def failed_tilt(facts: Facts, _: list[FloatArray]) -> Iterator[Found]:
    """Tilted programs that have no solution, or none that the engine found."""
    passed = facts.passed
    if passed is None:
        return
    for kind in np.unique(passed.failed[passed.failed > 0]):
        rows, word = passed.failed == kind, Status(int(kind))
        fill: dict[str, object] = {"status": word.text, "tau": passed.tau[rows].min()}
        name = "infeasible tilt" if kind == Status.INFEASIBLE else "failed tilt"
        yield name, facts.spread(rows), fill


def pinned(facts: Facts, _: list[FloatArray]) -> Iterator[Found]:
    """Losses that pull at nothing that x can do."""
    solution = facts.forward.solution
    loud = solution.solved & facts.cotangent.finite & facts.cotangent.loud
    rows = loud & ~facts.spread(np.ones(len(facts.rows), dtype=np.bool_))
    if facts.passed is not None:
        fixed = facts.passed.pinned & ~facts.cotangent.take(facts.rows).dy.any(axis=1)
        rows |= facts.spread(fixed)
    yield "slack that no x moves", rows, {}


def noise(facts: Facts, _: list[FloatArray]) -> Iterator[Found]:
    """A tau whose move of x is smaller than the error of x."""
    passed, sizes, tau = facts.passed, facts.sizes, facts.tau
    if passed is None or sizes is None or tau is None:
        return
    error = np.where(sizes.accuracy > EXACT, sizes.accuracy, ROUNDING) * sizes.reach
    rows = ~passed.still & (passed.failed == 0) & (tau * passed.speed <= STILL * error)
    if rows.any():
        least = STILL * error[rows] / passed.speed[rows]
        fill: dict[str, object] = {"tau": tau, "least": 100 * least.max()}
        yield "tau below the solver's noise", facts.spread(rows), fill


def stuck(facts: Facts, _: list[FloatArray]) -> Iterator[Found]:
    """Solutions that stay at a vertex."""
    passed, sizes = facts.passed, facts.sizes
    if passed is None or sizes is None:
        return
    still = ~passed.moved & sizes.primal & ~passed.pinned & (passed.failed == 0)
    below = still & passed.still
    if facts.tau is None:
        name = "vertex" if isinstance(facts.rule, Exact) else "best point"
        yield name, facts.spread(below & passed.vertex), {}
        yield "corner", facts.spread(below & ~passed.vertex), {}
        return
    if not below.any():
        return
    needed = np.where(below, _needed(facts, passed), 0.0)
    rows, size = facts.spread(below), facts.size
    known = needed[below & np.isfinite(needed)]
    low, high = known.min(initial=np.inf), known.max(initial=0.0)
    fill: dict[str, object] = {"tau": facts.tau, "low": low, "high": high, "batch": size}
    if not len(known):
        yield "best point", rows, {}
    elif size > 1 and facts.tau * size > np.quantile(known, MANY) and _averaged(facts):
        yield "loss averaged over the batch", rows, fill
    else:
        yield "tau below the breakpoint", rows, fill


def _needed(facts: Facts, passed: Passed) -> FloatArray:
    """The least tau at which either end that the rule uses would move."""
    hi, lo = ENDS[facts.side]
    sides = [passed.breakpoints[:, 1]] * (hi > 0) + [passed.breakpoints[:, 0]] * (lo < 0)
    return np.min(sides, axis=0)


def _averaged(facts: Facts) -> bool:
    """Whether one element alone would be pulled at as many times harder as there are elements.

    A loss that does not take other batch sizes than its own, since it holds a target for each, is
    taken to be averaged: losses mostly are.
    """
    size, shape = facts.size, facts.subject.shape
    alone = [part.reshape(size, -1)[:1].reshape(*(1,) * len(shape), -1) for part in facts.outputs]
    try:
        with np.errstate(all="ignore"):
            _, parts = facts.subject.widely(alone)
    except Exception:  # whatever a user's loss does with a batch of another size
        return True
    one = max(np.abs(part).max(initial=0.0) for part in parts)
    many = facts.cotangent.dx[0]
    ratio = one / max(np.abs(many).max(initial=0.0), 1e-300)
    return not one or ratio >= AVERAGED * size


def redundant(facts: Facts, _: list[FloatArray]) -> Iterator[Found]:
    """Active rows that depend on each other, where gradients of their data are wanted."""
    passed, program = facts.passed, facts.subject.program
    wanted = set(compress(program.names, facts.subject.learned)) - set(program.problem.costs)
    if passed is None or not (wanted and passed.redundant.any()):
        return
    rows = np.flatnonzero(passed.redundant)
    given, element = facts.forward, int(facts.rows[rows[0]])
    problem = cast(Structure, given.program)  # others have no rows
    named = dependent_rows(problem, given.params, given.solution, element)
    listed = ", ".join(named[:5]) + (", ..." if len(named) > 5 else "")
    yield "redundant rows", facts.spread(passed.redundant), {"rows": listed}


def upstream(facts: Facts, gradients: list[FloatArray]) -> Iterator[Found]:
    """Gradients that are alive at the layer's arguments and die on the way to what is trained."""
    leaves = facts.subject.leaves
    if leaves is None or facts.passed is None:
        return
    sizes = leaves(gradients, facts.subject.learned)
    dead = [
        size is not None and np.isfinite(g).all() and size * FLAT < np.abs(g).max(initial=0.0)
        for size, g in zip(sizes, gradients, strict=True)
    ]
    rows = facts.spread(np.full(len(facts.rows), any(dead)))
    lost = [
        np.abs(g).max() / max(size or 0.0, 1e-300)
        for size, g, gone in zip(sizes, gradients, dead, strict=True)
        if gone
    ]
    fill: dict[str, object] = {"where": "what computes the layer's arguments"}
    fill["factor"] = max(lost, default=0.0)
    yield "saturated unit", rows, fill


def flagged(facts: Facts, _: list[FloatArray]) -> Iterator[Found]:
    """What the rule itself has to say."""
    passed = facts.passed
    if passed is None:
        return
    for name, rows in (
        ("flat face", passed.flat),
        ("degenerate", passed.degenerate & ~passed.flat & ~passed.redundant & ~passed.vertex),
        ("unverified", passed.unverified),
    ):
        yield name, facts.spread(rows), {}


CHECKS: tuple[Callable[[Facts, list[FloatArray]], Iterator[Found]], ...] = (
    unsolved, overflow, underflow, silent_loss, wrong_sense, failed_tilt, pinned, noise, stuck,
    upstream, redundant, flagged,
)  # fmt: skip
