"""What becomes of elements that DAQP could not solve, or says to have no solution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np

from lpgd.core.engine import Answer
from lpgd.core.params import Params, taken
from lpgd.core.scaling import top
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution, Status, among
from lpgd.engines.daqp.form import Form
from lpgd.engines.daqp.set_up import afresh
from lpgd.engines.daqp.sharpen import sharpened
from lpgd.engines.piqp.engine import PiqpEngine
from lpgd.engines.second_look import FINE, Elastic, elastic, feasible, recession
from lpgd.families.qp.qp import QP
from lpgd.families.quadratic.optimality import MARGIN

# Other ways for DAQP, one after the other: equalities reduced first and thresholds that tell rows
# apart which nearly depend on each other; more of a proximal term; a rougher eye for violations.
WAYS = (
    {"eq_reduction": 1, "sing_tol": 1e-16, "zero_tol": 1e-16},
    {"eps_prox": -1e-4},
    {"primal_tol": 1e-7},
)
# Of rows whose terms are small beside x, ``primal_tol``, which knows their coefficients alone, may
# let pass all there is. Rough answers are asked for again, to more digits, and then in shorter
# steps: costs without curvature lead far away at first, where small terms drown.
FINER = ({"primal_tol": 1e-12}, {"primal_tol": 1e-12, "eps_prox": 1.0})
Judged = tuple[Solution, FloatArray]
"""Solutions and their relative residuals."""
CLAIMS = (Status.INFEASIBLE, Status.UNBOUNDED, Status.NUMERICAL)
SOLVED = 1  # exit flag
DOUBTFUL = (*CLAIMS, Status.INACCURATE, Status.ITERATION_LIMIT)  # DAQP may cycle
ROUGH = 1e-8  # relative residual from which an answer is asked for again
INEXACT = 1e-6  # relative residual of a wrong answer
SHARP = 1e-10  # of usual answers
NOTHING = 1e-6  # of a right-hand side: an x that is less may be its rounding
NEARLY = 1e-5  # contradictions below this share of the data may be rounding of the user's


@dataclass(frozen=True)
class Review:
    """Programs in DAQP's units, what DAQP is to be told, and points that may be feasible.

    ``alone`` asks no other engine.
    """

    problem: QP
    params: Params
    settings: dict[str, float]
    threads: int | None
    start: Solution | None = None
    alone: bool = False

    def of(self, answer: Answer) -> Answer:
        """The answer with proofs of what it says; where there is none, solved by other means.

        Right-hand sides that contradict each other by no more than ``primal_tol`` of themselves,
        or than can be proven, give way by that much.
        """
        solution, residual = self._sharp(self.params, answer.solution)
        answer = replace(answer, solution=solution, accuracy=residual)
        rough = np.flatnonzero(solution.solved & ~(residual <= ROUGH))
        if not len(rough) and solution.solved.all():
            return answer
        asked = rough
        if len(rough):
            answer, asked = self._finer(answer, rough)
        rows = np.flatnonzero(among(answer.solution.status, *DOUBTFUL))
        return self._settled(answer, rows, np.isin(rows, asked)) if len(rows) else answer

    def _sharp(self, params: Params, point: Solution) -> Judged:
        """Newton's step where digits are missing, or drown in bounds that are far away."""
        solution, accuracy = self.problem.judged(params, point)
        blunt = accuracy > SHARP
        if not self.problem.quadratic:
            blunt |= (accuracy > 0) & self._next_to_nothing(params, solution.x)
        rows = np.flatnonzero(solution.solved & blunt & (accuracy < np.inf))
        if not len(rows):
            return solution, accuracy
        found, residual = sharpened(self.problem, taken(params, rows), solution.take(rows))
        better = np.flatnonzero(residual < accuracy[rows])
        accuracy = accuracy.copy()
        accuracy[rows[better]] = residual[better]
        return solution.put(rows[better], found.take(better)), accuracy

    def _next_to_nothing(self, params: Params, x: FloatArray) -> BoolArray:
        """Whether points are so beside the right-hand sides and bounds of their programs."""
        sides = self.problem.sides(params)
        return top(x) < NOTHING * top(np.where(np.isfinite(sides), sides, 0.0))

    def _finer(self, answer: Answer, rows: IntArray) -> tuple[Answer, IntArray]:
        """Ask for more of rough answers, last of another engine; what is rough then is wrong.

        Also which rows that engine was asked for.
        """
        assert answer.accuracy is not None
        solution, accuracy, rough = answer.solution, answer.accuracy, rows
        asked = rows[:0]
        for way in (*FINER, None):
            asked = rough if way is None else asked
            data = taken(self.params, rough)
            found, residual = self._elsewhere(data) if way is None else self._anew(data, way)
            better = np.flatnonzero(found.solved & (residual < accuracy[rough]))
            solution = solution.put(rough[better], found.take(better))
            accuracy[rough[better]] = residual[better]
            rough = rough[~(accuracy[rough] <= ROUGH)]
            if not len(rough):
                break
        solution.status[rows[~(accuracy[rows] <= INEXACT)]] = Status.INACCURATE
        return replace(answer, solution=solution, set_ups=answer.set_ups + len(rows)), asked

    def _settled(self, answer: Answer, rows: IntArray, asked: BoolArray) -> Answer:
        """Proofs of what some rows claim, or answers; the other engine ``asked`` is not again."""
        data = taken(self.params, rows)
        look = self._elastic(data, rows)
        falls = recession(self.problem, data, self.threads)
        impossible = look.known & (look.share > max(self.settings["primal_tol"], MARGIN))
        endless = look.known & ~impossible & falls.any(axis=1)
        found = answer.solution.take(rows)
        found.status[among(found.status, *CLAIMS)] = Status.NUMERICAL  # unless it is proven
        rest = np.flatnonzero(~(impossible | endless))
        assert answer.accuracy is not None
        if len(rest):
            part = {name: param.take(rest) for name, param in {**data, **look.relaxed}.items()}
            fresh = ~asked[rest] | _changed(data, look.relaxed)[rest]
            again, answer.accuracy[rows[rest]] = self._again(part, found.take(rest), fresh)
            found = found.put(rest, again)
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

    def _elastic(self, data: Params, rows: IntArray) -> Elastic:
        """How far the rows are from being feasible; tilted costs leave a solution feasible."""
        if self.start is None:
            return elastic(self.problem, data, self.threads)
        look = Elastic.of_feasible(self.problem, data)
        rest = np.flatnonzero(~feasible(self.problem, data, self.start.x[rows]))
        if not len(rest):
            return look
        return look.put(rest, elastic(self.problem, taken(data, rest), self.threads))

    def _anew(self, data: Params, *ways: dict[str, float]) -> Judged:
        """The answers of fresh set-ups, each in the first way that solves it."""
        size = len(data["q"].index)
        form = Form.of(self.problem, data, None)
        for row, set_up in enumerate(afresh(self.problem, data, size)):
            for way in ways:
                set_up.solve(form, row, self.settings | way)
                if form.flag[row] == SOLVED:
                    break
        return self._sharp(data, form.solution(self.problem))

    def _elsewhere(self, data: Params) -> Judged:
        """The answers of another engine: HiGHS, or of QPs PIQP, if it may be asked."""
        other = FINE
        if self.problem.quadratic:
            if self.alone or find_spec("piqp") is None:
                size = len(data["q"].index)
                return Solution.blank(size, self.problem.n, self.problem.m), np.full(size, np.inf)
            other = PiqpEngine(time_limit=self.settings["time_limit"])
        answer = other.solve(self.problem, data, threads=self.threads).solution
        return self._sharp(data, replace(answer, basis=None))

    def _again(self, data: Params, before: Solution, fresh: BoolArray) -> Judged:
        """Solve what seems to have a solution once more; its residuals, too.

        Of another engine only what is ``fresh`` to it.
        """
        found, residual = self._anew(data, *WAYS)
        wrong = ~(found.solved & (residual <= INEXACT)) & (before.status != Status.ITERATION_LIMIT)
        rest = np.flatnonzero(wrong & fresh)
        if len(rest):
            answer, gap = self._elsewhere(taken(data, rest))
            better = np.flatnonzero(answer.solved & (gap <= INEXACT))
            found = found.put(rest[better], answer.take(better))
            residual[rest[better]] = gap[better]
        return before.put(found.solved, found.take(found.solved)), residual


def _changed(data: Params, relaxed: Params) -> BoolArray:
    """Elements with other right-hand sides, (N,)."""
    size = len(data["q"].index)
    parts = [(p.full() != data[name].full()).any(axis=1) for name, p in relaxed.items()]
    return np.logical_or.reduce([np.zeros(size, dtype=np.bool_), *parts])


def _notes(rows: IntArray, shares: FloatArray) -> dict[int, str]:
    return {
        int(row): f"infeasible by {share:.0e} of its right-hand sides; a primal_tol of the engine "
        "above that accepts it"
        for row, share in zip(rows, shares, strict=True)
        if share < NEARLY
    }
