"""One set-up for every distinct (P, G, A), and the model that takes one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from lpgd.core.params import Param, Params, taken
from lpgd.core.scaling import factors
from lpgd.core.solution import FloatArray, IntArray
from lpgd.engines.daqp.form import Form
from lpgd.engines.daqp.polish import polish, residual
from lpgd.families.qp.qp import QP
from lpgd.families.quadratic.whitening import (
    Whitened,
    diagonal,
    inverse_factors,
    well_spread,
    whitened,
)

STATIONARITY = 1e-10  # residual at which DAQP's proximal iterations stop
INEXACT = 1e-6  # relative residual beyond which an iterative answer is not believed
INACCURATE, UNBOUNDED = 4, -3  # exit flags

Matrices = tuple[FloatArray | None, FloatArray]


class SetUp(NamedTuple):
    """One distinct (P, G, A) and how DAQP takes it.

    Attributes
    ----------
    hessian : (n, n) float64 or None
        None where it is zero.
    rows : (M, n) float64
        G, then A.
    kept : (Hessian, rows) or None
        What a model is handed once for all elements, where their Hessian is safely positive
        definite; else each solve is set up afresh.
    """

    hessian: FloatArray | None
    rows: FloatArray
    kept: Matrices | None

    def solve(self, form: Form, row: int, settings: dict[str, float]) -> None:
        """Solve one element on its own; where that fails and costs are large, in their units.

        Proximal steps along what has no curvature are as long as the costs.
        """
        form.flag[row] = self._solve(form, row, settings, 1.0)
        if self.hessian is None or (form.flag[row] > 0 and form.flag[row] != INACCURATE):
            return
        unit = float(factors(np.abs(form.f[row]).max(initial=0.0)))
        if unit < 1:
            form.flag[row] = self._solve(form, row, settings, unit)

    def _solve(self, form: Form, row: int, settings: dict[str, float], unit: float) -> int:
        near = form.near[row] if self.kept is None and form.near is not None else None
        hessian = self.hessian if self.hessian is None or unit == 1 else unit * self.hessian
        costs = form.f[row] if unit == 1 else unit * form.f[row]
        terms = (costs, self.rows, form.upper[row], form.lower[row], form.kinds)
        solver, options = _daqp(), {"eta_prox": STATIONARITY, **settings}
        found = solver.solve(hessian, *terms, primal_start=near, **options)
        if found[2] == UNBOUNDED:
            # the first step, from an infeasible point, can miss every constraint
            found = solver.solve(hessian, *terms, primal_start=found[0], **options)
        x, _, flag, info = found
        if flag > 0:
            form.x[row], form.lam[row] = x, info["lam"] / unit
            if self.hessian is not None:
                error = polish(form, row, self.hessian, self.rows)
            else:
                if not form.f[row].any():  # what rounding leaves of multipliers of no costs
                    form.lam[row] = 0.0
                error = residual(form, row, None, self.rows)
            if not error <= INEXACT:
                flag = INACCURATE
        return flag


@dataclass(frozen=True)
class SetUps:
    """The set-ups of a batch.

    Attributes
    ----------
    each : list of SetUp
    inverses : (K, n, n) float64
        Changes of variables x = R^-1 u; see ``lpgd.families.quadratic.whitening``.
    change : (D,) int
        Which of them each set-up is kept in, -1 for none.
    moved : mapping from str to Param
        The rows of A and G in these variables.
    """

    each: list[SetUp]
    inverses: FloatArray
    change: IntArray
    moved: Mapping[str, Param]

    @classmethod
    def of(cls, problem: QP, params: Params, first: IntArray) -> SetUps:
        """Set up the elements ``first``, one of each group."""
        params = taken(params, first)
        if "P" not in params:
            none = np.zeros((0, problem.n, problem.n)), np.full(len(first), -1), {}
            return cls(afresh(problem, params, len(first)), *none)
        parts = {name: params[name] for name in ("G", "A") if name in params}
        rows, P = _stacked(list(parts.values()), len(first), problem.n), params["P"]
        plain = diagonal(P.values)
        inverses, changed = inverse_factors(P.values, ~plain)
        change = np.where(changed, np.cumsum(changed) - 1, -1)[P.index]
        roots, moved = Param(inverses, change), dict[str, Param]()
        if (change >= 0).any():
            moved = {name: whitened(part, roots) for name, part in parts.items()}
        products = [[part.values[i] for i in part.index.tolist()] for part in moved.values()]
        boxed = "lb" in problem.blocks or "ub" in problem.blocks
        same, each = np.eye(problem.n), list[SetUp]()
        hessians = _hessians(P)  # a model is not handed the same object again
        flat = (plain & well_spread(P.values) if plain.any() else plain)[P.index].tolist()
        products = products or [[None] * len(first)]
        for H, matrix, even, which, *blocks in zip(
            hessians, rows, flat, change.tolist(), *products, strict=True
        ):
            kept: Matrices | None = (H, matrix) if even else None
            if which >= 0:
                if boxed or blocks[0] is None:  # bounds are rows of u
                    bounds = inverses[which] if boxed else inverses[which, :0]
                    blocks = [bounds, *(part for part in blocks if part is not None)]
                kept = same, blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
            each.append(SetUp(H, matrix, kept))
        return cls(each, inverses, change, moved)

    def whitened(self, groups: IntArray) -> Whitened:
        """What is kept of elements with these set-ups."""
        rows = {name: Param(part.values, part.index[groups]) for name, part in self.moved.items()}
        return Whitened(Param(self.inverses, self.change[groups]), rows)

    def costs(self, f: FloatArray, groups: IntArray) -> FloatArray:
        """Costs (N, n) of x as costs of u."""
        rows, inverses = self._inverses(groups)
        costs = f.copy()
        if len(inverses):
            costs[rows] = np.matmul(f[rows, None], inverses)[:, 0]
        return costs

    def points(self, u: FloatArray, groups: IntArray) -> FloatArray:
        """The points x (N, n) of some u."""
        rows, inverses = self._inverses(groups)
        x = u.copy()
        if len(inverses):
            x[rows] = np.matmul(inverses, u[rows, :, None])[:, :, 0]
        return x

    def _inverses(self, groups: IntArray) -> tuple[slice | IntArray, FloatArray]:
        """Rows that are kept in other variables, and the R^-1 of each, or the one of all."""
        which, inverses = self.change[groups], self.inverses
        rows = np.flatnonzero(which >= 0)
        if len(inverses) > 1 and not np.array_equal(which, np.arange(len(inverses))):
            inverses = inverses[which[rows]]
        return slice(None) if len(rows) == len(groups) else rows, inverses


@dataclass(slots=True)
class Bench:
    """A DAQP model, and what it holds of the last program."""

    settings: dict[str, float]
    model: Any = None
    holds: Matrices | None = None
    element: int | None = None  # at whose working set it stands

    def solve(self, kept: Matrices, element: int, terms: tuple[Any, ...]) -> Any:
        """Solve one element of a kept set-up; exit flag, u, multipliers."""
        f, upper, lower, sense = terms
        if kept is self.holds:
            sense = None if element == self.element else sense
            flag = self.model.update(None, f, None, upper, lower, sense)
        else:
            flag = self._load(kept, f, upper, lower, sense)
        if flag >= 0:
            u, _, flag, info = self.model.solve()
            if flag == 1:
                # one iteration leaves the working set as it was
                self.holds, self.element = kept, element if info["iterations"] == 1 else None
                return flag, u, info["lam"]
        # whatever the model is left with shall touch no other element
        self.model = self.holds = self.element = None
        return flag, None, None

    def _load(self, kept: Matrices, f: Any, upper: Any, lower: Any, sense: Any) -> int:
        """Hand a set-up to the model, or to a new one; the exit flag."""
        hessian, matrix = kept
        if self.holds is not None:
            before, like = self.holds
            if len(like) == len(matrix):  # bounds are rows in some set-ups and none in others
                hessian = None if hessian is before else hessian
                rows = matrix if len(matrix) else None  # it takes no empty arrays
                return self.model.update(hessian, f, rows, upper, lower, sense)
        self.model = _daqp().Model()
        # eps_prox = 0: DAQP shall not regularise what has been found to be positive definite
        self.model.settings = self.settings | {"eps_prox": 0.0}
        above = np.zeros(0) if upper is None else upper
        return self.model.setup(hessian, f, matrix, above, lower, sense)[0]


def _daqp() -> Any:
    """The solver, which has no types."""
    return import_module("daqp")


def afresh(problem: QP, params: Params, count: int) -> list[SetUp]:
    """A set-up for each element, none of them kept."""
    parts = [params[name] for name in ("G", "A") if name in params]
    rows = _stacked(parts, count, problem.n)
    if not problem.quadratic:
        return [SetUp(None, matrix, None) for matrix in rows]
    hessians = _hessians(params["P"])
    return [SetUp(H, matrix, None) for H, matrix in zip(hessians, rows, strict=True)]


def _hessians(P: Param) -> list[FloatArray | None]:
    """The Hessian of each set-up, one object for all that share it; None where it is zero."""
    there: Any = P.values.any(axis=(1, 2))
    each = [H if some else None for H, some in zip(P.values, there, strict=True)]
    return [each[i] for i in P.index.tolist()]


def _stacked(parts: list[Param], count: int, n: int) -> list[FloatArray]:
    """All rows of each set-up."""
    if not parts:
        return [np.zeros((0, n))] * count
    if len(parts) == 1:
        return [parts[0].values[i] for i in parts[0].index.tolist()]
    pairs = zip(*(part.index.tolist() for part in parts), strict=True)
    return [np.concatenate([parts[0].values[i], parts[1].values[j]]) for i, j in pairs]
