"""DAQP: dense QPs and small LPs by a dual active-set method (Arnström et al., 2022).

A positive definite problem is set up once for every distinct (P, G, A); its elements and their
tilted versions then only update linear terms, and each starts from a working set of its own. With
a zero or singular Hessian DAQP iterates on a proximal point and keeps it between solves, so that a
kept model would answer according to its history: such problems are set up afresh every time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from lpgd.engines.base import Answer, Capabilities
from lpgd.engines.batch import spread, useful_threads
from lpgd.params import Params, distinct
from lpgd.problems.qp import QP
from lpgd.solution import FloatArray, IntArray, Solution, Status

if TYPE_CHECKING:
    from lpgd.problems.base import Problem
    from lpgd.tilt import Tilt

INFINITY = 1e30
EQUALITY, ACTIVE, LOWER = 5, 1, 2  # bits of DAQP's `sense`
STATIONARITY = 1e-10  # residual at which DAQP's proximal iterations stop
STATUS = {
    1: Status.OPTIMAL,
    4: Status.INACCURATE,
    -1: Status.INFEASIBLE,
    -2: Status.NUMERICAL,
    -3: Status.UNBOUNDED,
    -4: Status.ITERATION_LIMIT,
    -5: Status.NUMERICAL,
    -6: Status.INFEASIBLE,
    -7: Status.TIME_LIMIT,
}


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
    capabilities: ClassVar[Capabilities] = Capabilities(frozenset({"QP", "LP"}))

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
        models = [_Model.of(self, qp, params, element) for element in first]
        solution, set_ups = _run(qp, params, [models[i] for i in group], start, threads)
        kept = _Kept(self, qp, params, models, group, solution, threads) if keep else None
        return Answer(solution, set_ups, kept)


@dataclass(frozen=True)
class _Kept:
    """The set-ups of a forward solve and each element's solution in it."""

    engine: DaqpEngine
    problem: QP
    params: Params
    models: list[_Model]
    group: IntArray
    solution: Solution
    threads: int | None
    lock: Lock = field(default_factory=Lock)

    def resolve(self, tilt: Tilt) -> Answer:
        """See ``Workspace.resolve``."""
        problem, params = self.problem.tilt(self.params, tilt)
        start = self.solution.take(tilt.rows)
        if tilt.rho.any():  # other Hessians: one set-up for each distinct one
            return self.engine.solve(problem, params, start=start, threads=self.threads)
        models = [self.models[i] for i in self.group[tilt.rows]]
        with self.lock:  # a model serves one thread at a time
            return Answer(*_run(problem, params, models, start, self.threads))


def _run(
    problem: QP,
    params: Params,
    models: list[_Model],
    start: Solution | None,
    threads: int | None,
) -> tuple[Solution, int]:
    """Solve element i with ``models[i]``; returns the solutions and the number of set-ups."""
    form = _Form.of(problem, params, start)
    before = sum(model.set_ups for model in set(models))
    if problem.quadratic:  # a model serves one thread at a time, so its elements stay together
        owner = {id(model): i for i, model in enumerate(models)}
        keys = np.array([owner[id(model)] for model in models], dtype=np.intp)
    else:
        keys = np.arange(len(models))
    order = np.argsort(keys, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(keys[order])) + 1) if len(order) else []

    def work(chosen: IntArray) -> None:
        for i in chosen:
            for row in parts[i]:
                models[row].solve(form, int(row))

    spread(work, len(parts), useful_threads(threads, problem.n * form.upper.shape[1]))
    return form.solution(problem), sum(model.set_ups for model in set(models)) - before


@dataclass(eq=False)
class _Model:
    """A set-up, made when it is first needed; without one, every solve is set up afresh."""

    hessian: FloatArray | None
    rows: FloatArray  # (m, n): G, then A
    settings: dict[str, float]
    kept: Any = None
    definite: bool = True
    set_ups: int = 0

    @classmethod
    def of(cls, engine: DaqpEngine, problem: QP, params: Params, element: int) -> _Model:
        """The set-up that ``element`` needs."""
        data = {name: param.values[param.index[element]] for name, param in params.items()}
        rows = [data[name] for name in ("G", "A") if name in data]
        hessian = data["P"] if problem.quadratic and data["P"].any() else None
        if len(rows) == 1:
            return cls(hessian, rows[0], engine.settings, definite=hessian is not None)
        both = np.concatenate([np.zeros((0, problem.n)), *rows])
        return cls(hessian, both, engine.settings, definite=hessian is not None)

    def solve(self, form: _Form, row: int) -> None:
        """Solve one element and record the answer in its row of ``form``."""
        if self.definite and self.kept is None:
            self._set_up(form, row)
        if not self.definite:
            self._solve_afresh(form, row, None if form.near is None else form.near[row])
            return
        flag = self.kept.update(
            f=form.f[row], bupper=form.upper[row], blower=form.lower[row], sense=form.sense[row]
        )
        if flag >= 0:
            x, _, flag, info = self.kept.solve()
            form.record(row, x, flag, info["lam"])
        if flag != 1 and form.near is not None:  # believe a failure only from a cold start
            self._solve_afresh(form, row, None)
        elif flag < 0:
            form.flag[row] = flag

    def _set_up(self, form: _Form, row: int) -> None:
        import daqp

        model = daqp.Model()
        # eps_prox = 0: a singular Hessian is reported, not silently regularised
        model.settings = self.settings | {"eps_prox": 0.0}
        # no linear terms and no working set yet, so the set-up depends on (P, G, A) alone
        free = np.full(len(form.kinds), INFINITY)
        flag, _ = model.setup(
            self.hessian,
            np.zeros_like(form.f[row]),
            self.rows,
            free,
            -free,
            np.zeros_like(form.kinds),
        )
        self.set_ups += 1
        self.kept, self.definite = model, flag >= 0

    def _solve_afresh(self, form: _Form, row: int, near: FloatArray | None) -> None:
        import daqp

        self.set_ups += 1
        x, _, flag, info = daqp.solve(
            self.hessian, form.f[row], self.rows, form.upper[row], form.lower[row], form.kinds,
            primal_start=near, eta_prox=STATIONARITY, **self.settings,
        )  # fmt: skip
        form.record(row, x, flag, info["lam"])


