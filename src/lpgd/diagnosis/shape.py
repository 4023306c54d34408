"""The solution as a point of its feasible set: active rows, their rank, faces, what is pinned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from scipy.linalg import qr

from lpgd.core.blas import ONE_THREAD
from lpgd.core.params import Param, Params
from lpgd.core.problem import Problem, users
from lpgd.core.scaling import top
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Rows, Solution
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.families.quadratic.structure import Structure

TIGHT = 1e-7  # relative slack or multiplier that is none
DEPENDENT = 1e-9  # relative size of what is left of a row that others make up
ENTRIES = 4_000_000  # of an element's rows, up to which their rank is worked out


@dataclass(frozen=True)
class Shape(Rows):
    """Where N solutions lie.

    Attributes
    ----------
    active : (N,) int
        Rows that hold the solution: equalities, tight inequalities, loaded cones.
    redundant : (N,) bool
        Active linear rows depend on each other, so that their multipliers are not unique.
    flat : (N,) bool
        x lies on an optimal face: it is not unique.
    pinned : (N,) bool
        The loss pulls along combinations of x that equalities fix, and along nothing else.
    """

    active: IntArray
    redundant: BoolArray
    flat: BoolArray
    pinned: BoolArray

    @classmethod
    def blank(cls, size: int) -> Shape:
        """Solutions of which nothing is known."""
        none = np.zeros(size, dtype=np.bool_)
        return cls(np.zeros(size, dtype=np.intp), none, none.copy(), none.copy())

    @classmethod
    def of(cls, problem: Problem, params: Params, point: Solution, dx: FloatArray) -> Shape:
        """Where each point lies, given the data of each and its loss's pull at x."""
        found = cls.blank(len(point))
        if isinstance(problem, Lagrangian):
            found.active[:] = _held(problem, params, point).sum(axis=1)
        if not isinstance(problem, Structure):
            return found
        held, loaded = activity(problem, params, point)
        straight = problem.cones.zero + problem.cones.nonneg
        found.active[:] = held[:, :straight].sum(axis=1)
        for _, start, stop in problem.cones.blocks()[2:]:  # a curved cone holds once
            found.active[:] += held[:, start:stop].any(axis=1)
        if problem.n * problem.m > ENTRIES:
            return found
        mine = users(problem)[0]
        for row in range(len(point)):
            rows, at = dense_rows(problem, params, row), slice(0, problem.cones.zero)
            some = rows[:straight][held[row, :straight]]
            found.redundant[row] = len(some) > rank(some)
            binding = rows[loaded[row]]
            if problem.quadratic:
                binding = np.concatenate([binding, _hessian(problem, params, row)])
            found.flat[row] = _free(binding, mine)
            fixed = np.concatenate([rows[at], _squeezed(problem, held[row])])
            found.pinned[row] = _spans(fixed, dx[row])
        return found


def activity(problem: Structure, params: Params, point: Solution) -> tuple[BoolArray, BoolArray]:
    """Rows that hold each solution, and those of them that are equalities or loaded, (N, m)."""
    cones, y = problem.cones, np.abs(point.y)
    with np.errstate(all="ignore"):
        slack = problem.slacks(params, point.x)
        sides = problem.slacks(params, np.zeros_like(point.x))
        size = np.where(np.isfinite(sides), np.maximum(np.abs(sides), np.abs(sides - slack)), 1.0)
        reach = top(point.x)[:, None]
        tight = np.abs(slack) <= TIGHT * np.where(size > 0, size, np.where(reach > 0, reach, 1.0))
    loaded = y > TIGHT * y.max(axis=1, initial=0.0)[:, None]
    tight[:, cones.zero + cones.nonneg :] = False  # rows of curved cones hold by their load
    loaded[:, : cones.zero] = True
    return tight | loaded, loaded


