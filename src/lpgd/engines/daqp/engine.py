"""DAQP: dense QPs and small LPs by a dual active-set method (Arnström et al., 2022).

A strictly convex program is set up once for every distinct (P, G, A): its Hessian is factorized and
its rows are multiplied. One model then takes the set-ups one after the other; their elements and
the tilted versions of these update linear terms, and each starts from a working set of its own. A
model holds nothing of the last program once it is handed matrices, linear terms and a working set,
so answers do not depend on the order. With a zero, singular or ill-conditioned Hessian DAQP
iterates on a proximal point or refines, and answers from a kept model would depend on its history:
such problems are set up afresh every time. What fails is looked at a second time (``review``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, cast, final

import numpy as np

from lpgd.core.engine import Answer, Capabilities, Range
from lpgd.core.options import number, whole
from lpgd.core.params import Params, distinct, taken
from lpgd.core.public import public
from lpgd.core.solution import IntArray, Solution, Status
from lpgd.engines.batch import spread, useful_threads
from lpgd.engines.daqp.form import Form
from lpgd.engines.daqp.retry import in_other_units
from lpgd.engines.daqp.review import INEXACT, Review
from lpgd.engines.daqp.set_up import Bench, SetUps
from lpgd.engines.daqp.units import Units
from lpgd.engines.piqp.engine import PiqpEngine
from lpgd.families.qp.qp import QP
from lpgd.families.quadratic.whitening import Whitened

if TYPE_CHECKING:
    from lpgd.core.engine import Workspace
    from lpgd.core.problem import Problem
    from lpgd.core.tilt import Tilt

MATRICES = ("P", "G", "A")
MOST = 2**31 - 1  # iterations that DAQP can count
DECIDED = (1, -7)  # exit flags of a solution and of a time limit, which is not to be spent twice
PAYS = 10_000  # entries of the constraint matrix from which threads pay

# Dense LPs up to this many variables go to DAQP, larger ones to HiGHS. Forward and one-side
# backward together, they meet near 100 variables on assignment, transport and shortest-path LPs,
# where HiGHS is 2 to 10 times faster at 130 to 200 and 200 times at 900; on LPs without zeros DAQP
# stays up to 9 times faster at 400, so such users name it (benchmarks/crossover.py measures both).
# The number of rows predicts less, and the share of zeros is no structure: answers must not
# depend on the values of a batch.
SMALL_LP = 150
# With rho > 0 only DAQP serves. Dense LPs with more variables than this are refused unless it is
# named: forward and tilted solve of one element then take seconds.
LARGE_TILT = 1000
# Cone programs with zero and nonnegative rows alone. Forward and one tilted solve, DAQP on dense
# matrices over Moreau on patterns (benchmarks/crossover.py): strictly convex ones without zeros
# 0.05 to 0.13 times at 20 x 20, 0.03 to 0.06 at 50 x 50 to 500 x 500; lasso with residuals as
# variables (P has empty rows, so set up afresh every time) 0.1 to 1.0 times at 20 to 300 variables;
# control problems (2 % of the entries stored) 0.1 to 0.2 times at 60, 1.0 at 180, 1.2 to 2.6 at
# 240, 12 at 960.
SMALL_QP = 150  # variables up to which patterns are made dense whatever they hold
FULL = 0.1  # share of stored entries from which they are at any size
LARGE_DENSE = 4_000_000  # entries of P and A up to which patterns are made dense: 32 MB an element
RANGES = (
    Range("QP", 0, variables=SMALL_QP, entries=LARGE_DENSE),
    Range("QP", 0, filled=FULL, entries=LARGE_DENSE),
    Range("LP", 0, variables=SMALL_LP),
    Range("LP", 20, variables=LARGE_TILT, filled=1.0),
)
# Tilted solves from a working set over the whitened conditions to first order, both with what else
# a backward pass does (process time, tau = 1e-2): 1.2 and 1.9 times (one side, both) at 10
# variables, 0.96 and 1.3 at 20, 0.76 and 1.1 at 24, 0.8 and 0.9 at 32, 0.7 and 0.9 at 50.
WARM = Range("QP", 0, least=18), Range("QP", 0, least=28)


@public("lpgd")
@final
@dataclass(frozen=True)
class DaqpEngine:
    """Dense dual active-set solver that keeps one set-up for every distinct (P, G, A).

    What it does not solve goes to HiGHS, or of QPs to PIQP if that is installed.

    Parameters
    ----------
    primal_tol : float
        Violation of a normalised constraint that counts as none.
    iteration_limit : int
    time_limit : float
        Seconds for one element; 0 means no limit.
    """

    primal_tol: float = 1e-9
    iteration_limit: int = 10_000
    time_limit: float = 0.0

    name: ClassVar[str] = "daqp"
    capabilities: ClassVar[Capabilities] = Capabilities(
        frozenset({"QP", "LP"}),
        tolerance=1e-6,
        restores=True,
        ranges=RANGES,
        warm=WARM,
        entries=LARGE_DENSE,
    )

    def __post_init__(self) -> None:
        number("primal_tol", self.primal_tol, below=1.0)
        if not self.primal_tol:
            raise ValueError("primal_tol must be > 0, got 0")
        whole("iteration_limit", self.iteration_limit, most=MOST)
        number("time_limit", self.time_limit)

    @cached_property
    def settings(self) -> dict[str, float]:
        """The options under DAQP's names."""
        return {
            "primal_tol": self.primal_tol,
            "iter_limit": self.iteration_limit,
            "time_limit": self.time_limit,
        }

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """See ``Engine.solve``."""
        kept = self._kept(problem, params, threads)
        with np.errstate(all="ignore"):
            answer = kept.solve(kept.problem, kept.params, start, np.arange(len(kept.group)))
        set_ups = answer.set_ups + (len(kept.set_ups.each) if kept.problem.quadratic else 0)
        if not keep:
            return replace(answer, set_ups=set_ups)
        workspace = replace(kept, solution=answer.solution)
        return replace(answer, set_ups=set_ups, workspace=workspace, factors=kept.factors)

    def restore(
        self, problem: Problem, params: Params, solution: Solution, threads: int | None
    ) -> Workspace:
        """See ``Restoring.restore``; its answers are those of the workspace that was kept."""
        return replace(self._kept(problem, params, threads), solution=solution)

    def _kept(
        self, problem: Problem, params: Params, threads: int | None, *, retried: bool = False
    ) -> Kept:
        """Set up every distinct (P, G, A); those that are ``retried`` in wide units."""
        qp = cast(QP, problem)
        group, first = distinct(params, ("P", "G", "A"))
        with np.errstate(all="ignore"):
            units = Units.of(qp, params, wide=retried)
            scaled = params if units is None else units.matrices(params, group, first)
            matrices = {name: scaled[name] for name in MATRICES if name in scaled}
            set_ups = SetUps.of(qp, matrices, first)
        return Kept(self, qp, params, matrices, set_ups, group, units, threads, retried=retried)


