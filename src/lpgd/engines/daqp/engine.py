"""DAQP: dense QPs and small LPs by a dual active-set method (Arnström et al., 2022).

A strictly convex program is set up once for every distinct (P, G, A): its Hessian is factorized and
its rows are multiplied (``_daqp_metric``). One model then takes the set-ups one after the other;
their elements and the tilted versions of these update linear terms, and each starts from a working
set of its own. A model holds nothing of the last program once it is handed matrices, linear terms
and a working set, so answers do not depend on the order. With a zero, singular or ill-conditioned
Hessian DAQP iterates on a proximal point or refines, and answers from a kept model would depend on
its history: such problems are set up afresh every time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from lpgd.core.engine import Answer, Capabilities, Range
from lpgd.core.params import Param, Params, distinct
from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.engines.batch import spread, useful_threads
from lpgd.engines.daqp.form import Form
from lpgd.engines.daqp.metric import Metric
from lpgd.engines.daqp.units import Units
from lpgd.families.qp.qp import QP

if TYPE_CHECKING:
    from lpgd.core.problem import Problem
    from lpgd.core.tilt import Tilt

PAYS = 10_000  # entries of the constraint matrix from which threads pay
STATIONARITY = 1e-10  # residual at which DAQP's proximal iterations stop
INEXACT = 1e-6  # relative residual beyond which an iterative answer is not believed
INACCURATE, UNBOUNDED, NONCONVEX = 4, -3, -5  # exit flags
DECIDED = (1, -7)  # exit flags of a solution and of a time limit, which is not to be spent twice

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


@final
@dataclass(frozen=True)
class DaqpEngine:
    """Dense dual active-set solver that keeps one set-up for every distinct (P, G, A).

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
        frozenset({"QP", "LP"}), ranges=RANGES, entries=LARGE_DENSE
    )

    def __post_init__(self) -> None:
        if not 0 < self.primal_tol < 1:
            raise ValueError(f"primal_tol must be in (0, 1), got {self.primal_tol!r}")
        if not (isinstance(self.iteration_limit, int) and self.iteration_limit > 0):
            raise ValueError(
                f"iteration_limit must be a positive int, got {self.iteration_limit!r}"
            )
        if not 0 <= self.time_limit < np.inf:
            raise ValueError(f"time_limit must be finite and >= 0, got {self.time_limit!r}")

    @property
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
        qp = cast(QP, problem)
        group, first = distinct(params, ("P", "G", "A"))
        units = Units.of(qp, params, group)
        matrices = params if units is None else units.matrices(params, group, first)
        kept = _Kept(self, qp, params, _SetUps(self, qp, matrices, first), group, units, threads)
        batch = _Batch(qp, params, group, start, np.arange(len(group)))
        solution, afresh = kept.solve(batch, units)
        count = afresh + (len(first) if qp.quadratic else 0)
        return Answer(solution, count, replace(kept, solution=solution) if keep else None)


@dataclass(frozen=True)
class _Kept:
    """The set-ups of a forward solve and each element's solution in it."""

    engine: DaqpEngine
    problem: QP
    params: Params
    set_ups: _SetUps
    group: IntArray
    units: Units | None
    threads: int | None
    solution: Solution | None = None

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""
        assert self.solution is not None
        problem, params = self.problem.tilt(self.params, tilt)
        whole = np.array_equal(tilt.rows, np.arange(len(self.group)))
        start = self.solution if whole else self.solution.take(tilt.rows)
        if tilt.rho.any():  # other Hessians: one set-up for each distinct one
            return self.engine.solve(problem, params, start=start, threads=self.threads)
        units = None if self.units is None else self.units.take(tilt.rows)
        # rows of an element start alike where nothing but their costs differs
        element = np.arange(len(tilt)) if tilt.dy.any() else tilt.rows
        batch = _Batch(problem, params, self.group[tilt.rows], start, element)
        return Answer(*self.solve(batch, units))

    def solve(self, batch: _Batch, units: Units | None) -> tuple[Solution, int]:
        """Solve elements by their set-ups, in DAQP's units and back; and how many afresh."""
        if units is None:
            return self.set_ups.solve(batch, self.threads)
        linear, near = units.linear(batch.params), units.enter(batch.start)
        scaled = replace(batch, params=linear, start=near)
        solution, afresh = self.set_ups.solve(scaled, self.threads)
        return units.leave(batch.problem, solution), afresh


@dataclass(frozen=True)
class _Batch:
    """Programs to solve: the set-up of each, and where it starts."""

    problem: QP
    params: Params
    group: IntArray
    start: Solution | None
    element: IntArray  # rows of one element have its bounds and start from its working set


