"""One LP, solved by HiGHS.

A HiGHS object carries more than a basis from one run to the next (factorization, edge weights,
perturbations): re-used, it would answer according to its history. Every run loads a fresh one, a
few percent of a hot-started solve.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpgd.core.solution import FloatArray, Status
from lpgd.engines.highs.matrix import Exponents, exponents

ROW_WISE, MINIMISE = 2, 1  # HiGHS's codes
# All else is numerical trouble, also an "empty" model: one refused for an entry of 1e15, say.
STATUS = {
    "kOptimal": Status.OPTIMAL,
    "kInfeasible": Status.INFEASIBLE,
    "kUnbounded": Status.UNBOUNDED,
    "kIterationLimit": Status.ITERATION_LIMIT,
    "kTimeLimit": Status.TIME_LIMIT,
}
# Iterations after which the answer is computed anew from its basis: errors of updates add up.
MANY = 100
# Primal simplex if the basis is feasible (the costs changed), else dual simplex, which throughout
# takes three times as long where only costs changed.
HOT = {"simplex_strategy": 0}
LOWER, BASIC, UPPER, ZERO = 0, 1, 2, 3  # HiGHS's codes of the statuses in a basis
Basis = NDArray[np.int8]  # (n + M,) columns, then rows


@dataclass(frozen=True)
class LP:
    """minimise cost'x  subject to  row_lower <= Cx <= row_upper, lower <= x <= upper.

    ``zoom`` holds two exponents: HiGHS gets the costs times 2^zoom[1], and x and all right-hand
    sides times 2^zoom[0]. ``coarse`` are others for when it fails.
    """

    cost: FloatArray  # (n,)
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray  # (M,)
    row_upper: FloatArray
    starts: Any  # (M + 1,) int32, the rows of C
    cols: Any  # (nnz,) int32
    values: FloatArray  # (nnz,)
    zoom: Exponents  # (2,)
    coarse: Exponents


@dataclass(frozen=True)
class Found:
    """How a run ended.

    ``ray`` are multipliers of the rows that prove infeasibility, with the opposite of our sign, or
    a direction x that proves unboundedness; None where HiGHS has neither.
    """

    status: Status
    x: Any = None  # (n,)
    reduced: Any = None  # (n,) multipliers of lower minus those of upper bounds
    loads: Any = None  # (M,) multipliers of the rows, with the opposite of our sign
    basis: Any = None
    ray: Any = None
    sizes: Any = None  # (2,) of primal and dual solution, as HiGHS had them
    runs: int = 1


def solve(lp: LP, options: dict[str, Any], basis: Basis | None) -> Found:
    """The solution of an LP, from a basis where one is given."""
    runs, found = 0, None
    if basis is not None:
        found, runs = _run(lp, {**options, **HOT}, basis), 1
    # Believe a failure only from a cold start. A time limit is not to be spent twice.
    if found is None or found.status not in (Status.OPTIMAL, Status.TIME_LIMIT):
        found, runs = _run(lp, options, None), runs + 1
    if found.status == Status.NUMERICAL and (lp.zoom != lp.coarse).any():
        lp = replace(lp, zoom=lp.coarse)
        found, runs = _run(lp, options, None), runs + 1
    if found.status == Status.OPTIMAL:
        # A solution that is small beside the data asks for finer units: tolerances are absolute.
        finer = np.maximum(exponents(found.sizes), 0)
        if finer.any():
            again = _run(replace(lp, zoom=lp.zoom + finer), {**options, **HOT}, found.basis)
            found, runs = again if again.status == Status.OPTIMAL else found, runs + 1
    return replace(found, runs=runs)


def _run(lp: LP, options: dict[str, Any], basis: Basis | None) -> Found:
    from highspy import _core

    highs = _core._Highs()  # highspy.Highs adds callbacks: Python code within the solve
    for name, value in options.items():
        highs.setOptionValue(name, value)
    point, money = (int(e) for e in lp.zoom)
    sides = (lp.lower, lp.upper, lp.row_lower, lp.row_upper)
    highs.passModel(
        len(lp.cost), len(lp.row_upper), len(lp.cols), ROW_WISE, MINIMISE, 0.0,
        _times(lp.cost, money), *(_times(side, point) for side in sides),
        lp.starts, lp.cols, lp.values, np.zeros(len(lp.cost), dtype=np.int32),
    )  # fmt: skip
    if basis is not None:
        highs.setBasis(_decoded(_core, basis, lp))
    highs.run()
    status = _status(highs)
    if status == Status.OPTIMAL and highs.getInfo().simplex_iteration_count > MANY:
        highs.setBasis(highs.getBasis())
        highs.run()
        status = _status(highs)
    if status != Status.OPTIMAL:
        return Found(status, ray=_ray(highs, status))
    answer = highs.getSolution()
    x, reduced = np.array(answer.col_value), np.array(answer.col_dual)
    activity, loads = np.array(answer.row_value), np.array(answer.row_dual)
    sizes = np.array([_size(x, activity), _size(reduced, loads)])
    if not np.isfinite(sizes).all():
        return Found(Status.NUMERICAL)
    x, reduced, loads = _times(x, -point), _times(reduced, -money), _times(loads, -money)
    return Found(status, x, reduced, loads, _encoded(highs, lp, x), sizes=sizes)


def _times(values: FloatArray, exponent: int) -> FloatArray:
    return np.ldexp(values, exponent) if exponent else values


def _size(columns: FloatArray, rows: FloatArray) -> float:
    return max(np.abs(columns).max(initial=0.0), np.abs(rows).max(initial=0.0))


def _status(highs: Any) -> Status:
    return STATUS.get(highs.getModelStatus().name, Status.NUMERICAL)


def _ray(highs: Any, status: Status) -> FloatArray | None:
    """A certificate; HiGHS finds one by another run where presolve gave the verdict."""
    if status == Status.INFEASIBLE:
        _, there, ray = highs.getDualRay()
    elif status == Status.UNBOUNDED:
        _, there, ray = highs.getPrimalRay()
    else:
        return None
    return np.array(ray) if there else None


def _encoded(highs: Any, lp: LP, x: FloatArray) -> Basis | None:
    """The basis of a solution: HiGHS's own record costs a Python object for each entry."""
    status, basic = highs.getBasicVariables()
    if status.name != "kOk":
        return None
    n = len(x)
    codes = np.full(n + len(lp.row_upper), LOWER, dtype=np.int8)
    with np.errstate(invalid="ignore"):
        codes[:n][lp.upper - x < x - lp.lower] = UPPER
    codes[n:][lp.row_lower == -np.inf] = UPPER
    codes[np.where(basic < 0, n - 1 - basic, basic)] = BASIC
    return codes


def _decoded(core: Any, basis: Basis, lp: LP) -> Any:
    """The basis as HiGHS takes it; nothing lies at a bound that is not there."""
    lower = np.isfinite(np.concatenate([lp.lower, lp.row_lower]))
    upper = np.isfinite(np.concatenate([lp.upper, lp.row_upper]))
    away = np.where(upper & ((basis == UPPER) | ~lower), UPPER, np.where(lower, LOWER, ZERO))
    codes = np.where(basis == BASIC, BASIC, away)
    names = core.HighsBasisStatus
    table = np.array([names.kLower, names.kBasic, names.kUpper, names.kZero], dtype=object)
    statuses, made = table[codes].tolist(), core.HighsBasis()
    made.valid, made.alien = True, False
    made.col_status, made.row_status = statuses[: len(lp.cost)], statuses[len(lp.cost) :]
    return made
