"""HiGHS: large or sparse LPs by the revised simplex method, hot-started from a basis.

All that a forward solve leaves behind is each element's basis, an array of its solution: tilted
programs start from it, whether or not a workspace was kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from lpgd.core.engine import Answer, Capabilities, Range
from lpgd.core.options import flag, number, whole
from lpgd.core.params import Params
from lpgd.core.public import public
from lpgd.core.solution import Solution
from lpgd.engines.highs.batch import Batch
from lpgd.engines.highs.matrix import Matrix
from lpgd.engines.highs.rays import certificates
from lpgd.engines.highs.run import Options
from lpgd.engines.highs.sweep import Answers, Sweep, solution
from lpgd.families.qp.qp import QP

if TYPE_CHECKING:
    from lpgd.core.problem import Problem
    from lpgd.core.tilt import Tilt

FINEST = 1e-10  # smallest tolerance that HiGHS takes
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


@public("lpgd")
@final
@dataclass(frozen=True)
class HighsEngine:
    """Sparse revised simplex method (Huangfu and Hall, 2018) that starts from a basis.

    Parameters
    ----------
    tolerance : float
        Violation, of a constraint and of a reduced cost, that counts as none; at least 1e-10.
        Absolute, where rows and columns, costs, and right-hand sides together with bounds are near
        1: other data are scaled to that by powers of two. A tilt below it is invisible.
    iteration_limit : int
        Simplex iterations for one element; 0 means no limit.
    time_limit : float
        Seconds for one element; 0 means no limit. An interrupt ends a batch at once, but its
        threads run until the elements that they are solving are done, or this time is over.
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
        frozenset({"LP"}), frozenset({"sparse"}), restores=True, ranges=(Range("LP", 1),)
    )

    def __post_init__(self) -> None:
        number("tolerance", self.tolerance, least=FINEST, below=1.0)
        whole("iteration_limit", self.iteration_limit, least=0)
        number("time_limit", self.time_limit, least=0.0)
        flag("presolve", self.presolve)
        flag("verbose", self.verbose)

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
        """See ``Engine.solve``. Of ``start`` the basis is used, where it has one."""
        qp = cast(QP, problem)
        with np.errstate(all="ignore"):
            matrix = Matrix.of(qp, params)
            batch = Batch.of(qp, params, matrix)
        answer = self.run(batch, start, threads)
        if not keep:
            return answer
        kept = Restored(self, problem, params, answer.solution, threads, matrix)
        return replace(answer, workspace=kept)

    def run(self, batch: Batch, start: Solution | None, threads: int | None) -> Answer:
        """Solve the LPs of a batch."""
        answers = Answers.blank(*batch.shape)
        with np.errstate(all="ignore"):
            Sweep(batch, Options.of(self.options), threads, answers).all(start)
            found = solution(batch, answers)
        ray, notes = certificates(batch, answers.rays, found)
        return Answer(found, int(answers.runs.sum()), ray=ray, notes=notes)

    def restore(
        self, problem: Problem, params: Params, solution: Solution, threads: int | None
    ) -> Restored:
        """See ``Restoring.restore``; the same bits as those of a kept workspace."""
        return Restored(self, problem, params, solution, threads)


@dataclass(frozen=True)
class Restored:
    """A forward solve: its data, its solution with a basis, and its matrices if they were kept."""

    engine: HighsEngine
    problem: Problem
    params: Params
    solution: Solution
    threads: int | None
    matrix: Matrix | None = None

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``. Tilted problems are LPs: no rule gives this engine rho > 0."""
        problem, params = self.problem.tilt(self.params, tilt)
        start, qp = self.solution.take(tilt.rows), cast(QP, problem)
        with np.errstate(all="ignore"):
            matrix = Matrix.of(qp, params) if self.matrix is None else self.matrix.take(tilt.rows)
            batch = Batch.of(qp, params, matrix)
        return self.engine.run(batch, start, self.threads)
