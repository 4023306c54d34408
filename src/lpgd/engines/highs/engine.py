"""HiGHS: large or sparse LPs by the revised simplex method, hot-started from a kept basis.

A HiGHS object carries more than a basis from one run to the next (factorization, edge weights,
perturbations): re-used, it would answer according to its history. Kept of a forward solve is each
element's basis alone, and every solve loads a fresh object, a few percent of a hot-started one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from lpgd.core.engine import Answer, Capabilities, Range
from lpgd.core.params import Param, Params
from lpgd.core.solution import FloatArray, IntArray, Solution, Status
from lpgd.engines.batch import spread, useful_threads
from lpgd.families.qp.qp import QP

if TYPE_CHECKING:
    from lpgd.core.problem import Problem
    from lpgd.core.tilt import Tilt

FINEST = 1e-10  # smallest tolerance that HiGHS takes
ROW_WISE, MINIMISE = 2, 1  # HiGHS's codes
# All else is numerical trouble, also an "empty" model: one refused for an entry of 1e15, say.
STATUS = {
    "kOptimal": Status.OPTIMAL,
    "kInfeasible": Status.INFEASIBLE,
    "kUnbounded": Status.UNBOUNDED,
    "kIterationLimit": Status.ITERATION_LIMIT,
    "kTimeLimit": Status.TIME_LIMIT,
}
OPTIONS = {
    "solver": "simplex",  # takes a basis and always ends in one
    "parallel": "off",
    "threads": 1,
    "random_seed": 0,
    "infinite_bound": 1e30,  # larger ones count as none
    "infinite_cost": 1e30,
    "small_matrix_value": 1e-12,  # smaller ones count as zero
    # "infeasible or unbounded" is then settled by HiGHS, which repeats the solve without presolve
    "allow_unbounded_or_infeasible": False,
}
# Iterations after which the answer is computed anew from its basis: errors of updates add up.
MANY = 100
PAYS = 2_000  # entries of the matrix from which threads pay
# Primal simplex if the basis is feasible (the costs changed), else dual simplex, which throughout
# takes three times as long where only costs changed.
HOT = {"simplex_strategy": 0}


@final
@dataclass(frozen=True)
class HighsEngine:
    """Sparse revised simplex method (Huangfu and Hall, 2018) that keeps each element's basis.

    Parameters
    ----------
    tolerance : float
        Absolute violation, of a constraint and of a reduced cost, that counts as none; at least
        1e-10. A tilt below it is invisible; values beyond 1e6 ask for a larger one.
    iteration_limit : int
        Simplex iterations for one element; 0 means no limit.
    time_limit : float
        Seconds for one element; 0 means no limit.
    presolve : bool
        Whether to simplify each problem before its forward solve. Pays where much is redundant.
    verbose : bool
    """

    tolerance: float = 1e-9
    iteration_limit: int = 0
    time_limit: float = 0.0
    presolve: bool = False
    verbose: bool = False

    name: ClassVar[str] = "highs"
    capabilities: ClassVar[Capabilities] = Capabilities(
        frozenset({"LP"}), frozenset({"sparse"}), ranges=(Range("LP", 1),)
    )

    def __post_init__(self) -> None:
        if not FINEST <= self.tolerance < 1:
            raise ValueError(f"tolerance must be in [{FINEST}, 1), got {self.tolerance!r}")
        for limit in ("iteration_limit", "time_limit"):
            if not getattr(self, limit) >= 0:
                raise ValueError(f"{limit} must be >= 0, got {getattr(self, limit)!r}")

    @property
    def options(self) -> dict[str, Any]:
        """The options under HiGHS's names."""
        options: dict[str, Any] = {
            **OPTIONS,
            "output_flag": self.verbose,
            "presolve": "on" if self.presolve else "off",
            "primal_feasibility_tolerance": self.tolerance,
            "dual_feasibility_tolerance": self.tolerance,
        }
        if self.iteration_limit:
            options["simplex_iteration_limit"] = self.iteration_limit
        if self.time_limit:
            options["time_limit"] = self.time_limit
        return options

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """See ``Engine.solve``. ``start`` is not used: a point is no basis."""
        qp = cast(QP, problem)
        batch = _Batch.of(qp, params)
        set_ups = batch.solve(self.options, None, threads)
        kept = _Kept(self, qp, params, batch.bases, threads) if keep else None
        return Answer(batch.solution(qp), set_ups, kept)


