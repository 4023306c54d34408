"""What becomes of elements that DAQP could not solve, or says to have no solution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lpgd.core.engine import Answer
from lpgd.core.params import Params
from lpgd.core.solution import FloatArray, IntArray, Solution, Status
from lpgd.engines.daqp.form import Form
from lpgd.engines.daqp.set_up import afresh
from lpgd.engines.second_look import FINE, Elastic, elastic, recession
from lpgd.families.qp.qp import QP

# thresholds of DAQP's factorization with which it tells rows apart that nearly depend on each other
CAREFUL = {"sing_tol": 1e-14, "zero_tol": 1e-14}
CLAIMS = (Status.INFEASIBLE, Status.UNBOUNDED, Status.NUMERICAL)
DOUBTFUL = (*CLAIMS, Status.INACCURATE, Status.ITERATION_LIMIT)  # DAQP may cycle
NEARLY = 1e-5  # contradictions below this share of the data may be rounding of the user's


def reviewed(problem: QP, params: Params, answer: Answer, settings: dict[str, float]) -> Answer:
    """The answer with proofs of what it says; where there is none, solved by other means.

    ``params`` are in DAQP's units. Right-hand sides that contradict each other by no more than
    ``primal_tol`` of themselves give way by that much.
    """
    rows = np.flatnonzero(np.isin(answer.solution.status, DOUBTFUL))
    if not len(rows):
        return answer
    data = {name: param.take(rows) for name, param in params.items()}
    look, falls = elastic(problem, data), recession(problem, data)
    impossible = look.known & (look.share > settings["primal_tol"])
    endless = look.known & ~impossible & falls.any(axis=1)
    found = answer.solution.take(rows)
    found.status[np.isin(found.status, CLAIMS)] = Status.NUMERICAL  # unless it is proven
    rest = np.flatnonzero(~(impossible | endless))
    if len(rest):
        found = found.put(rest, _again(problem, data, look, rest, found.take(rest), settings))
    ray = Solution(np.zeros_like(found.x), np.zeros_like(found.y), found.status)
    for chosen, status in ((impossible, Status.INFEASIBLE), (endless, Status.UNBOUNDED)):
        found.x[chosen], found.y[chosen], found.status[chosen] = 0.0, 0.0, status
    ray.y[impossible], ray.x[endless] = look.proof[impossible], falls[endless]
    blank = replace(answer.solution, x=0 * answer.solution.x, y=0 * answer.solution.y)
    return replace(
        answer,
        solution=answer.solution.put(rows, found),
        set_ups=answer.set_ups + len(rest),
        ray=blank.put(rows, ray),
        notes=_notes(rows[impossible], look.share[impossible]),
    )


def _again(
    problem: QP,
    params: Params,
    look: Elastic,
    rows: IntArray,
    before: Solution,
    settings: dict[str, float],
) -> Solution:
    """Solve what seems to have a solution once more."""
    data = {name: param.take(rows) for name, param in (params | look.relaxed).items()}
    form = Form.of(problem, data, None)
    for row, set_up in enumerate(afresh(problem, data, len(rows))):
        set_up.solve(form, row, settings | CAREFUL)
    found = form.solution(problem)
    if not problem.quadratic and not found.solved.all():
        rest = np.flatnonzero(~found.solved & (before.status != Status.ITERATION_LIMIT))
        part = {name: param.take(rest) for name, param in data.items()}
        found = found.put(rest, FINE.solve(problem, part).solution)
    return before.put(found.solved, found.take(found.solved))


def _notes(rows: IntArray, shares: FloatArray) -> dict[int, str]:
    return {
        int(row): f"infeasible by {share:.0e} of its right-hand sides; a primal_tol of the engine "
        "above that accepts it"
        for row, share in zip(rows, shares, strict=True)
        if share < NEARLY
    }
