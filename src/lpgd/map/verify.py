"""An engine's verdict is believed only after a check of our own.

What it calls optimal has to satisfy the optimality conditions to its tolerance, relative to the
data; what it calls infeasible or unbounded it has to prove. The residual measures the accuracy of
each solution.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lpgd.core.engine import Answer
from lpgd.core.params import Params
from lpgd.core.problem import Ability, Problem, checkable
from lpgd.core.solution import FloatArray, Status

FLOOR = 1e-12  # no residual says that a solution is more accurate than this
UNKNOWN = 1e-10  # of engines and families that measure nothing
PROOF = 1e-6  # relative violation of a certificate that is rounding
CLAIMS = (Status.INFEASIBLE, Status.UNBOUNDED)


def verified(problem: Problem, params: Params, answer: Answer, tolerance: float) -> Answer:
    """Judge an answer and measure its accuracy; ``params`` hold the data of its rows."""
    if Ability.CHECK not in problem.abilities:
        return answer
    family = checkable(problem, "the map")
    solution = family.inside(params, answer.solution)
    status = solution.status.copy()
    usable = np.isin(status, (Status.OPTIMAL, Status.INACCURATE))
    with np.errstate(all="ignore"):
        residual = family.residual(params, solution)
        good = residual <= tolerance
        status[usable] = np.where(good, Status.OPTIMAL, Status.INACCURATE)[usable]
        claimed = np.isin(status, CLAIMS)
        if claimed.any() and answer.ray is not None:
            rows = np.flatnonzero(claimed)
            chosen = {name: param.take(rows) for name, param in params.items()}
            proven = family.refuted(chosen, answer.ray.take(rows)) <= PROOF
            status[rows[~proven]] = Status.NUMERICAL
    accuracy = np.where(usable, np.maximum(residual, FLOOR), np.inf)
    if answer.accuracy is not None:
        accuracy = np.maximum(accuracy, answer.accuracy)
    return replace(answer, solution=replace(solution, status=status), accuracy=accuracy)


def accuracy_of(answer: Answer) -> FloatArray:
    """Measured where something was measured."""
    if answer.accuracy is None:
        return np.full(len(answer.solution), UNKNOWN)
    return answer.accuracy
