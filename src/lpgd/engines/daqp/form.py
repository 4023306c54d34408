"""Batches of QPs in DAQP's form, and its answers in ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lpgd.core.params import Params
from lpgd.core.solution import FloatArray, IntArray, Solution, Status
from lpgd.families.qp.qp import QP

INFINITY = 1e30
NONE = slice(0, 0)
EQUALITY, ACTIVE, LOWER = 5, 1, 2  # bits of DAQP's `sense`
STATUS = np.full(16, Status.NUMERICAL, dtype=np.int8)  # by exit flag, negative ones from the end
for _flag, _status in {
    1: Status.OPTIMAL,
    4: Status.INACCURATE,
    -1: Status.INFEASIBLE,
    -2: Status.NUMERICAL,  # cycling
    -3: Status.UNBOUNDED,
    -4: Status.ITERATION_LIMIT,
    -6: Status.INFEASIBLE,  # inconsistent equalities
    -7: Status.TIME_LIMIT,
}.items():
    STATUS[_flag] = _status


@dataclass(frozen=True)
class Form:
    """A batch in DAQP's form: lower <= (x, Gx, Ax) <= upper, and room for the answers."""

    f: FloatArray  # (N, n)
    upper: FloatArray  # (N, M)
    lower: FloatArray
    two_sided: bool  # whether some constraint can have a lower side
    kinds: Any  # (M,) what each constraint is
    sense: Any  # the same with the working set to start from; (N, M) where there is one
    near: FloatArray | None  # (N, n) where to start
    x: FloatArray
    lam: FloatArray  # (N, M) positive at upper, negative at lower bounds
    flag: IntArray

    @classmethod
    def of(cls, problem: QP, params: Params, start: Solution | None) -> Form:
        """Gather the linear terms of a batch."""
        # in C order throughout: DAQP reads rows as they lie in memory
        f = np.array(params["q"].full(), order="C")
        upper, lower = _bounds(params, f.shape)
        kinds = np.zeros(upper.shape[1], dtype=np.intc)
        kinds[len(kinds) - problem.blocks.get("A", NONE).stop :] = EQUALITY
        sense = kinds if start is None else _working_sets(problem, start.y, kinds)
        return cls(
            f, upper, lower, "lb" in params or "A" in params, kinds, sense,
            start.x if start else None,
            np.zeros(f.shape), np.zeros(upper.shape),
            np.zeros(len(f), dtype=np.intp),
        )  # fmt: skip

    @property
    def rows(self) -> tuple[list[Any], list[Any], list[Any]]:
        """Bounds and working set of each element; DAQP takes no empty arrays."""
        none = [None] * len(self.f)
        if not self.kinds.size:
            return none, none, none
        # where no constraint has a lower side, those of the set-up stay
        lower = list(self.lower) if self.two_sided else none
        sense = list(self.sense) if self.sense.ndim == 2 else [self.sense] * len(self.f)
        return list(self.upper), lower, sense

    def solution(self, problem: QP) -> Solution:
        """Answers with our multipliers: (y, z, mu_l, mu_u)."""
        status = STATUS[self.flag]
        x, lam = self.x, self.lam  # zero where DAQP gave no point
        finite = np.isfinite(np.concatenate([x, lam], axis=1)).all(axis=1)
        if not finite.all():
            status[~finite] = Status.NUMERICAL
            x, lam = (np.where(finite.reshape(-1, 1), part, 0.0) for part in (x, lam))
        if "lb" in problem.blocks or "ub" in problem.blocks:  # no rounding beyond a bound
            bounds = (side[:, : problem.n] for side in (self.lower, self.upper))
            x = np.where((self.flag > 0)[:, None], np.clip(x, *bounds), 0.0)
        return Solution(x, _split(problem, lam), status)


def _bounds(params: Params, shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Upper and lower bounds of (x, Gx, Ax), each (N, M)."""
    upper, lower = [], []
    if "lb" in params or "ub" in params:
        open_ = np.full(shape, INFINITY)
        upper.append(np.minimum(params["ub"].full(), INFINITY) if "ub" in params else open_)
        lower.append(np.maximum(params["lb"].full(), -INFINITY) if "lb" in params else -open_)
    if "G" in params:
        upper.append(np.minimum(params["h"].full(), INFINITY))
        lower.append(np.full(upper[-1].shape, -INFINITY))
    if "A" in params:
        upper.append(params["b"].full())
        lower.append(upper[-1])
    return _joined(upper, shape[0]), _joined(lower, shape[0])


def _joined(parts: list[FloatArray], count: int) -> FloatArray:
    """Columns side by side, a new array in C order."""
    if len(parts) == 1:
        return np.array(parts[0], order="C")
    return np.concatenate([np.zeros((count, 0)), *parts], axis=1)


def _working_sets(problem: QP, y: FloatArray, kinds: Any) -> Any:
    """Which bounds the multipliers hold, as DAQP's ``sense``, (N, M)."""
    # the sign as bits: 0 free, 1 at its upper, -1 & 3 = ACTIVE | LOWER at its lower bound
    sense = np.sign(_merge(problem, y)).astype(np.intc) & (ACTIVE | LOWER)
    sense[:, kinds == EQUALITY] = EQUALITY
    return sense


def _split(problem: QP, lam: FloatArray) -> FloatArray:
    """DAQP's multipliers (box, G, A) in our order (A, G, lb, ub), each bound its own."""
    blocks = problem.blocks
    box = problem.n if "lb" in blocks or "ub" in blocks else 0
    stop = lam.shape[1] - blocks.get("A", NONE).stop
    parts = {"A": lam[:, stop:], "G": lam[:, box:stop]}
    parts |= {"lb": np.maximum(-lam[:, :box], 0.0), "ub": np.maximum(lam[:, :box], 0.0)}
    return _joined([parts[name] for name in blocks], len(lam))


def _merge(problem: QP, y: FloatArray) -> FloatArray:
    """Our multipliers in DAQP's order and signs."""
    blocks, parts = problem.blocks, list[FloatArray]()
    if "lb" in blocks or "ub" in blocks:
        none = np.zeros((len(y), problem.n))
        lower, upper = (y[:, blocks[name]] if name in blocks else none for name in ("lb", "ub"))
        parts.append(upper - lower)
    for name in ("G", "A"):
        if name in blocks:
            parts.append(y[:, blocks[name]])
    return _joined(parts, len(y))