def _held(problem: Lagrangian, params: Params, point: Solution) -> BoolArray:
    """Multipliers that hold a solution: free ones, loaded ones, and those of tight rows, (N, m).

    Slacks are compared with x, as nothing else is known of them.
    """
    loaded = point.y > TIGHT * np.abs(point.y).max(axis=1, keepdims=True, initial=0.0)
    with np.errstate(all="ignore"):
        slack = problem.slacks(params, point.x)
    reach = np.maximum(np.abs(point.x).max(axis=1, keepdims=True, initial=0.0), 1.0)
    return ~problem.nonnegative | loaded | (np.abs(slack) <= TIGHT * reach)


def dense_rows(problem: Structure, params: Params, element: int) -> FloatArray:
    """C of one element as a dense matrix (m, n)."""
    rows, eye = np.zeros((problem.m, problem.n)), np.eye(problem.n)
    for name, block in problem.blocks.items():
        if name in ("lb", "ub"):
            rows[block] = eye if name == "ub" else -eye
        else:
            rows[block] = _matrix(problem, name, params[name], element)
    return rows


def dependent_rows(problem: Structure, params: Params, point: Solution, element: int) -> list[str]:
    """Names of active rows that are combinations of the other ones."""
    straight = problem.cones.zero + problem.cones.nonneg
    held = np.flatnonzero(activity(problem, params, point)[0][element, :straight])
    rows = _normalised(dense_rows(problem, params, element)[held])
    order = cast(Any, qr(rows.T, mode="r", pivoting=True))[1]
    return [name_of(problem, int(held[i])) for i in sorted(order[rank(rows) :])]


def name_of(problem: Structure, row: int) -> str:
    """What to call a row, e.g. ``G[3]``."""
    for name, block in problem.blocks.items():
        if block.start <= row < block.stop:
            return f"{name}[{row - block.start}]"
    return f"row {row}"


@ONE_THREAD
def rank(rows: FloatArray) -> int:
    """Rank of rows, whatever their sizes."""
    if not rows.size:
        return 0
    return int(np.linalg.matrix_rank(_normalised(rows), tol=DEPENDENT * max(rows.shape)))


def _matrix(problem: Structure, name: str, param: Param, element: int) -> FloatArray:
    values = param.values[param.index[[element]]]
    pattern = problem.patterns.get(name)
    return values[0] if pattern is None else pattern.dense(values)[0]


def _hessian(problem: Structure, params: Params, element: int) -> FloatArray:
    return _matrix(problem, "P", params["P"], element)


def _normalised(rows: FloatArray) -> FloatArray:
    size = top(rows)[:, None]
    return rows / np.where(size > 0, size, 1.0)


@ONE_THREAD
def _free(rows: FloatArray, mine: BoolArray) -> bool:
    """Whether user's entries can move along directions that no row sees."""
    n = rows.shape[1]
    if not len(rows):
        return bool(mine.any())
    found = rank(rows)
    if found == n:
        return False
    null = np.linalg.svd(_normalised(rows), full_matrices=True)[2][found:]
    return bool(np.abs(null[:, mine]).max(initial=0.0) > TIGHT)


def _squeezed(problem: Structure, held: BoolArray) -> FloatArray:
    """Rows of variables that both bounds hold."""
    eye = np.eye(problem.n)
    if not {"lb", "ub"} <= problem.blocks.keys():
        return eye[:0]
    return eye[held[problem.blocks["lb"]] & held[problem.blocks["ub"]]]


@ONE_THREAD
def _spans(rows: FloatArray, pull: FloatArray) -> bool:
    """Whether a pull that is not zero is a combination of rows."""
    size = np.abs(pull).max(initial=0.0)
    if not size or not len(rows):
        return False
    unit, fair = pull / size, _normalised(rows)
    rest = unit - fair.T @ np.linalg.lstsq(fair.T, unit, rcond=None)[0]
    return bool(np.abs(rest).max() <= DEPENDENT * len(unit))
