"""Linear and integer programs with fixed rows and changing costs, solved by HiGHS.

Every solve passes the whole model: one whose costs alone were changed would answer by its history.
HiGHS's tolerances are absolute, so costs, every row, and x where none of it is whole are scaled by
powers of two to a size of about 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lpgd.core.scaling import exponents
from lpgd.core.solution import BoolArray, Flag, FloatArray, Status

ROW_WISE, MINIMISE, FEASIBLE = 2, 1, 2  # HiGHS's codes
STATUS = {
    "kOptimal": Status.OPTIMAL,
    "kInfeasible": Status.INFEASIBLE,
    "kUnbounded": Status.UNBOUNDED,
    "kIterationLimit": Status.ITERATION_LIMIT,
    "kSolutionLimit": Status.ITERATION_LIMIT,
    "kTimeLimit": Status.TIME_LIMIT,
}
EITHER = "kUnboundedOrInfeasible"  # of integer programs, whatever is allowed
LIMITS = (Status.ITERATION_LIMIT, Status.TIME_LIMIT)
OPTIONS: dict[str, Any] = {
    "output_flag": False,
    "parallel": "off",
    "threads": 1,
    "random_seed": 0,
    "allow_unbounded_or_infeasible": False,
    "mip_rel_gap": 0.0,
    "mip_abs_gap": 1e-9,  # of costs whose largest is about 1
    "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}

# An optimum needs no search for good points aside; without a limit these cost more than they save.
PLAIN: dict[str, Any] = {
    "mip_allow_restart": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
}

Limits = tuple[tuple[str, Any], ...]
BARE: Limits = (("presolve", "off"), ("solver", "simplex"))
PRIMAL: Limits = (
    *BARE,
    ("simplex_strategy", 4),
    ("primal_simplex_bound_perturbation_multiplier", 0.0),
)


class Basis(NamedTuple):
    """The statuses of columns and rows in a simplex basis, as HiGHS's codes."""

    columns: tuple[int, ...]
    rows: tuple[int, ...]

    def restored(self) -> Any:
        """As HiGHS takes it."""
        from highspy import _core

        made: Any = _core.HighsBasis()
        made.valid, made.alien = True, False
        made.col_status = list(map(_core.HighsBasisStatus, self.columns))
        made.row_status = list(map(_core.HighsBasisStatus, self.rows))
        return made


class Outcome(NamedTuple):
    """How one solve ended; x is None where there is no usable point, and a note may say why."""

    x: FloatArray | None
    status: Status
    flag: Flag = Flag.NONE
    note: str = ""


