"""LPs for the tests of the HiGHS engine, and what an optimal solution is."""

import numpy as np
from scipy import sparse

from lpgd.core.params import Params, batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Tilt
from lpgd.families.qp.qp import QP


def lp(patterns: dict[str, Pattern] | None = None, **data: np.ndarray) -> tuple[QP, Params]:
    """A batch of LPs from arrays with a batch axis, ``q`` among them."""
    patterns = patterns or {}
    n = data["q"].shape[1]
    heights = {"A": "b", "G": "h", "lb": "lb", "ub": "ub"}
    sizes = {k: data[rhs].shape[1] for k, rhs in heights.items() if rhs in data}
    return QP.of(sizes, n, patterns), {k: batched(np.asarray(v, float)) for k, v in data.items()}


def random_lp(seed: int, groups: str, n: int = 6, batch: int = 3) -> dict[str, np.ndarray]:
    """Feasible and bounded LPs: a primal point and multipliers are chosen first."""
    rng = np.random.default_rng(seed)
    x, q = rng.standard_normal((batch, n)), np.zeros((batch, n))
    data: dict[str, np.ndarray] = {}
    if "A" in groups:
        data["A"] = rng.standard_normal((batch, 2, n))
        data["b"] = np.einsum("bij,bj->bi", data["A"], x)
        q -= np.einsum("bij,bi->bj", data["A"], rng.standard_normal((batch, 2)))
    if "G" in groups:
        data["G"] = rng.standard_normal((batch, n + 2, n))
        data["h"] = np.einsum("bij,bj->bi", data["G"], x) + rng.uniform(0, 1, (batch, n + 2))
        z = rng.uniform(0, 1, (batch, n + 2))
        open_ = rng.uniform(size=z.shape) < 0.2
        data["h"][open_], z[open_] = np.inf, 0
        q -= np.einsum("bij,bi->bj", data["G"], z)
    for name, side in (("lb", -1), ("ub", 1)):
        if name in groups:
            load = rng.uniform(0, 1, (batch, n)) * (rng.uniform(size=(batch, n)) < 0.7)
            data[name] = np.where(load > 0, x + side * rng.uniform(0, 1, (batch, n)), side * np.inf)
            q -= side * load
    return data | {"q": q}


def transport(ties: bool = True) -> tuple[QP, Params]:
    """Transport problems with many optimal solutions and degenerate bases, sparse, shared A."""
    rng = np.random.default_rng(5)
    k, batch = 6, 16
    A = sparse.vstack(
        [sparse.kron(sparse.eye(k), np.ones((1, k))), sparse.kron(np.ones((1, k)), sparse.eye(k))]
    ).tocoo()
    pattern = Pattern(A.row.astype(np.intp), A.col.astype(np.intp), A.shape)
    costs = rng.integers(0, 3, (batch, k * k)).astype(float)
    problem = QP.of({"A": 2 * k, "lb": k * k}, k * k, {"A": pattern})
    params = {
        "q": batched(costs if ties else costs + rng.uniform(size=costs.shape)),
        "A": shared(A.data, batch),
        "b": shared(np.ones(2 * k), batch),
        "lb": shared(np.zeros(k * k), batch),
    }
    return problem, params


def tilt_of(problem: QP, solution: Solution, t: float = 0.7, duals: float = 0.0) -> Tilt:
    rng = np.random.default_rng(8)
    size = len(solution)
    dx = rng.integers(-2, 3, (size, problem.n)).astype(float)
    dy = duals * rng.uniform(-1, 1, (size, problem.m))
    return Tilt(np.arange(size), np.full(size, t), dx, dy, np.zeros(size), solution.x)


def take(params: Params, rows: np.ndarray) -> Params:
    return {k: p.take(rows) for k, p in params.items()}


def same(a: Solution, b: Solution) -> bool:
    """Bitwise."""
    return all(np.array_equal(u, v) for u, v in ((a.x, b.x), (a.y, b.y), (a.status, b.status)))


def assert_optimal(problem: QP, params: Params, solution: Solution, tol: float = 1e-7) -> None:
    """Our signed optimality conditions, and a duality gap of zero."""
    assert (solution.status == Status.OPTIMAL).all()
    data = {k: p.full() for k, p in params.items()}
    x, y = solution.x, {k: solution.y[:, s] for k, s in problem.blocks.items()}
    slope, dual = data["q"].copy(), np.zeros(len(x))
    for name, rhs in (("A", "b"), ("G", "h")):
        if name in y:
            gap = np.einsum("bij,bj->bi", data[name], x) - data[rhs]
            assert (np.abs(gap) if name == "A" else gap).max(initial=0) < tol
            slope += np.einsum("bij,bi->bj", data[name], y[name])
            dual -= (np.where(y[name] == 0, 0, data[rhs]) * y[name]).sum(axis=1)
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        if name in y:
            assert (sign * (x - data[name]) <= 0).all()
            slope += sign * y[name]
            dual -= sign * (np.where(y[name] == 0, 0, data[name]) * y[name]).sum(axis=1)
    for name in y.keys() - {"A"}:
        assert (y[name] >= 0).all()
    assert np.abs(slope).max() < tol
    np.testing.assert_allclose((data["q"] * x).sum(axis=1), dual, atol=1e-6, rtol=1e-6)
