"""A procedure that finds saddle points of a tilted Lagrangian, as an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, cast, final

import numpy as np

from lpgd.core.engine import Answer, Capabilities
from lpgd.core.params import Params
from lpgd.core.problem import Problem
from lpgd.core.solution import FloatArray, Solution, Status
from lpgd.engines.lagrangian.kept import Kept
from lpgd.engines.signals import interrupts_kept
from lpgd.families.lagrangian.faults import faults
from lpgd.families.lagrangian.lagrangian import TILT, Lagrangian
from lpgd.families.lagrangian.linearized import Linearized
from lpgd.families.lagrangian.optimality import Conditions, judged
from lpgd.families.quadratic.structure import QUIET


class Asked(NamedTuple):
    """What a procedure is asked for: one element's arrays, or with an axis in front those of all.

    Attributes
    ----------
    data : mapping from argument to array
    tilt : mapping from ``"t"``, ``"dx"``, ``"dy"``, ``"rho"``, ``"anchor"`` to array; or None
    start : (x, y) or None
        The forward solution.
    """

    data: Mapping[str, FloatArray]
    tilt: Mapping[str, FloatArray] | None
    start: tuple[FloatArray, FloatArray] | None


class Told(NamedTuple):
    """What it says: x (n,), y (m,) and perhaps the value of the tilted Lagrangian there."""

    x: FloatArray
    y: FloatArray
    value: Any = None


@final
@dataclass(frozen=True)
class ProcedureEngine:
    """Asks a procedure.

    Parameters
    ----------
    procedure : callable
        From ``Asked`` to ``Told``.
    together : bool
        Whether it takes all elements at once.
    checked : bool
        Whether its answers are compared with the Lagrangian, and faults are named.
    """

    procedure: Callable[[Asked], Told]
    together: bool = False
    checked: bool = False

    name: ClassVar[str] = "solve"
    capabilities: ClassVar[Capabilities] = Capabilities(frozenset({"Lagrangian"}), restores=True)

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """See ``Engine.solve``. A row that raises, or is not finite, has failed."""
        family = cast(Lagrangian, problem)
        with interrupts_kept():
            solution, values, notes, cause = self._ask(family, params, start)
        accuracy, factors = None, None
        rows = np.flatnonzero(solution.solved)
        if self.checked and len(rows):
            found = faults(family, params, solution, values)
            solution.status[list(found)] = Status.NUMERICAL
            notes |= found
        if family.twice:
            at, accuracy = _judged(family, params, solution)
            factors = Linearized(family, params, solution, at.take(solution.solved))
            notes |= _doubts(solution, accuracy, self.capabilities.tolerance, notes)
        workspace = self._kept(family, params, solution, factors, threads) if keep else None
        return Answer(
            solution, len(solution), workspace, cause, accuracy, notes=notes, factors=factors
        )

    def restore(
        self, problem: Problem, params: Params, solution: Solution, threads: int | None
    ) -> Kept:
        """See ``Restoring.restore``."""
        family = cast(Lagrangian, problem)
        linear = Linearized(family, params, solution) if family.twice else None
        return self._kept(family, params, solution, linear, threads)

    def _kept(
        self, family: Lagrangian, params: Params, solution: Solution,
        linear: Linearized | None, threads: int | None,
    ) -> Kept:  # fmt: skip
        return Kept(self, family, params, solution, linear, local=False, threads=threads)

    def _ask(
        self, family: Lagrangian, params: Params, start: Solution | None
    ) -> tuple[Solution, FloatArray, dict[int, str], Exception | None]:
        size = len(next(iter(params.values())).index)
        if self.together:
            data = {name: np.array(params[name].full()) for name in family.names}
            begin = None if start is None else (start.x, start.y)
            return *_read(
                family, self.procedure(Asked(data, _tilt(params, slice(None)), begin)), size
            ), None
        solution, values = Solution.blank(size, family.n, family.m), np.full(size, np.nan)
        notes, cause = dict[int, str](), None
        for row in range(size):
            data = {k: np.array(params[k].values[params[k].index[row]]) for k in family.names}
            begin = None if start is None else (start.x[row], start.y[row])
            try:
                told = self.procedure(Asked(data, _tilt(params, row), begin))
            except Exception as error:  # of one element, and chained later
                cause = cause or error
                solution.status[row] = Status.CRASHED
                notes[row] = f"solve raised {type(error).__name__}: {error}"
                continue
            value = None if told.value is None else np.reshape(told.value, 1)
            found, values[[row]], why = _read(family, Told(told.x[None], told.y[None], value), 1)
            solution = solution.put(np.array([row]), found)
            notes |= dict.fromkeys([row] * len(why), why.get(0, ""))
        return solution, values, notes, cause


def _tilt(params: Params, rows: Any) -> dict[str, FloatArray] | None:
    if TILT[0] not in params:
        return None
    return {name.removeprefix("tilt."): params[name].full()[rows] for name in TILT}


def _read(family: Lagrangian, told: Told, size: int) -> tuple[Solution, FloatArray, dict[int, str]]:
    """What a procedure says of some elements; a point that is not finite has failed."""
    if told.x.shape != (size, family.n) or told.y.shape != (size, family.m):
        raise ValueError(
            f"solve returned x and y with {told.x.shape[1:]} and {told.y.shape[1:]} entries for "
            f"{len(told.x)} elements, expected ({family.n},) and ({family.m},) for {size}"
        )
    both = np.concatenate([told.x, told.y], axis=1)
    fine = np.logical_and.reduce(np.isfinite(both), axis=1)
    status = np.where(fine, Status.OPTIMAL, Status.NUMERICAL).astype(np.int8)
    x, y = (np.where(fine[:, None], part, 0.0) for part in (told.x, told.y))
    values = np.full(size, np.nan) if told.value is None else np.asarray(told.value, np.float64)
    why = "solve returned a NaN or infinite entry"
    return Solution(x, y, status), values, dict.fromkeys(np.flatnonzero(~fine).tolist(), why)


@QUIET
def _judged(family: Lagrangian, params: Params, point: Solution) -> tuple[Conditions, FloatArray]:
    at = Conditions.of(family, params, point)
    return at, judged(family, at, point)


def _doubts(
    solution: Solution, accuracy: FloatArray, tolerance: float, notes: Mapping[int, str]
) -> dict[int, str]:
    """What to say of points that are not stationary."""
    rows = np.flatnonzero(solution.solved & ~(accuracy <= tolerance))
    why = (
        "what solve returned is no saddle point of the Lagrangian (relative residual {:.1e}); all "
        "constraints must be in it; check=True names the fault"
    )
    return {int(r): why.format(accuracy[r]) for r in rows if r not in notes}