@dataclass(frozen=True)
class Program:
    """minimise <q, x>  subject to  row_lower <= C x <= row_upper,  lower <= x <= upper.

    Attributes
    ----------
    starts : (M + 1,) int32, cols : (nnz,) int32, values : (nnz,) float64
        C, row after row, each in units of its largest entry.
    row_lower, row_upper : (M,) float64
    lower, upper : (n,) float64
    integer : (n,) bool
    """

    starts: NDArray[np.int32]
    cols: NDArray[np.int32]
    values: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    lower: FloatArray
    upper: FloatArray
    integer: BoolArray
    _made: dict[Any, Any] = field(default_factory=dict[Any, Any], repr=False, compare=False)

    @classmethod
    def of(cls, matrix: Any, rows: Any, bounds: Any, integer: Any) -> Program:
        """From C (dense or scipy sparse), its sides, the bounds of x and what is integer."""
        csr = sparse.csr_array(matrix)
        csr.sum_duplicates()
        count, n = csr.shape
        csr, power = _fair(csr)
        low, high = (np.ldexp(_filled(side, count), power) for side in rows)
        least, most = (_filled(bound, n) for bound in bounds)
        whole = np.broadcast_to(np.asarray(integer, dtype=np.bool_), (n,)).copy()
        starts, cols = csr.indptr.astype(np.int32), csr.indices.astype(np.int32)
        values = csr.data.astype(np.float64)
        return cls(starts, cols, values, low, high, least, most, whole)

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.lower)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": {}}

    def with_rows(self, matrix: Any, lower: Any, upper: Any) -> Program:
        """The program with more rows."""
        more = Program.of(matrix, (lower, upper), (self.lower, self.upper), self.integer)
        return replace(
            self,
            starts=np.concatenate([self.starts, self.starts[-1] + more.starts[1:]]),
            cols=np.concatenate([self.cols, more.cols]),
            values=np.concatenate([self.values, more.values]),
            row_lower=np.concatenate([self.row_lower, more.row_lower]),
            row_upper=np.concatenate([self.row_upper, more.row_upper]),
        )

    def solve(self, q: FloatArray, limits: Limits = (), basis: Basis | None = None) -> Outcome:
        """Minimise; ``limits`` are further options by HiGHS's names, ``basis`` where to start."""
        if basis is None:
            return self._run(self._loaded(self._fresh(limits), q))
        if basis not in self._made:
            self._made[basis] = basis.restored()
        idle: list[Any] = self._made.setdefault("idle", [])
        try:
            highs = idle.pop()  # of no other thread
        except IndexError:
            highs = self._fresh(PRIMAL)
        self._loaded(highs, q).setBasis(self._made[basis])
        found = self._run(highs)
        idle.append(highs)
        return found

    def _run(self, highs: Any) -> Outcome:
        highs.run()
        name = highs.getModelStatus().name
        if name == EITHER:  # which of the two is seen without costs
            free = self._run(self._loaded(highs, np.zeros(self.n)))
            return Outcome(None, Status.UNBOUNDED if free.x is not None else free.status)
        status = STATUS.get(name, Status.NUMERICAL)
        if status not in (Status.OPTIMAL, *LIMITS):
            return Outcome(None, status)
        if highs.getInfo().primal_solution_status != FEASIBLE:
            return Outcome(None, status)
        x = np.ldexp(np.array(highs.getSolution().col_value), -self._power)
        x[self.integer] = np.rint(x[self.integer])
        x += 0.0  # no negative zeros
        if status in LIMITS:
            if not self.integer.any():  # an unfinished simplex run is no incumbent
                return Outcome(None, status)
            return Outcome(x, Status.OPTIMAL, Flag.INCUMBENT)
        return Outcome(x, status)

    def vertex(self) -> Basis | None:
        """A basis of the set of an LP, that of some vertex; None if it has none."""
        highs = self._loaded(self._fresh(BARE), np.zeros(self.n))
        highs.run()
        if highs.getModelStatus().name != "kOptimal":
            return None
        basis = highs.getBasis()
        return Basis(*(tuple(map(int, part)) for part in (basis.col_status, basis.row_status)))

    def _fresh(self, limits: Limits) -> Any:
        from highspy import _core

        highs: Any = _core._Highs()
        highs.passOptions(self._told(_core, limits))
        return highs

    def _loaded(self, highs: Any, q: FloatArray) -> Any:
        size, power = int(np.frexp(np.abs(q).max(initial=0.0))[1]), self._power
        bounds = (self.lower, self.upper, self.row_lower, self.row_upper)
        highs.passModel(
            self.n, len(self.row_upper), len(self.cols), ROW_WISE, MINIMISE, 0.0,
            np.ldexp(q, -size), *(np.ldexp(side, power) for side in bounds),
            self.starts, self.cols, self.values, self.integer.astype(np.int32),
        )  # fmt: skip
        return highs

    @cached_property
    def _power(self) -> int:
        """x times two to this is what HiGHS looks for: of a size of 1, if no variable is whole."""
        if self.integer.any():
            return 0
        sides = np.concatenate([self.lower, self.upper, self.row_lower, self.row_upper])
        size = np.abs(sides[np.isfinite(sides)]).max(initial=0.0)
        return int(exponents(np.array([size]))[0])

    def _told(self, core: Any, limits: Limits) -> Any:
        if limits not in self._made:
            highs = core._Highs()
            plain = () if limits else PLAIN.items()
            for name, value in (*OPTIONS.items(), *plain, *limits):
                if highs.setOptionValue(name, value) != core.HighsStatus.kOk:
                    raise ValueError(f"HiGHS takes no {name} = {value!r}")
            self._made[limits] = highs.getOptions()
        return self._made[limits]


def _fair(csr: Any) -> tuple[Any, NDArray[np.intc]]:
    """Rows times powers of two that make their largest entries about 1, and those powers."""
    row = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    size = np.zeros(csr.shape[0])
    np.maximum.at(size, row, np.abs(csr.data))
    power = exponents(size)
    entries = np.ldexp(csr.data, power[row])
    return sparse.csr_array((entries, csr.indices, csr.indptr), csr.shape), power


def _filled(values: Any, size: int) -> FloatArray:
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (size,)).copy()
