"""An engine's verdict is believed only after a check of our own.

What it calls optimal has to satisfy the optimality conditions to its tolerance, relative to the
data; what it calls infeasible or unbounded it has to prove. The residual measures the accuracy of
each solution. Engines that measured it by the family's check themselves are not asked again.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lpgd.core.abilities import checkable
from lpgd.core.engine import Answer
from lpgd.core.params import Params, taken
from lpgd.core.problem import Ability, Problem
from lpgd.core.solution import BoolArray, FloatArray, Status, among

FLOOR = 1e-12  # no residual says that a solution is more accurate than this
UNKNOWN = 1e-10  # of engines and families that measure nothing
NONE = 0.5  # relative residual of what is no solution, not even an inexact one
PROOF = 1e-6  # relative violation of a certificate that is rounding
Posed = Callable[[], tuple[Problem, Params]]
"""What was solved: the problem and the data of each row."""


def verified(answer: Answer, tolerance: float, posed: Posed) -> Answer:
    """Judge an answer and measure its accuracy, which is then not None."""
    solution, accuracy = answer.solution, answer.accuracy
    doubted = answer.ray is not None and not solution.solved.all()
    if accuracy is not None and not doubted:
        return _measured(answer, accuracy, tolerance)
    problem, params = posed()
    if Ability.CHECK not in problem.abilities:
        unknown = np.full(len(solution), UNKNOWN)
        return replace(answer, accuracy=unknown if accuracy is None else accuracy)
    family = checkable(problem, "the map")
    with np.errstate(all="ignore"):
        if accuracy is None:
            solution, accuracy = family.judged(params, solution)
        claims = among(solution.status, Status.INFEASIBLE, Status.UNBOUNDED)
        if answer.ray is not None and claims.any():
            rows = np.flatnonzero(claims)
            chosen = taken(params, rows)
            proven = family.refuted(chosen, answer.ray.take(rows)) <= PROOF
            status = solution.status.copy()
            status[rows[~proven]] = Status.NUMERICAL
            solution = replace(solution, status=status)
    return _measured(replace(answer, solution=solution), accuracy, tolerance)


def inexact(answer: Answer) -> BoolArray:
    """Inaccurate points that a user may accept, (N,)."""
    rough = answer.solution.status == Status.INACCURATE
    return rough if answer.accuracy is None else rough & (answer.accuracy < NONE)


def _measured(answer: Answer, residual: FloatArray, tolerance: float) -> Answer:
    """Usable points are optimal or not, as the residual says."""
    solution = answer.solution
    usable, good = solution.status <= Status.INACCURATE, residual <= tolerance
    accuracy = np.where(usable, np.maximum(residual, FLOOR), np.inf)
    if good.all() and not solution.status.any():
        return replace(answer, accuracy=accuracy)
    status = solution.status.copy()
    status[usable] = np.where(good, Status.OPTIMAL, Status.INACCURATE)[usable]
    return replace(answer, solution=replace(solution, status=status), accuracy=accuracy)
