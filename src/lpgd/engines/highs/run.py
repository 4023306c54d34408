"""One LP, solved by HiGHS.

A HiGHS object carries more than a basis from one run to the next (factorization, edge weights,
perturbations): re-used, it would answer according to its history. Every run loads a fresh one, a
few percent of a hot-started solve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lpgd.core.solution import FloatArray, Status

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
Basis = NDArray[np.int8]  # columns, then rows


class LP(NamedTuple):
    """minimise cost'x  subject to  row_lower <= Cx <= row_upper, lower <= x <= upper.

    HiGHS gets x and all right-hand sides times 2^point, and the costs times 2^money.
    """

    cost: FloatArray  # (n,)
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray  # (M,)
    row_upper: FloatArray
    starts: Any  # (M + 1,) int32, the rows of C
    cols: Any  # (nnz,) int32
    values: FloatArray  # (nnz,)
    point: int
    money: int


class Found(NamedTuple):
    """How a run ended, in HiGHS's units.

    ``ray`` are multipliers of the rows that prove infeasibility, with the opposite of our sign, or
    a direction x that proves unboundedness; None where HiGHS has neither.
    """

    status: Status
    answer: Any = None  # HiGHS's solution
    basic: Any = None  # (M,) columns, or -1 - i for the slack of row i; None if unknown
    ray: Any = None


@dataclass(frozen=True)
class Options:
    """Options as HiGHS takes them, for solves without a basis and from one."""

    cold: Any
    hot: Any

    @classmethod
    def of(cls, options: dict[str, Any]) -> Options:
        """Options by HiGHS's names."""
        from highspy import _core

        highs, made = _core._Highs(), list[Any]()
        for given in (options, HOT):
            for name, value in given.items():
                highs.setOptionValue(name, value)
            made.append(highs.getOptions())
        return cls(*made)


def solve(lp: LP, options: Any, basis: Basis | None = None) -> Found:
    """Solve an LP, from a basis if one is given."""
    from highspy import _core

    # highspy.Highs adds callbacks: Python code within the solve
    highs: Any = _core._Highs()
    highs.passOptions(options)
    sides = (lp.lower, lp.upper, lp.row_lower, lp.row_upper)
    highs.passModel(
        len(lp.cost), len(lp.row_upper), len(lp.cols), ROW_WISE, MINIMISE, 0.0,
        _times(lp.cost, lp.money), *(_times(side, lp.point) for side in sides),
        lp.starts, lp.cols, lp.values, np.zeros(len(lp.cost), dtype=np.int32),
    )  # fmt: skip
    if basis is not None:
        highs.setBasis(_decoded(_core, basis, len(lp.cost)))
    highs.run()
    status = _status(highs)
    if status == Status.OPTIMAL and highs.getInfoValue("simplex_iteration_count")[1] > MANY:
        highs.setBasis(highs.getBasis())
        highs.run()
        status = _status(highs)
    if status != Status.OPTIMAL:
        return Found(status, ray=_ray(highs, status))
    if not lp.values.any():  # the slacks are basic; HiGHS, which never factorized, breaks if asked
        return Found(status, highs.getSolution(), -1 - np.arange(len(lp.row_upper)))
    known, basic = highs.getBasicVariables()  # getBasis makes a Python object for each entry
    return Found(status, highs.getSolution(), basic if known == _core.HighsStatus.kOk else None)


def _times(values: FloatArray, exponent: int) -> FloatArray:
    with np.errstate(all="ignore"):  # of threads, each of which has a state of its own
        return np.ldexp(values, exponent) if exponent else values


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


def _decoded(core: Any, basis: Basis, n: int) -> Any:
    names, made = core.HighsBasisStatus, core.HighsBasis()
    table = np.array([names.kLower, names.kBasic, names.kUpper, names.kZero], dtype=object)
    statuses = table[basis].tolist()
    made.valid, made.alien = True, False
    made.col_status, made.row_status = statuses[:n], statuses[n:]
    return made