@dataclass(frozen=True)
class _Form:
    """A batch in DAQP's form: lower <= (x, Gx, Ax) <= upper, and room for the answers."""

    f: FloatArray  # (N, n)
    upper: FloatArray  # (N, M)
    lower: FloatArray
    kinds: Any  # (M,) what each constraint is
    sense: Any  # (N, M) the same with the working set to start from
    near: FloatArray | None  # (N, n) where to start
    x: FloatArray
    lam: FloatArray  # (N, M) positive at upper, negative at lower bounds
    flag: IntArray

    @classmethod
    def of(cls, problem: QP, params: Params, start: Solution | None) -> _Form:
        """Gather the linear terms of a batch."""
        f = np.array(params["q"].full())  # writable, as DAQP asks
        size = len(f)
        open_ = np.full((size, problem.n), INFINITY)
        upper, lower = [], []
        if "lb" in params or "ub" in params:
            upper.append(params["ub"].full() if "ub" in params else open_)
            lower.append(params["lb"].full() if "lb" in params else -open_)
        if "G" in params:
            upper.append(params["h"].full())
            lower.append(np.full_like(upper[-1], -INFINITY))
        if "A" in params:
            upper.append(params["b"].full())
            lower.append(upper[-1])
        empty = [np.zeros((size, 0))]
        bounds = [np.concatenate(empty + side, axis=1) for side in (upper, lower)]
        top, bottom = (np.clip(side, -INFINITY, INFINITY) for side in bounds)
        kinds = np.zeros(top.shape[1], dtype=np.intc)
        kinds[len(kinds) - _rows(problem, "A") :] = EQUALITY
        sense = np.tile(kinds, (size, 1))
        if start is not None:
            loads = _merge(problem, start.y)
            active = np.where(loads > 0, ACTIVE, 0) + np.where(loads < 0, ACTIVE | LOWER, 0)
            sense |= active.astype(np.intc)
        return cls(
            f, top, bottom, kinds, sense, start.x if start else None,
            np.zeros_like(f), np.zeros_like(top), np.zeros(size, dtype=np.intp),
        )  # fmt: skip

    def record(self, row: int, x: FloatArray, flag: int, lam: FloatArray) -> None:
        self.flag[row] = flag
        if flag > 0:
            self.x[row], self.lam[row] = x, lam

    def solution(self, problem: QP) -> Solution:
        """Answers with our multipliers: (y, z, mu_l, mu_u)."""
        status = np.array([STATUS.get(int(f), Status.NUMERICAL) for f in self.flag], dtype=np.int8)
        finite = np.isfinite(self.x).all(axis=1) & np.isfinite(self.lam).all(axis=1)
        status[~finite & (self.flag > 0)] = Status.NUMERICAL
        usable = ((self.flag > 0) & finite)[:, None]
        y = _split(problem, np.where(usable, self.lam, 0.0))
        x = np.where(usable, self.x, 0.0)
        if "lb" in problem.blocks or "ub" in problem.blocks:  # no rounding beyond a bound
            bounds = (side[:, : problem.n] for side in (self.lower, self.upper))
            x = np.where(usable, np.clip(x, *bounds), 0.0)
        return Solution(x, y, status)


def _rows(problem: QP, name: str) -> int:
    block = problem.blocks.get(name, slice(0, 0))
    return block.stop - block.start


def _split(problem: QP, lam: FloatArray) -> FloatArray:
    """DAQP's multipliers (box, G, A) in our order (A, G, lb, ub), each bound its own."""
    box = lam.shape[1] - _rows(problem, "G") - _rows(problem, "A")
    parts = {
        "A": lam[:, box + _rows(problem, "G") :],
        "G": lam[:, box : box + _rows(problem, "G")],
        "lb": np.maximum(-lam[:, :box], 0.0),
        "ub": np.maximum(lam[:, :box], 0.0),
    }
    return np.concatenate([lam[:, :0], *(parts[name] for name in problem.blocks)], axis=1)


def _merge(problem: QP, y: FloatArray) -> FloatArray:
    """Our multipliers in DAQP's order and signs."""
    parts = {name: y[:, block] for name, block in problem.blocks.items()}
    box = [parts[name] * sign for name, sign in (("lb", -1.0), ("ub", 1.0)) if name in parts]
    general = [parts[name] for name in ("G", "A") if name in parts]
    return np.concatenate([y[:, :0], *([sum(box)] if box else []), *general], axis=1)
