"""Instances of the benchmarks, and references computed without any differentiable layer.

The loss is always the sum over the batch of ½‖x‖², so the cotangent of x is x itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import daqp
import numpy as np

Array = np.ndarray
# much tighter than any row: primal in constraint units, dual in units of the multipliers
TIGHT = {"primal_tol": 1e-11, "dual_tol": 1e-12}
MARGIN = 1e-3  # least distance from degeneracy, see ``quadratic_programs``


@dataclass(frozen=True)
class Instance:
    """A batch of: minimise ½xᵀPx + qᵀx subject to Gx ≤ h (an LP where P is None).

    Shapes: P (n, n), q (B, n), G (B, m, n) or (m, n), h (B, m).
    """

    name: str
    P: Array | None
    q: Array
    G: Array
    h: Array

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Batch, variables, rows."""
        return (*self.q.shape, self.h.shape[1])

    def rows(self, i: int) -> Array:
        """G of element i."""
        return self.G if self.G.ndim == 2 else self.G[i]


References = dict[str, dict[str, Array]]


def quadratic_programs(
    name: str, sizes: tuple[int, int, int], tau: float, seed: int, *, shared: bool
) -> tuple[Instance, References]:
    """Draw G, q ~ N(0, 1), h ~ U(0.5, 1.5), P = HHᵀ/n + 0.1·I (always shared).

    Elements with a row whose slack and multiplier are both below ``MARGIN`` are drawn again (a few
    in a hundred): there the exact derivative of an interior-point peer depends on its tolerance.
    """
    batch, n, m = sizes
    rng = np.random.default_rng(seed)
    H = rng.normal(size=(n, n))
    P = H @ H.T / n + 0.1 * np.eye(n)
    G = rng.normal(size=(m, n) if shared else (batch, m, n))
    q, h = np.empty((batch, n)), np.empty((batch, m))
    x, z = np.empty((batch, n)), np.empty((batch, m))
    for i in range(batch):
        margin = 0.0
        while margin < MARGIN:
            q[i], h[i] = rng.normal(size=n), rng.uniform(0.5, 1.5, size=m)
            rows = G
            if not shared:
                G[i] = rng.normal(size=(m, n))
                rows = G[i]
            x[i], z[i] = _solve(P, q[i], rows, h[i])
            margin = np.maximum(h[i] - rows @ x[i], z[i]).min()
    instance = Instance(name, P, q, G, h)
    references = {"exact": _exact(instance, x, z)}
    plus, minus = (_solve_all(instance, q + t * x) for t in (tau, -tau))
    references["lower"] = _difference(instance, plus, (x, z), tau) | {"x": x}
    references["average"] = _difference(instance, plus, minus, 2 * tau) | {"x": x}
    return instance, references


def linear_programs(
    name: str, sizes: tuple[int, int, int], seed: int, *, shared: bool
) -> tuple[Instance, References, float]:
    """Draw LPs with a known, unique, non-degenerate vertex; also return a tau for LPGD.

    The vertex x ~ N(0, 1) and n of the m rows are chosen first; those rows are tight with
    multipliers from U(0.5, 1.5), the others have slacks from U(0.5, 1.5). Vertices whose rows have
    a condition number above 2n (two in three) are drawn again: interior-point peers lose digits of
    the derivative with its square. At half the largest tau that leaves every optimal basis alone,
    each side of LPGD is the exact derivative.
    """
    batch, n, m = sizes
    rng = np.random.default_rng(seed)
    G = rng.normal(size=(m, n) if shared else (batch, m, n))
    x, z, slack = rng.normal(size=(batch, n)), np.zeros((batch, m)), np.zeros((batch, m))
    q, h = np.empty((batch, n)), np.empty((batch, m))
    largest = np.inf
    for i in range(batch):
        rows = G if shared else G[i]
        tight = rng.permutation(m)[:n]
        while np.linalg.cond(rows[tight]) > 2 * n:
            if not shared:
                rows[:] = rng.normal(size=(m, n))  # a view of G
            tight = rng.permutation(m)[:n]
        z[i, tight] = rng.uniform(0.5, 1.5, size=n)
        slack[i] = np.where(z[i] > 0, 0.0, rng.uniform(0.5, 1.5, size=m))
        q[i], h[i] = -rows.T @ z[i], rows @ x[i] + slack[i]
        # multipliers of the tilted problem: z[tight] - t * slope
        slope = np.linalg.solve(rows[tight].T, x[i])
        largest = min(largest, float((z[i, tight] / np.abs(slope)).min()))
    instance = Instance(name, None, q, G, h)
    exact = _exact(instance, x, z)
    return instance, dict.fromkeys(("exact", "lower", "average"), exact), 0.5 * largest


def _solve(P: Array, q: Array, G: Array, h: Array) -> tuple[Array, Array]:
    model = daqp.Model()
    model.settings = TIGHT
    model.setup(P, q, G, h)
    x, _, flag, info = model.solve()
    if flag != 1:
        raise RuntimeError(f"the reference solver stopped with exit flag {flag}")
    return x, info["lam"]


def _solve_all(instance: Instance, q: Array) -> tuple[Array, Array]:
    pairs = [_solve(instance.P, q[i], instance.rows(i), instance.h[i]) for i in range(len(q))]
    return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])


def _exact(instance: Instance, x: Array, z: Array) -> dict[str, Array]:
    """Solve the adjoint optimality system of the active rows, element by element."""
    batch, n, m = instance.sizes
    dq, dG, dh = np.zeros((batch, n)), np.zeros((batch, m, n)), np.zeros((batch, m))
    P = np.zeros((n, n)) if instance.P is None else instance.P
    for i in range(batch):
        active = np.flatnonzero(z[i] > 0)
        rows, zero = instance.rows(i)[active], np.zeros((len(active), len(active)))
        system = np.block([[P, rows.T], [rows, zero]])
        solution = np.linalg.solve(system, -np.concatenate([x[i], np.zeros(len(active))]))
        a, v = solution[:n], solution[n:]
        dq[i], dh[i, active] = a, -v
        dG[i, active] = np.outer(z[i, active], a) + np.outer(v, x[i])
    if instance.P is None:
        dq[:] = 0.0  # at a vertex the solution does not move; remove the rounding error
    return {"x": x, "q": dq, "G": _sum_if_shared(instance, dG), "h": dh}


def _difference(instance: Instance, high, low, step: float) -> dict[str, Array]:
    """Difference of the Lagrangian's gradients at two saddle points, over ``step``."""
    products = [np.einsum("bm,bn->bmn", z, x) for x, z in (high, low)]
    return {
        "q": (high[0] - low[0]) / step,
        "G": _sum_if_shared(instance, (products[0] - products[1]) / step),
        "h": -(high[1] - low[1]) / step,
    }


def _sum_if_shared(instance: Instance, dG: Array) -> Array:
    return dG.sum(0) if instance.G.ndim == 2 else dG
