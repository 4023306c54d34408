"""One large sparse LP: the instance, the same work in raw highspy, and this library's layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import scipy.sparse

Array = np.ndarray


@dataclass(frozen=True)
class SparseLP:
    """Minimise cᵀx subject to Gx ≤ h, 0 ≤ x ≤ 1; ``cotangent`` is that of x."""

    c: Array
    G: scipy.sparse.csr_matrix
    h: Array
    cotangent: Array

    @staticmethod
    def draw(n: int, m: int, density: float, seed: int) -> SparseLP:
        """Feasible by construction: a point inside the box satisfies all rows."""
        rng = np.random.default_rng(seed)
        G = scipy.sparse.random(
            m, n, density, format="csr", random_state=rng, data_rvs=rng.standard_normal
        )
        G.sort_indices()
        h = G @ rng.uniform(size=n) + rng.uniform(0.0, 0.5, size=m)
        return SparseLP(rng.standard_normal(n), G, h, rng.standard_normal(n))

    def outer(self, z: Array, x: Array) -> Array:
        """z xᵀ on the pattern of G."""
        return np.repeat(z, np.diff(self.G.indptr)) * x[self.G.indices]


class RawHighs:
    """Forward cold, backward from the forward basis, in plain highspy: the limit."""

    def __init__(self, data: SparseLP, tau: float):
        self.data, self.tau = data, tau

    def forward(self) -> None:
        """Pass the model to a new solver and solve."""
        data = self.data
        m, n = data.G.shape
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_, lp.col_cost_ = n, m, data.c
        lp.col_lower_, lp.col_upper_ = np.zeros(n), np.ones(n)
        lp.row_lower_, lp.row_upper_ = np.full(m, -np.inf), data.h
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_, lp.a_matrix_.index_ = data.G.indptr, data.G.indices
        lp.a_matrix_.value_ = data.G.data
        self.solver = highspy.Highs()
        self.solver.silent()
        self.solver.passModel(lp)
        self.x, self.z = self._run()

    def _run(self) -> tuple[Array, Array]:
        self.solver.run()
        if self.solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError("HiGHS found no optimum")
        solution = self.solver.getSolution()
        return np.array(solution.col_value), -np.array(solution.row_dual)

    def iterations(self) -> int:
        """Simplex iterations of the last solve."""
        return self.solver.getInfo().simplex_iteration_count

    def tilted(self, t: float) -> tuple[Array, Array]:
        """Solve with cost c + t·cotangent, starting from the last basis."""
        n = len(self.data.c)
        # HiGHS looks at the basis: only costs changed, so primal simplex; dual takes twice as long
        self.solver.setOptionValue("simplex_strategy", 0)
        self.solver.changeColsCost(
            n, np.arange(n, dtype=np.int32), self.data.c + t * self.data.cotangent
        )
        return self._run()

    def backward(self) -> None:
        """Take the difference of one side."""
        self.gradients = self.difference(self.tilted(self.tau), (self.x, self.z), self.tau)

    def difference(
        self, high: tuple[Array, Array], low: tuple[Array, Array], step: float
    ) -> dict[str, Array]:
        """Gradients of c, of G on its pattern and of h."""
        outer = self.data.outer(high[1], high[0]) - self.data.outer(low[1], low[0])
        return {"c": (high[0] - low[0]) / step, "G": outer / step, "h": -(high[1] - low[1]) / step}

    def answers(self) -> dict[str, Array]:
        """x and the gradients."""
        return {"x": self.x, **self.gradients}


class Ours:
    """The layer, with G as a pattern and the tensor of its values."""

    def __init__(self, data: SparseLP, rule: Any):
        import torch

        from lpgd.torch import LPLayer, Sparse

        self.layer, self.sparse, self.pattern = LPLayer(rule, engine="highs"), Sparse, data.G
        self.data = {
            k: torch.tensor(v, requires_grad=True)
            for k, v in (("c", data.c), ("G", data.G.data), ("h", data.h))
        }
        self.cotangent = torch.tensor(data.cotangent)
        self.bounds = {
            "lb": torch.zeros(len(data.c)).double(),
            "ub": torch.ones(len(data.c)).double(),
        }

    def forward(self) -> None:
        """Solve, keeping the basis."""
        for tensor in self.data.values():
            tensor.grad = None
        G = self.sparse(self.pattern, self.data["G"])
        self.x = self.layer(self.data["c"], G=G, h=self.data["h"], **self.bounds)

    def backward(self) -> None:
        """Pull the cotangent back."""
        self.x.backward(self.cotangent)

    def answers(self) -> dict[str, Array]:
        """x and the gradients; that of G has one entry per non-zero."""
        return {"x": self.x.detach().numpy(), **{k: v.grad.numpy() for k, v in self.data.items()}}
