"""One QP for PIQP, and its answer.

PIQP has a limit of iterations and none of time. Its iterations take about the same time each, since
each is one factorization, so a time limit is turned into a number of them: a few are made and
timed, and PIQP then starts again with as many as there is time for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from scipy import sparse

from lpgd.core.extras import load
from lpgd.core.solution import FloatArray, Status
from lpgd.families.qp.sparse_kkt import Element

UNFINISHED = "PIQP_MAX_ITER_REACHED"
STATUS = {
    "PIQP_SOLVED": Status.OPTIMAL,
    UNFINISHED: Status.ITERATION_LIMIT,
    "PIQP_PRIMAL_INFEASIBLE": Status.INFEASIBLE,
    "PIQP_DUAL_INFEASIBLE": Status.UNBOUNDED,
}
INFINITE = 1e30  # PIQP drops rows with such a right-hand side, and prints that it does
TIMED = 2  # iterations that tell how long one takes


@dataclass(frozen=True)
class Clock:
    """Until when an element may take, in seconds of ``time.perf_counter``; inf is no limit."""

    end: float = inf

    @classmethod
    def of(cls, limit: float) -> Clock:
        """From now on so many seconds; 0 is no limit."""
        return cls(time.perf_counter() + limit if limit else inf)

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return inf if self.end == inf else max(0.0, self.end - time.perf_counter())


@dataclass(frozen=True)
class Request:
    """What is asked of PIQP."""

    accuracy: float
    iterations: int
    verbose: bool
    clock: Clock


def solve(element: Element, request: Request) -> tuple[Status, FloatArray, FloatArray]:
    """Status, x and flat multipliers; zeros where PIQP has no numbers."""
    solver = load("piqp", "sparse").SparseSolver()
    settings = solver.settings
    settings.verbose, settings.max_iter = request.verbose, request.iterations
    settings.eps_abs = settings.eps_rel = request.accuracy
    settings.eps_duality_gap_abs = settings.eps_duality_gap_rel = request.accuracy
    equal, C, r = element.equalities, element.C, element.r
    A = (sparse.csc_matrix(C[:equal]), r[:equal]) if equal else (None, None)
    sides = np.flatnonzero(r[equal:] < INFINITE)
    G = (sparse.csc_matrix(C[equal:][sides]), None, r[equal:][sides]) if len(sides) else [None] * 3
    solver.setup(sparse.csc_matrix(element.P), element.q, *A, *G, element.lb, element.ub)
    status = _run(solver, request)
    found = solver.result
    x, y, z, lower, upper = (
        np.array(part, dtype=np.float64)
        for part in (found.x, found.y, found.z_u, found.z_bl, found.z_bu)
    )
    rows = np.zeros(len(r))
    rows[:equal], rows[equal + sides] = y[:equal], z[: len(sides)]
    y = element.joined(rows, _there(lower, element.lb), _there(upper, element.ub))
    y[equal:] = np.maximum(y[equal:], 0.0)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return Status.NUMERICAL, np.zeros_like(x), np.zeros_like(y)
    return status, x, y


def _run(solver: Any, request: Request) -> Status:
    if request.clock.end == inf:
        return STATUS.get(solver.solve().name, Status.NUMERICAL)
    made = solver.settings.max_iter = min(TIMED, request.iterations)
    began = time.perf_counter()
    told = solver.solve().name
    each = (time.perf_counter() - began) / made
    if told == UNFINISHED and made < request.iterations:
        fit = int(min(request.iterations, request.clock.left / each))
        if fit <= made:
            return Status.TIME_LIMIT
        solver.settings.max_iter = fit
        told = solver.solve().name
        if told == UNFINISHED and fit < request.iterations:
            return Status.TIME_LIMIT
    return STATUS.get(told, Status.NUMERICAL)


def _there(multipliers: FloatArray, bound: FloatArray) -> FloatArray:
    return np.where(np.isfinite(bound), multipliers, 0.0)