class _SetUps:
    """The matrices of every distinct (P, G, A) as DAQP takes them."""

    def __init__(self, engine: DaqpEngine, problem: QP, params: Params, first: IntArray) -> None:
        self.settings = engine.settings
        # eps_prox = 0: a singular Hessian is reported, not silently regularised
        self.strict = engine.settings | {"eps_prox": 0.0}
        parts = [params[name].take(first) for name in ("G", "A") if name in params]
        self.rows = _stacked(parts, len(first), problem.n)
        self.hessians: list[FloatArray | None] = [None] * len(first)
        self.metric: Metric | None = None
        self.singular = [True] * len(first)  # LPs too: every solve is set up afresh
        if problem.quadratic:
            P = params["P"].take(first)
            # DAQP reads matrices as they lie in memory
            hessians = [np.ascontiguousarray(H) if H.any() else None for H in P.values]
            self.hessians = [hessians[i] for i in P.index.tolist()]
            self.metric = Metric(P)
            self.singular = [not safe for safe in self.metric.safe]
            boxed = "lb" in problem.blocks or "ub" in problem.blocks
            plain = list(zip(self.hessians, self.rows, strict=True))
            self.matrices = self.metric.enter(plain, parts, boxed=boxed)

    def solve(self, batch: _Batch, threads: int | None) -> tuple[Solution, int]:
        """Solve all rows of a batch; also tell how many were set up afresh."""
        problem, group = batch.problem, batch.group
        form = Form.of(problem, batch.params, batch.start)
        costs = form.f if self.metric is None else self.metric.costs(form.f, group)
        points = np.zeros_like(form.x)  # in the variables of the set-ups
        threads = useful_threads(threads, problem.n * form.upper.shape[1], PAYS)
        # neighbours by set-up and element find the model as they need it
        order = np.lexsort((batch.element, group))

        def work(chosen: IntArray) -> None:
            self._solve_rows(order[chosen].tolist(), batch, form, costs, points)

        spread(work, len(order), threads)
        if self.metric is not None:  # either is zero in each row
            form.x[:] += self.metric.points(points, group)
        return form.solution(problem), int(form.afresh.sum())

    def _solve_rows(
        self, rows: list[int], batch: _Batch, form: Form, costs: FloatArray, points: FloatArray
    ) -> None:
        # the loop that all dense solves pass: a few microseconds of Python an element
        owners, elements = batch.group.tolist(), batch.element.tolist()
        f, (upper, lower, senses) = list(costs), form.rows
        model: Any = None
        loaded = stands = None  # its set-up, and the element at whose working set it stands
        for row in rows:
            group, element = owners[row], elements[row]
            if self.singular[group]:
                self._solve_afresh(group, form, row)
                continue
            sense = None if element == stands else senses[row]
            linear = (f[row], upper[row], lower[row], sense)
            model, flag = self._hand_over(model, loaded, group, linear)
            loaded, stands = group, None
            if flag >= 0:
                x, _, flag, info = model.solve()
                if flag == 1:
                    points[row], form.lam[row] = x, info["lam"]
                    # one iteration leaves the working set as it was
                    stands = element if info["iterations"] == 1 else None
            form.flag[row] = flag
            if flag != 1:
                model = loaded = None  # whatever it is left with shall touch no other element
                self.singular[group] = flag == NONCONVEX
            if flag not in DECIDED:  # believe a failure only from a fresh set-up
                self._solve_afresh(group, form, row)

    def _hand_over(
        self, model: Any, loaded: int | None, group: int, linear: tuple[Any, ...]
    ) -> tuple[Any, int]:
        """Give a program to the model that holds a set-up, or to a new one; with the exit flag."""
        import daqp

        f, upper, lower, sense = linear
        if group == loaded:
            return model, model.update(None, f, None, upper, lower, sense)
        hessian, matrix = self.matrices[group]
        if loaded is not None:
            before, like = self.matrices[loaded]
            if len(like) == len(matrix):  # bounds are rows in one metric and none in another
                hessian = None if hessian is before else hessian
                rows = matrix if len(matrix) else None  # it takes no empty arrays
                return model, model.update(hessian, f, rows, upper, lower, sense)
        model = daqp.Model()
        model.settings = self.strict
        above = np.zeros(0) if upper is None else upper
        return model, model.setup(hessian, f, matrix, above, lower, sense)[0]

    def _solve_afresh(self, group: int, form: Form, row: int) -> None:
        import daqp

        form.afresh[row] = True
        near = form.near[row] if self.singular[group] and form.near is not None else None
        solve = partial(
            daqp.solve, self.hessians[group], form.f[row], self.rows[group],
            form.upper[row], form.lower[row], form.kinds, eta_prox=STATIONARITY, **self.settings,
        )  # fmt: skip
        x, _, flag, info = solve(primal_start=near)
        if flag == UNBOUNDED:  # the first step, from an infeasible point, can miss every constraint
            x, _, flag, info = solve(primal_start=x)
        if flag > 0:
            form.x[row], form.lam[row] = x, info["lam"]
            hessian = self.hessians[group]
            if hessian is not None:
                form.polish(row, hessian, self.rows[group])
            if form.residual(row, self.hessians[group], self.rows[group]) > INEXACT:
                flag = INACCURATE
        form.flag[row] = flag


def _stacked(parts: list[Param], count: int, n: int) -> list[FloatArray]:
    """All rows of each set-up."""
    given = [[part.values[i] for i in part.index.tolist()] for part in parts]
    if len(given) == 1:
        return given[0]
    none = np.zeros((0, n))
    return [np.concatenate([none, *(rows[i] for rows in given)]) for i in range(count)]
