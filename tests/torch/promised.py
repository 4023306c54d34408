"""The layer that cvxpylayers' promises are tested on.

Ours, with its default rule; ``LPGD_PROMISES_OF=cvxpylayers`` puts cvxpylayers 1.2.0 in its place,
which shows that a promise is one that it keeps itself. There the solver is asked for more than its
default accuracy, and gradients for a method that is not off by per cents.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
import torch

PEER = os.environ.get("LPGD_PROMISES_OF") == "cvxpylayers"
if PEER:
    from cvxpylayers.torch import CvxpyLayer

    ACCURATE: dict[str, Any] = {"solver_args": {"eps": 1e-9, "max_iters": 200_000}}
    ACCURATE_GRADIENTS = {"solver_args": {**ACCURATE["solver_args"], "mode": "dense"}}
else:
    from lpgd.torch import CvxpyLayer

    ACCURATE, ACCURATE_GRADIENTS = {}, {}

TIGHT: dict[str, dict[str, Any]] = {
    cp.CLARABEL: dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-11),
    cp.SCS: {"eps": 1e-11, "max_iters": 200_000},
}


def tensor(value: Any) -> torch.Tensor:
    """A leaf of double precision."""
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


@dataclass(frozen=True)
class Model:
    """A parametrized problem with values at which it is solvable and its solution is unique."""

    problem: cp.Problem
    values: dict[cp.Parameter, np.ndarray]
    variables: Sequence[cp.Variable]
    gp: bool = False
    reference: str = cp.CLARABEL
    """Solver that CVXPY is to use; Clarabel stops at about 1e-6 on exponential and power cones."""

    def layer(self, **options: Any) -> Callable[..., tuple[torch.Tensor, ...]]:
        """The layer whose parameters are in the order of ``values``."""
        gp = {"gp": True} if self.gp else {}
        return CvxpyLayer(self.problem, list(self.values), list(self.variables), **gp, **options)

    def tensors(self) -> list[torch.Tensor]:
        """The values, as leaves."""
        return [tensor(value) for value in self.values.values()]

    def solve(self, values: Sequence[np.ndarray] | None = None) -> list[np.ndarray]:
        """What CVXPY itself answers for the variables, to about 1e-9."""
        for parameter, value in zip(
            self.values, self.values.values() if values is None else values, strict=True
        ):
            parameter.value = value
        self.problem.solve(solver=self.reference, gp=self.gp, **TIGHT[self.reference])
        return [np.array(variable.value, dtype=float) for variable in self.variables]

    def directions(self, rng: np.random.Generator) -> list[np.ndarray]:
        """A random direction of each parameter, symmetric where the parameter is."""
        drawn = []
        for parameter in self.values:
            direction = rng.normal(size=parameter.shape)
            symmetric = parameter.ndim == 2 and parameter.is_symmetric()
            drawn.append(direction + direction.T if symmetric else direction)
        return drawn

    def slopes(
        self, directions: Sequence[np.ndarray], rng: np.random.Generator, **options: Any
    ) -> tuple[float, float]:
        """Derivative of a random linear loss on the variables along ``directions``.

        By the layer, and by central differences of CVXPY's own solutions.
        """
        tensors = self.tensors()
        found = self.layer(**options)(*tensors)
        weights = [rng.normal(size=result.shape) for result in found]
        sum((torch.tensor(w) * x).sum() for w, x in zip(weights, found, strict=True)).backward()
        pairs = zip(tensors, directions, strict=True)

        def loss_at(step: float) -> float:
            values = [v + step * d for v, d in zip(self.values.values(), directions, strict=True)]
            solution = zip(weights, self.solve(values), strict=True)
            return sum(float((w.flatten() * x.flatten()).sum()) for w, x in solution)

        by_layer = sum(float((t.grad.numpy() * d).sum()) for t, d in pairs)
        return by_layer, (loss_at(1e-3) - loss_at(-1e-3)) / 2e-3