@dataclass(frozen=True)
class _Kept:
    """Each element's optimal basis; None where it has none."""

    engine: HighsEngine
    problem: QP
    params: Params
    bases: list[Any]
    threads: int | None

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``. Tilted problems are LPs: no rule gives this engine rho > 0."""
        problem, params = self.problem.tilt(self.params, tilt)
        batch = _Batch.of(problem, params)
        set_ups = batch.solve(self.engine.options, [self.bases[i] for i in tilt.rows], self.threads)
        return Answer(batch.solution(problem), set_ups)


@dataclass(frozen=True)
class _Batch:
    """A batch as HiGHS takes it, and room for the answers.

    minimise cost'x  subject to  row_lower <= (A; G) x <= row_upper, lower <= x <= upper
    """

    matrix: _Matrix
    cost: FloatArray  # (N, n)
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray  # (N, M)
    row_upper: FloatArray
    x: FloatArray  # (N, n)
    reduced: FloatArray  # (N, n) reduced costs: multipliers of lower minus those of upper bounds
    loads: FloatArray  # (N, M) multipliers of the rows, with the opposite of our sign
    status: Any  # (N,) int8
    bases: list[Any]

    @classmethod
    def of(cls, problem: QP, params: Params) -> _Batch:
        """Gather the linear terms of a batch."""
        cost = params["q"].full()
        sides = [(name, rhs) for name, rhs in (("A", "b"), ("G", "h")) if name in params]
        above = [params[rhs].full() for _, rhs in sides]
        below = [
            np.full_like(side, -np.inf) if name == "G" else side
            for side, (name, _) in zip(above, sides, strict=True)
        ]
        none = np.zeros((len(cost), 0))
        row_lower, row_upper = (np.concatenate([none, *side], axis=1) for side in (below, above))
        return cls(
            _Matrix.of(problem, [(name, params[name]) for name, _ in sides]), cost,
            _bound(params, "lb", cost, -np.inf), _bound(params, "ub", cost, np.inf),
            row_lower, row_upper,
            np.zeros_like(cost), np.zeros_like(cost), np.zeros_like(row_upper),
            np.full(len(cost), Status.NUMERICAL, dtype=np.int8), [None] * len(cost),
        )  # fmt: skip

    def solve(self, options: dict[str, Any], bases: list[Any] | None, threads: int | None) -> int:
        """Solve every element from its basis, if given; returns how often HiGHS was loaded."""
        set_ups = np.zeros(len(self.cost), dtype=np.intp)

        def work(chosen: IntArray) -> None:
            for row in chosen:
                set_ups[row] = self._solve_one(options, int(row), bases[row] if bases else None)

        # HiGHS has a scheduler for each calling thread, whose size the first run there decides for
        # good: in threads of our own it collides with no other user of HiGHS.
        useful = useful_threads(threads, len(self.matrix.cols), PAYS)
        with ThreadPoolExecutor(1) as own:
            own.submit(spread, work, len(self.cost), useful).result()
        return int(set_ups.sum())

    def _solve_one(self, options: dict[str, Any], row: int, basis: Any) -> int:
        if basis is not None:
            self._run({**options, **HOT}, row, basis)
            # Believe a failure only from a cold start. A time limit is not to be spent twice.
            if self.status[row] in (Status.OPTIMAL, Status.TIME_LIMIT):
                return 1
        self._run(options, row, None)
        return 1 if basis is None else 2

    def _run(self, options: dict[str, Any], row: int, basis: Any) -> None:
        """Solve one element and record the answer."""
        from highspy import _core

        highs = _core._Highs()  # highspy.Highs adds callbacks: Python code within the solve
        for name, value in options.items():
            highs.setOptionValue(name, value)
        matrix = self.matrix
        highs.passModel(
            self.cost.shape[1], self.row_upper.shape[1], len(matrix.cols), ROW_WISE, MINIMISE, 0.0,
            self.cost[row], self.lower[row], self.upper[row],
            self.row_lower[row], self.row_upper[row],
            matrix.starts, matrix.cols, matrix.values(row), matrix.continuous,
        )  # fmt: skip
        if basis is not None:
            highs.setBasis(basis)
        highs.run()
        status = _status(highs)
        if status == Status.OPTIMAL and highs.getInfo().simplex_iteration_count > MANY:
            highs.setBasis(highs.getBasis())
            highs.run()
            status = _status(highs)
        self.status[row] = status
        if status == Status.OPTIMAL:
            answer = highs.getSolution()
            self.x[row], self.reduced[row] = answer.col_value, answer.col_dual
            self.loads[row] = answer.row_dual
            self.bases[row] = highs.getBasis()

    def solution(self, problem: QP) -> Solution:
        """Answers with our multipliers (y, z, mu_l, mu_u), free of wrong signs by rounding."""
        finite = np.isfinite(self.x).all(axis=1) & np.isfinite(self.reduced).all(axis=1)
        finite &= np.isfinite(self.loads).all(axis=1)
        status = np.where(finite, self.status, np.int8(Status.NUMERICAL))
        usable = (status == Status.OPTIMAL)[:, None]
        equalities = problem.block(-self.loads, "A")
        rows = slice(equalities.shape[1], None)
        parts = {
            "A": equalities,
            "G": _push(-self.loads[:, rows], self.row_upper[:, rows]),
            "lb": _push(self.reduced, self.lower),
            "ub": _push(-self.reduced, self.upper),
        }
        y = np.concatenate([self.loads[:, :0], *(parts[name] for name in problem.blocks)], axis=1)
        x = np.clip(self.x, self.lower, self.upper)
        return Solution(np.where(usable, x, 0.0), np.where(usable, y, 0.0), status)


@dataclass(frozen=True)
class _Matrix:
    """The rows of A, then of G, one sparse row-wise matrix an element."""

    parts: list[Param]
    order: IntArray  # of the entries of all parts
    starts: Any  # (M + 1,) int32
    cols: Any  # (nnz,) int32
    continuous: Any  # (n,) int32, zero: no integer variables

    @classmethod
    def of(cls, problem: QP, parts: list[tuple[str, Param]]) -> _Matrix:
        """Lay out the rows; a dense matrix has all its entries (HiGHS drops the zeros)."""
        rows, cols, top = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)], 0
        for name, param in parts:
            if name in problem.patterns:
                pattern = problem.patterns[name]
                places, height = (pattern.rows, pattern.cols), pattern.shape[0]
            else:
                height = param.values.shape[1]
                places = np.divmod(np.arange(height * problem.n), problem.n)
            rows.append(places[0] + top)
            cols.append(places[1])
            top += height
        row, col = np.concatenate(rows), np.concatenate(cols)
        order = np.argsort(row, kind="stable")
        starts = np.searchsorted(row[order], np.arange(top + 1)).astype(np.int32)
        continuous = np.zeros(problem.n, dtype=np.int32)
        return cls([p for _, p in parts], order, starts, col[order].astype(np.int32), continuous)

    def values(self, row: int) -> FloatArray:
        """Entries of one element's matrix."""
        parts = [param.values[param.index[row]].ravel() for param in self.parts]
        return np.concatenate([np.zeros(0), *parts])[self.order]


def _status(highs: Any) -> Status:
    return STATUS.get(highs.getModelStatus().name, Status.NUMERICAL)


def _bound(params: Params, name: str, cost: FloatArray, missing: float) -> FloatArray:
    return params[name].full() if name in params else np.full_like(cost, missing)


def _push(multipliers: FloatArray, bound: FloatArray) -> FloatArray:
    """Multipliers >= 0 of one-sided bounds; an infinite bound has none."""
    return np.where(np.isfinite(bound), np.maximum(multipliers, 0.0), 0.0)
