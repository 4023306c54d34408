"""Programs with absolute deviations from a target among their costs.

minimise f(x) + t w'e  over x in X, e  subject to  x - e <= target, -x - e <= -target
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from lpgd.core.params import Param, Params, batched
from lpgd.core.pattern import Pattern
from lpgd.core.solution import FloatArray, Solution
from lpgd.families.conic.conic import Conic
from lpgd.families.qp.qp import QP
from lpgd.families.quadratic.structure import Structure
from lpgd.losses.added import Absolute


def extended(
    problem: Structure, params: Params, loss: Absolute, t: FloatArray
) -> tuple[Structure, dict[str, Param]]:
    """The program with t times the loss; ``params`` hold the data of its N rows."""
    n, data = problem.n, dict(params)
    data["q"] = batched(np.concatenate([params["q"].full(), t[:, None] * loss.weight], axis=1))
    sides = np.concatenate([loss.target, -loss.target], axis=1)
    patterns = dict(problem.patterns)
    for name in ("P", "A", "G"):
        if name in patterns:
            own = patterns[name]
            rows = 2 * n if name == "P" else own.shape[0]
            patterns[name] = Pattern(own.rows, own.cols, (rows, 2 * n))
        elif name in data:
            data[name] = _padded(data[name], n, square=name == "P")
    if isinstance(problem, Conic):
        return _conic(problem, data, patterns, sides)
    return _qp(cast(QP, problem), data, patterns, sides)


def original(problem: Structure, found: Solution) -> Solution:
    """Solutions of the extended program as ones of the program itself."""
    n, y = problem.n, found.y
    place = _place(problem)
    kept = np.concatenate([y[:, :place], y[:, place + 2 * n :]], axis=1)
    if "lb" in problem.blocks or "ub" in problem.blocks:  # bounds of e are none
        kept = y[:, _bounded(problem)]
    return Solution(found.x[:, :n], kept, found.status)


def pulls(problem: Structure, found: Solution, t: float) -> FloatArray:
    """The derivative of the loss in its target, (N, n), also where x stays at the target."""
    n, place = problem.n, _place(problem)
    above, below = (found.y[:, at : at + n] for at in (place, place + n))
    return (below - above) / t


def _place(problem: Structure) -> int:
    """Where the rows of the loss begin: behind those of G, or the nonnegative ones."""
    if isinstance(problem, Conic):
        return problem.cones.zero + problem.cones.nonneg
    return max((problem.blocks[k].stop for k in ("A", "G") if k in problem.blocks), default=0)


def _bounded(problem: Structure) -> np.ndarray:
    """Rows of the extended QP that are those of the QP."""
    n, place, chosen = problem.n, _place(problem), list[np.ndarray]()
    chosen.append(np.arange(place))
    start = place + 2 * n
    for name in ("lb", "ub"):
        if name in problem.blocks:
            chosen.append(np.arange(start, start + n))
            start += 2 * n
    return np.concatenate(chosen)


def _padded(param: Param, n: int, *, square: bool) -> Param:
    rows = n if square else 0
    return Param(np.pad(param.values, ((0, 0), (0, rows), (0, n))), param.index)


def _loss_rows(n: int) -> FloatArray:
    eye = np.eye(n)
    return np.block([[eye, -eye], [-eye, -eye]])


def _appended(param: Param | None, n: int, place: int, pattern: Pattern | None) -> Param:
    """A matrix with the rows of the loss put in at a place, or its values behind the others."""
    rows = _loss_rows(n)
    if param is None:
        values = rows if pattern is None else rows[np.nonzero(rows)]
        return Param(values[None], np.zeros(1, dtype=np.intp))
    count = len(param.values)
    if pattern is None:
        more = np.broadcast_to(rows, (count, *rows.shape))
        parts = [param.values[:, :place], more, param.values[:, place:]]
    else:
        parts = [param.values, np.broadcast_to(rows[np.nonzero(rows)], (count, 4 * n))]
    return Param(np.concatenate(parts, axis=1), param.index)


def _more_places(pattern: Pattern, n: int, place: int) -> Pattern:
    rows, cols = np.nonzero(_loss_rows(n))
    old = np.where(pattern.rows < place, pattern.rows, pattern.rows + 2 * n)
    places = np.concatenate([old, rows + place]), np.concatenate([pattern.cols, cols])
    return Pattern(*places, (pattern.shape[0] + 2 * n, 2 * n))


def _qp(
    problem: QP, data: dict[str, Param], patterns: dict[str, Pattern], sides: FloatArray
) -> tuple[QP, dict[str, Param]]:
    n, size = problem.n, len(sides)
    g = problem.blocks.get("G", slice(0, 0))
    rows = g.stop - g.start
    on_pattern = "G" in patterns or ("G" not in data and bool(patterns))
    if on_pattern:
        none = np.zeros(0, dtype=np.intp)
        before = patterns.get("G", Pattern(none, none, (0, 2 * n)))
        patterns["G"] = _more_places(before, n, rows)
    found = _appended(data.get("G"), n, rows, patterns.get("G"))
    data["G"] = found if "G" in data else Param(found.values, np.zeros(size, dtype=np.intp))
    have = [data["h"].full()] if "h" in data else []
    data["h"] = batched(np.concatenate([*have, sides], axis=1))
    free = np.full((size, n), np.inf)
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        if name in data:
            data[name] = batched(np.concatenate([data[name].full(), sign * free], axis=1))
    sizes = {k: 2 * n for k in ("lb", "ub") if k in data}
    sizes["G"] = rows + 2 * n
    if "A" in problem.blocks:
        sizes["A"] = problem.blocks["A"].stop
    if problem.quadratic:
        sizes["P"] = 2 * n
    return QP.of(sizes, 2 * n, patterns), data


def _conic(
    problem: Conic, data: dict[str, Param], patterns: dict[str, Pattern], sides: FloatArray
) -> tuple[Conic, dict[str, Param]]:
    n, place = problem.n, _place(problem)
    if "A" in patterns:
        patterns["A"] = _more_places(patterns["A"], n, place)
    data["A"] = _appended(data["A"], n, place, patterns.get("A"))
    b = data["b"].full()
    data["b"] = batched(np.concatenate([b[:, :place], sides, b[:, place:]], axis=1))
    cones = replace(problem.cones, nonneg=problem.cones.nonneg + 2 * n)
    changed = cast(Any, replace)
    fresh = changed(problem, n=2 * n, cones=cones, patterns=patterns, fixed=None, own=None)
    return fresh, data
