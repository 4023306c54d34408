"""A second look at programs of which a solver says that they have no solution.

Two linear programs for HiGHS. The elastic one asks by how much the rows have to give way: nothing
where the program is feasible, and else its multipliers prove the contradiction (Farkas). The other
one asks for a direction along which the costs fall for ever. Programs come in fair units, where
rows and costs have a size near 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from lpgd.core.params import Param, Params, batched
from lpgd.core.scaling import top
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.engines.highs.engine import HighsEngine
from lpgd.families.qp.qp import QP
from lpgd.families.quadratic.products import Values
from lpgd.families.quadratic.structure import Structure

FINE = HighsEngine(tolerance=1e-10)
ROUNDING = 1e-14  # contradictions of this share of all right-hand sides are rounding
EXACT = 1e-12  # violations of this share of the terms of a row are rounding
FALLS = 1e-7  # costs have to fall by this much along a direction of size 1
SIDES = {"A": "b", "G": "h", "lb": "lb", "ub": "ub"}


@dataclass(frozen=True)
class Elastic:
    """How far programs are from being feasible.

    Attributes
    ----------
    known : (N,) bool
        Whether the question could be answered.
    share : (N,) float64
        The least violation, as a share of the right-hand sides that contradict each other.
    proof : (N, m) float64
        Multipliers of the contradiction.
    relaxed : mapping from argument to Param
        Right-hand sides that give way by the least violation.
    """

    known: BoolArray
    share: FloatArray
    proof: FloatArray
    relaxed: Mapping[str, Param]

    @classmethod
    def of_feasible(cls, problem: QP, params: Params) -> Elastic:
        """Of programs that have a feasible point."""
        size = len(params["q"].index)
        relaxed = {SIDES[name]: params[SIDES[name]] for name in ("A", "G") if name in params}
        return cls(np.ones(size, np.bool_), np.zeros(size), np.zeros((size, problem.m)), relaxed)

    def put(self, rows: IntArray, other: Elastic) -> Elastic:
        """With some rows replaced."""
        known, share, proof = self.known.copy(), self.share.copy(), self.proof.copy()
        known[rows], share[rows], proof[rows] = other.known, other.share, other.proof
        relaxed = dict[str, Param]()
        for name, param in self.relaxed.items():
            values = np.array(param.full())
            values[rows] = other.relaxed[name].full()
            relaxed[name] = batched(values)
        return Elastic(known, share, proof, relaxed)


def feasible(problem: QP, params: Params, x: FloatArray) -> BoolArray:
    """Whether points (N, n) satisfy all rows within rounding."""
    slacks, sides = problem.slacks(params, x), problem.slacks(params, np.zeros_like(x))
    free = np.isinf(slacks)  # rows without a side
    slacks[free] = sides[free] = 0.0
    sides = np.abs(slacks - sides)
    equal = slice(0, problem.cones.zero)
    slacks[:, equal] = -np.abs(slacks[:, equal])
    return np.logical_and.reduce(slacks >= -EXACT * sides, axis=1)


def elastic(problem: QP, params: Params, threads: int | None) -> Elastic:
    """Ask by how much the rows have to give way; bounds hold."""
    n, size = problem.n, len(params["q"].index)
    rows = {name: params[name].values.shape[1] for name in ("A", "G") if name in params}
    free, slack = {name: k * (2 if name == "A" else 1) for name, k in rows.items()}, {}
    total, start = n + sum(free.values()), n
    data = {"q": batched(np.concatenate([np.zeros((size, n)), np.ones((size, total - n))], axis=1))}
    for name, k in rows.items():
        slack[name] = slice(start, start + k), slice(start + k, start + free[name])
        values = params[name].values
        wide = np.zeros((len(values), k, total))
        wide[:, :, :n] = values
        wide[:, :, slack[name][0]] = -np.eye(k)
        if name == "A":
            wide[:, :, slack[name][1]] = np.eye(k)
        data[name], data[SIDES[name]] = Param(wide, params[name].index), params[SIDES[name]]
        start += free[name]
    data |= _bounds(problem, params, total)
    program = QP.of({**rows, "lb": total, "ub": total}, total, {})
    found = FINE.solve(program, data, threads=threads).solution
    proof = np.zeros((size, problem.m))
    for name, block in problem.blocks.items():
        proof[:, block] = program.block(found.y, name)[:, : block.stop - block.start]
    relaxed = dict[str, Param]()
    for name, (more, less) in slack.items():
        give = found.x[:, more] - (found.x[:, less] if name == "A" else 0.0)
        relaxed[SIDES[name]] = batched(params[SIDES[name]].full() + give)
    violation = np.zeros_like(proof)
    for name, (more, less) in slack.items():
        violation[:, problem.blocks[name]] = found.x[:, more]
        if name == "A":
            violation[:, problem.blocks[name]] += found.x[:, less]
    share = _share(problem, params, found.x[:, :n], proof, violation)
    return Elastic(found.solved, share, proof, relaxed)


def recession(problem: QP, params: Params, threads: int | None) -> FloatArray:
    """Directions (N, n) along which the costs fall for ever; zero where there is none."""
    n, size = problem.n, len(params["q"].index)
    data = {"q": params["q"]}
    if "G" in params:
        limited = np.where(np.isfinite(params["h"].full()), 0.0, np.inf)
        data |= {"G": params["G"], "h": batched(limited)}
    flat = [params[name].full() for name in ("A", "P") if name in params]
    if flat:
        data["A"] = batched(np.concatenate(flat, axis=1))
        data["b"] = batched(np.zeros(data["A"].values.shape[:2]))
    for bound, way in (("lb", -1.0), ("ub", 1.0)):
        held = np.isfinite(params[bound].full()) if bound in params else np.False_
        data[bound] = batched(np.where(np.broadcast_to(held, (size, n)), 0.0, way))
    sizes = {name: data[name].values.shape[1] for name in ("A", "G", "lb", "ub") if name in data}
    found = FINE.solve(QP.of(sizes, n, {}), data, threads=threads).solution
    q = params["q"].full()
    fall = -np.einsum("ni,ni->n", q, found.x)
    real = found.solved & (fall > FALLS * top(q))
    return np.where(real[:, None], found.x, 0.0)


def _bounds(problem: QP, params: Params, total: int) -> dict[str, Param]:
    """Bounds of x, and of slacks that are not negative."""
    size, data = len(params["q"].index), dict[str, Param]()
    for bound, missing in (("lb", -np.inf), ("ub", np.inf)):
        values = np.full((size, total), 0.0 if bound == "lb" else np.inf)
        values[:, : problem.n] = params[bound].full() if bound in params else missing
        data[bound] = batched(values)
    return data


def _share(
    problem: Structure, params: Params, x: FloatArray, proof: FloatArray, violation: FloatArray
) -> FloatArray:
    """Violations (N, m) relative to the right-hand sides of the contradiction.

    Those of rounding are relative to all right-hand sides that x comes near: no other made it. A
    row whose own terms are smaller has no such rounding.
    """
    values = Values(cast(Any, problem), params)
    sides, reach = np.abs(values.sides()), np.abs(values.absolute().product(np.abs(x)))
    near = np.fmin(sides, reach).max(axis=1, initial=0.0)
    sides = np.where(np.isfinite(sides), sides, 0.0)
    involved, total = (sides * np.abs(proof)).sum(axis=1), violation.sum(axis=1)
    share = total / np.where(involved > 0, involved, 1.0)
    rounding = (total <= ROUNDING * near) & np.logical_and.reduce(violation <= reach, axis=1)
    return np.where(rounding, 0.0, share)