@dataclass(frozen=True)
class Kept:
    """The set-ups of a forward solve and each element's solution in it.

    ``retried`` are programs that have failed in other units.
    """

    engine: DaqpEngine
    problem: QP
    params: Params
    matrices: Params  # P, G and A in DAQP's units
    set_ups: SetUps
    group: IntArray
    units: Units | None
    threads: int | None
    solution: Solution | None = None
    retried: bool = False

    @property
    def factors(self) -> Whitened | None:
        """The programs in variables that make their Hessians the identity."""
        if self.units is not None or not self.problem.quadratic:
            return None
        return self.set_ups.whitened(self.group)

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""
        assert self.solution is not None
        problem, params = self.problem.tilt(self.params, tilt)
        start = self.solution.take(tilt.rows)
        if _other_hessian(self.params, params):  # one set-up for each distinct one
            return self.engine.solve(problem, params, start=start, threads=self.threads)
        with np.errstate(all="ignore"):
            return self.solve(problem, params, start, tilt.rows)

    def solve(self, problem: QP, params: Params, start: Solution | None, rows: IntArray) -> Answer:
        """Solve programs on the set-ups of the elements ``rows``, in DAQP's units and back."""
        units, given = self.units, params
        if units is not None:
            units = units.take(rows)
            params, start = units.linear(params), units.enter(start)
        scaled = {**params, **taken(self.matrices, rows)}
        form = Form.of(problem, scaled, start)
        afresh = self._run(form, self.group[rows], rows)
        answer = Answer(form.solution(problem), afresh)
        settings, alone = self.engine.settings, self.retried  # PIQP chooses units of its own
        review = Review(problem, scaled, settings, self.threads, start, alone=alone)
        answer = review.of(answer)
        if units is None:
            return self._again(problem, given, answer, None)
        ray = None if answer.ray is None else units.leave(problem, answer.ray)
        solution, moved = units.leave(problem, answer.solution), np.flatnonzero(units.moved)
        inside = problem.inside(taken(given, moved), solution.take(moved))
        solution = solution.put(moved, inside)
        answer = _believed(problem, given, units, replace(answer, solution=solution, ray=ray))
        return self._again(problem, given, answer, units)

    def _again(self, problem: QP, params: Params, answer: Answer, units: Units | None) -> Answer:
        """The answer, with what its units may have led astray solved in others."""

        def solve(part: Params) -> Answer:
            kept = self.engine._kept(problem, part, self.threads, retried=True)
            return kept.solve(problem, part, None, np.arange(len(kept.group)))

        def elsewhere(part: Params) -> Answer:
            other = PiqpEngine(time_limit=self.engine.time_limit)
            return other.solve(problem, part, threads=self.threads)

        if self.retried or not problem.quadratic:
            return answer
        return in_other_units(problem, params, answer, units, solve, elsewhere)

    def _run(self, form: Form, group: IntArray, element: IntArray) -> int:
        """Solve on the models of kept set-ups, the rest afresh; how many those were."""
        set_ups, settings = self.set_ups, self.engine.settings
        costs = list(set_ups.costs(form.f, group))
        points = np.zeros_like(form.x)  # in the variables of the set-ups
        afresh = np.zeros(len(costs), dtype=np.bool_)
        owners, elements = group.tolist(), element.tolist()
        upper, lower, senses = form.rows

        def work(chosen: IntArray) -> None:
            # the loop that all dense solves pass: a few microseconds of Python an element
            bench = Bench(settings)
            for row in chosen.tolist():
                set_up, flag = set_ups.each[owners[row]], 0
                if set_up.kept is not None:
                    terms = (costs[row], upper[row], lower[row], senses[row])
                    flag, u, lam = bench.solve(set_up.kept, elements[row], terms)
                    if flag == 1:
                        points[row], form.lam[row] = u, lam
                    form.flag[row] = flag
                if flag not in DECIDED:  # a failure is believed only from a fresh set-up
                    afresh[row] = True
                    set_up.solve(form, row, settings)

        # neighbours by set-up and element find the model as they need it
        order = np.lexsort((element, group))
        entries = form.f.shape[1] * form.upper.shape[1]
        threads = useful_threads(self.threads, entries, PAYS)
        spread(lambda part: work(order[part]), len(order), threads)
        form.x[:] += set_ups.points(points, group)  # either is zero in each row
        return int(afresh.sum())


def _believed(problem: QP, params: Params, units: Units, answer: Answer) -> Answer:
    """Where units are far apart, solutions are so in the user's units, too."""
    wild = np.flatnonzero(units.far)
    if not len(wild) or answer.accuracy is None:
        return answer
    residual = problem.residual(taken(params, wild), answer.solution.take(wild))
    answer.accuracy[wild] = np.fmax(answer.accuracy[wild], residual)
    wrong = wild[answer.solution.solved[wild] & ~(residual <= INEXACT)]
    answer.solution.status[wrong] = Status.INACCURATE
    return answer


def _other_hessian(before: Params, after: Params) -> bool:
    """Whether a tilt changed P."""
    mine, theirs = before.get("P"), after.get("P")
    return theirs is not None and (mine is None or theirs.values is not mine.values)
