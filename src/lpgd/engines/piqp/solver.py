"""One QP for PIQP, and its answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from lpgd.core.extras import load
from lpgd.core.solution import FloatArray, Status
from lpgd.families.qp.sparse_kkt import Element

STATUS = {
    "PIQP_SOLVED": Status.OPTIMAL,
    "PIQP_MAX_ITER_REACHED": Status.ITERATION_LIMIT,
    "PIQP_PRIMAL_INFEASIBLE": Status.INFEASIBLE,
    "PIQP_DUAL_INFEASIBLE": Status.UNBOUNDED,
}


@dataclass(frozen=True)
class Request:
    """What is asked of PIQP."""

    accuracy: float
    iterations: int
    verbose: bool


def solve(element: Element, request: Request) -> tuple[Status, FloatArray, FloatArray]:
    """Status, x and flat multipliers; zeros where PIQP has no numbers."""
    solver = load("piqp", "sparse").SparseSolver()
    settings = solver.settings
    settings.verbose, settings.max_iter = request.verbose, request.iterations
    settings.eps_abs = settings.eps_rel = request.accuracy
    settings.eps_duality_gap_abs = settings.eps_duality_gap_rel = request.accuracy
    equal, C, r = element.equalities, element.C, element.r
    A = (sparse.csc_matrix(C[:equal]), r[:equal]) if equal else (None, None)
    G = (sparse.csc_matrix(C[equal:]), None, r[equal:]) if equal < len(r) else [None] * 3
    solver.setup(sparse.csc_matrix(element.P), element.q, *A, *G, element.lb, element.ub)
    status = STATUS.get(solver.solve().name, Status.NUMERICAL)
    found = solver.result
    x, y, z, lower, upper = (
        np.array(part, dtype=np.float64)
        for part in (found.x, found.y, found.z_u, found.z_bl, found.z_bu)
    )
    rows = np.concatenate([y[:equal], z[: len(r) - equal]])
    y = element.joined(rows, _there(lower, element.lb), _there(upper, element.ub))
    y[equal:] = np.maximum(y[equal:], 0.0)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return Status.NUMERICAL, np.zeros_like(x), np.zeros_like(y)
    return status, x, y


def _there(multipliers: FloatArray, bound: FloatArray) -> FloatArray:
    return np.where(np.isfinite(bound), multipliers, 0.0)
