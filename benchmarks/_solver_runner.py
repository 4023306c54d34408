"""Rows that are no torch layers: loops over a plain solver, and qpax in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from _problems import Array, Instance


class DaqpLoop:
    """Set up and solve each element with daqp and nothing else, as a user without a layer would."""

    def __init__(self, instance: Instance, settings: dict[str, float] | None = None):
        import daqp

        self.daqp, self.instance, self.settings = daqp, instance, settings
        n = instance.sizes[1]
        self.P = (
            np.zeros((n, n)) if instance.P is None else instance.P
        )  # zero is how daqp takes an LP

    def forward(self) -> None:
        """Solve every element."""
        data, xs = self.instance, []
        for i in range(len(data.q)):
            model = self.daqp.Model()
            if self.settings:
                model.settings = self.settings
            model.setup(self.P, data.q[i], data.rows(i), data.h[i])
            xs.append(model.solve()[0])
        self.x = np.stack(xs)

    def backward(self) -> None:
        """Nothing: a plain loop has no gradients."""

    def answers(self) -> dict[str, Array]:
        """The solutions."""
        return {"x": self.x}


class HighsCold:
    """LPs by HiGHS, each solve and each tilted solve (lower side) from scratch."""

    def __init__(self, instance: Instance, tau: float):
        import highspy

        self.highspy, self.instance, self.tau = highspy, instance, tau

    def _solve(self, q: Array, G: Array, h: Array) -> tuple[Array, Array]:
        m, n = G.shape
        lp = self.highspy.HighsLp()
        lp.num_col_, lp.num_row_, lp.col_cost_ = n, m, q
        lp.col_lower_, lp.col_upper_ = np.full(n, -np.inf), np.full(n, np.inf)
        lp.row_lower_, lp.row_upper_ = np.full(m, -np.inf), h
        matrix = lp.a_matrix_
        matrix.format_ = self.highspy.MatrixFormat.kRowwise
        matrix.start_ = np.arange(0, m * n + 1, n, dtype=np.int32)
        matrix.index_ = np.tile(np.arange(n, dtype=np.int32), m)
        matrix.value_ = G.ravel()
        solver = self.highspy.Highs()
        solver.silent()
        solver.passModel(lp)
        solver.run()
        if solver.getModelStatus() != self.highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"HiGHS: {solver.modelStatusToString(solver.getModelStatus())}")
        solution = solver.getSolution()
        return np.array(solution.col_value), -np.array(solution.row_dual)

    def _solve_all(self, q: Array) -> tuple[Array, Array]:
        data = self.instance
        pairs = [self._solve(q[i], data.rows(i), data.h[i]) for i in range(len(q))]
        return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])

    def forward(self) -> None:
        """Solve every element."""
        self.x, self.z = self._solve_all(self.instance.q)

    def backward(self) -> None:
        """Solve every tilted element and take the difference."""
        x, z = self._solve_all(self.instance.q + self.tau * self.x)
        outer = np.einsum("bm,bn->bmn", z, x) - np.einsum("bm,bn->bmn", self.z, self.x)
        dG = outer.sum(0) if self.instance.G.ndim == 2 else outer
        self.gradients = {
            "q": (x - self.x) / self.tau,
            "G": dG / self.tau,
            "h": -(z - self.z) / self.tau,
        }

    def answers(self) -> dict[str, Array]:
        """x and the gradients."""
        return {"x": self.x, **self.gradients}


class Qpax:
    """qpax under jit and vmap, in float64.

    ``forward`` and ``backward`` are the two halves of the vjp, each under jit; ``both`` is one
    jitted call, which XLA may fuse. Compilation happens in the warm-up. Arrays live in JAX.
    """

    def __init__(
        self, instance: Instance, wanted: tuple[str, ...] = ("q", "G", "h"), **options: Any
    ):
        import jax

        jax.config.update("jax_enable_x64", val=True)
        import jax.numpy as jnp
        import qpax

        self.jax, self.wanted = jax, wanted
        _, n, _ = instance.sizes
        P, no_rows, no_right = jnp.array(instance.P), jnp.zeros((0, n)), jnp.zeros(0)
        data = {k: jnp.array(getattr(instance, k)) for k in ("q", "G", "h")}
        constants = {k: v for k, v in data.items() if k not in wanted}
        self.arguments = {k: data[k] for k in wanted}
        axes = (0, None if instance.G.ndim == 2 else 0, 0)

        def one(q, G, h):
            return qpax.solve_qp_primal(P, q, no_rows, no_right, G, h, **options)

        def solve(arguments):
            every = constants | arguments
            return jax.vmap(one, in_axes=axes)(every["q"], every["G"], every["h"])

        def step(arguments):
            x, pull_back = jax.vjp(solve, arguments)
            return x, pull_back(x)[0]

        self._forward = jax.jit(lambda arguments: jax.vjp(solve, arguments))
        self._backward = jax.jit(lambda pull_back, x: pull_back(x)[0])
        self._both: Callable = jax.jit(step)

    def forward(self) -> None:
        """Solve, keeping the residuals."""
        self.x, self.pull_back = self.jax.block_until_ready(self._forward(self.arguments))

    def backward(self) -> None:
        """Pull x back."""
        self.gradients = self.jax.block_until_ready(self._backward(self.pull_back, self.x))

    def both(self) -> None:
        """Do the two in one call."""
        self.jax.block_until_ready(self._both(self.arguments))

    def answers(self) -> dict[str, Array]:
        """x and the gradients that were asked for."""
        found = {k: np.asarray(v) for k, v in self.gradients.items()}
        return {"x": np.asarray(self.x), **found}
