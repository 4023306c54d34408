"""Programs that engines find hard, each for a reason of its own."""

from collections.abc import Callable, Iterator

import numpy as np

from lpgd.core.params import Param, Params, batched, shared
from lpgd.core.problem import Problem
from lpgd.core.solution import FloatArray, Solution
from lpgd.families.qp.qp import QP
from lpgd.testing.planting import Program

OWNERS = {"b": "A", "h": "G"}  # matrix of each right-hand side
BOUNDS = ("lb", "ub")
LINE = 64  # bytes of a line of the cache
HOSTILE = (1e200, 1e-310, -1e155, 5e-324)


def troubled(*, quadratic: bool) -> tuple[Problem, Params]:
    """Four elements in two variables: solvable, infeasible, unbounded, solvable."""
    problem = QP.of({"G": 2, **({"P": 2} if quadratic else {})}, 2, {})
    params: dict[str, Param] = {
        "q": batched(np.array([[1.0, 0.5], [1.0, 0.5], [-1.0, -0.5], [2.0, 1.0]])),
        "G": batched(
            np.array([[[-1.0, 0.0], [0.0, -1.0]], [[1.0, 0.0], [-1.0, 0.0]]])[[0, 1, 0, 0]]
        ),
        "h": batched(np.array([[0.0, 0.0], [-1.0, -1.0], [0.0, 0.0], [1.0, 2.0]])),
    }
    if quadratic:  # curved in the first variable alone
        params["P"] = shared(np.diag([1.0, 0.0]), 4)
    return problem, params


def long(*, quadratic: bool) -> tuple[Problem, Params]:
    """Two elements that take more than a few steps."""
    rng, n = np.random.default_rng(0), 150
    problem = QP.of({"G": 3 * n, **({"P": n} if quadratic else {})}, n, {})
    box = np.concatenate([np.eye(n), -np.eye(n)])
    params: dict[str, Param] = {
        "q": batched(rng.normal(size=(2, n))),
        "G": shared(np.concatenate([rng.normal(size=(n, n)), box]), 2),
        "h": shared(np.ones(3 * n), 2),
    }
    if quadratic:
        params["P"] = shared(0.1 * np.eye(n), 2)
    return problem, params


def scaled(case: Program, rng: np.random.Generator, most: int = 40) -> Program:
    """The program in other units: costs, rows, and x times powers of two up to 2^most."""
    problem = case.problem
    cost, point = rng.integers(-most, most + 1, 2)
    sizes = {name: block.stop - block.start for name, block in problem.blocks.items()}
    rows = {k: rng.integers(-most, most + 1, sizes[k]) for k in sizes if k not in BOUNDS}
    powers = {"P": cost, "q": cost + point, "lb": point, "ub": point}
    for side, name in OWNERS.items():
        if name in rows:
            pattern = problem.patterns.get(name)
            powers[name] = rows[name][:, None] if pattern is None else rows[name][pattern.rows]
            powers[side] = rows[name] + point
    params = {k: Param(np.ldexp(p.values, powers[k]), p.index) for k, p in case.params.items()}
    x, y = np.ldexp(case.solution.x, point), np.ldexp(case.solution.y, cost + point)
    for name, power in rows.items():
        y[:, problem.blocks[name]] = np.ldexp(y[:, problem.blocks[name]], -power)
    return Program(problem, params, Solution(x, y, case.solution.status))


def relaid(params: Params) -> Iterator[Params]:
    """The same values elsewhere in memory: strided, at other alignments, in another order."""
    for way in (_strided, _at(0), _at(8), _at(40)):
        yield {name: Param(way(param.values), param.index) for name, param in params.items()}
    yield {name: _reordered(param) for name, param in params.items()}


def _strided(values: FloatArray) -> FloatArray:
    return np.repeat(np.repeat(values, 2, axis=0), 3, axis=-1)[::2, ..., ::3]


def _at(offset: int) -> Callable[[FloatArray], FloatArray]:
    """Copies so many bytes after a multiple of ``LINE``: kernels may treat their ends apart."""

    def copied(values: FloatArray) -> FloatArray:
        room = np.empty(values.nbytes + 2 * LINE, dtype=np.uint8)
        start = -room.ctypes.data % LINE + offset
        found = room[start : start + values.nbytes].view(np.float64).reshape(values.shape)
        found[...] = values
        return found

    return copied


def _reordered(param: Param) -> Param:
    return Param(param.values[::-1].copy(), len(param.values) - 1 - param.index)


def hostile(case: Program) -> Iterator[Params]:
    """Batches whose second element holds a value that no solver likes."""
    full = {name: param.full() for name, param in case.params.items()}
    for name in full:
        for value in HOSTILE:
            values = {k: v.copy() for k, v in full.items()}
            values[name][1].flat[0] = abs(value) if name == "P" else value
            yield {k: batched(v) for k, v in values.items()}
