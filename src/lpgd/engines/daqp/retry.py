"""Programs that failed in their units, or have few digits there, once more in others.

First where right-hand sides are nothing beside the costs, then in variables whose columns are
alike: all with curvature share a unit else, and its rounding may be more than some of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec

import numpy as np

from lpgd.core.engine import Answer
from lpgd.core.params import Params, taken
from lpgd.core.scaling import Exponents
from lpgd.core.solution import IntArray, Status, among
from lpgd.engines.daqp.review import INEXACT, ROUGH
from lpgd.engines.daqp.units import Units
from lpgd.families.qp.qp import QP
from lpgd.families.quadratic import alike
from lpgd.families.quadratic.products import Values
from lpgd.families.quadratic.structure import Structure

ASTRAY = (Status.INACCURATE, Status.NUMERICAL, Status.ITERATION_LIMIT)
Solve = Callable[[Params], Answer]
"""Solves programs, in wide units or by another engine, and tries no more."""


def in_other_units(
    problem: QP,
    params: Params,
    answer: Answer,
    units: Units | None,
    solve: Solve,
    elsewhere: Solve,
) -> Answer:
    """The answer with what has a solution in other units than those it was looked for in.

    What is rough then is asked of another engine in the user's, ``elsewhere``.
    """
    rows = _astray(answer)
    if len(rows):
        part = taken(params, rows)
        rows = rows[_other(units, rows, Units.of(problem, part, wide=True), problem.n)]
        answer = _better(problem, params, answer, rows, solve)
    rows = _astray(answer, ROUGH)
    if len(rows):
        columns = _columns(problem, taken(params, rows))
        apart = columns.any(axis=1)
        answer = _better(problem, params, answer, rows[apart], solve, columns[apart])
    if units is None or find_spec("piqp") is None:
        return answer
    rows = np.setdiff1d(_astray(answer, ROUGH), _astray(answer))
    return _better(problem, params, answer, rows[units.moved[rows]], elsewhere)


def _astray(answer: Answer, rough: float = INEXACT) -> IntArray:
    """Elements that may have a solution, and of which none, or a ``rough`` one, was found."""
    status, accuracy = answer.solution.status, answer.accuracy
    assert accuracy is not None
    return np.flatnonzero(among(status, *ASTRAY) | ((status == 0) & ~(accuracy <= rough)))


def _other(before: Units | None, rows: IntArray, after: Units | None, n: int) -> IntArray:
    """Which rows have other units of x."""
    none = np.zeros((len(rows), n))
    first = none if before is None else before.columns[rows]
    return np.flatnonzero((first != (none if after is None else after.columns)).any(axis=1))


def _columns(problem: Structure, params: Params) -> Exponents:
    return alike.units(Values(problem, params))


def _better(
    problem: Structure,
    params: Params,
    answer: Answer,
    rows: IntArray,
    solve: Solve,
    columns: Exponents | None = None,
) -> Answer:
    """The answer with better ones of some rows, of x in units of its ``columns`` perhaps."""
    if not len(rows):
        return answer
    given = taken(params, rows)
    again = solve(given if columns is None else alike.program(problem, given, columns))
    found, residual = again.solution, again.accuracy
    assert residual is not None
    assert answer.accuracy is not None
    if columns is not None:
        # a bound that is a denormal may be zero in other units
        found = problem.inside(given, alike.measured(problem, found, -columns))
        residual = np.fmax(residual, problem.residual(given, found))
    better = found.solved & (residual <= INEXACT) & ~(residual >= answer.accuracy[rows])
    accuracy = np.array(answer.accuracy)
    accuracy[rows[better]] = residual[better]
    solution = answer.solution.put(rows[better], found.take(better))
    set_ups = answer.set_ups + again.set_ups
    return replace(answer, solution=solution, accuracy=accuracy, set_ups=set_ups)
