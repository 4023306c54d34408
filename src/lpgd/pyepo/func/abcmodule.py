"""What all operations share: a model, who solves it, a pool of solutions, a reduction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from lpgd.core.errors import SolverError, StuckWarning
from lpgd.core.rule import Rule
from lpgd.core.solution import FloatArray
from lpgd.core.warn import warn
from lpgd.losses.envelope import gradient
from lpgd.pyepo import _models, _pool, _solvers
from lpgd.pyepo._rest import rest
from lpgd.pyepo._solvers import Choice
from lpgd.pyepo.func._checks import probability
from lpgd.torch import OracleLayer
from lpgd.torch.losses.base import Reduction, reduced

STUCK = (
    "no solution moved under its tilt, so the gradient of the costs is zero and training would "
    "stall: use a larger lambd"
)


class optModule(nn.Module):
    """An operation on predicted costs that solves a PyEPO model.

    Parameters
    ----------
    optmodel : optModel
        Any of PyEPO's, or an object with its methods.
    processes : int
        For models that are solved by themselves; 0 is all cores.
    solve_ratio : float
        Share of solves that are made; the others take the best solution of the pool.
    reduction : {"mean", "sum", "none"}
    dataset : optDataset, optional
        Whose solutions begin the pool.
    require_solpool : bool
        Whether there is a pool whatever the ratio.
    seed : int, optional
        Of the choice between solver and pool.
    oracle : {"auto", "model"}
        Whether exact oracles solve the models of PyEPO that they know, or all models themselves.
    """

    def __init__(
        self,
        optmodel: Any,
        processes: int = 1,
        solve_ratio: float = 1.0,
        reduction: Reduction = "mean",
        dataset: Any = None,
        require_solpool: bool = False,
        seed: int | None = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        super().__init__()
        _models.check(optmodel)
        probability(solve_ratio, "solve_ratio")
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"No reduction '{reduction}'.")
        self.optmodel, self.processes = optmodel, _solvers.counted(processes)
        self.solve_ratio = solve_ratio
        self.reduction: Reduction = reduction
        self._branch_rng = np.random.RandomState(seed)
        pooled = solve_ratio < 1 or require_solpool
        self.solpool = _pool.initial(dataset) if pooled else None
        self._oracle, self.pool = self._chosen(oracle)
        self._dtype, self._device = torch.float32, torch.device("cpu")
        self._warned = False
        self._layer: OracleLayer | None = None

    def _chosen(self, oracle: Choice) -> tuple[Any, Any]:
        return _solvers.chosen(self.optmodel, oracle, self.processes, self)

    @property
    def _sense(self) -> float:
        return _models.sign(self.optmodel)

    def _full(self, costs: torch.Tensor) -> torch.Tensor:
        """Costs of all variables, to be minimised."""
        costs = _models.full(self.optmodel, costs)
        self._dtype, self._device = costs.dtype, costs.device
        return costs if self._sense > 0 else -costs

    def _reduce(self, loss: torch.Tensor) -> torch.Tensor:
        return reduced(loss, self.reduction)

    def _through(self, rule: Rule, costs: torch.Tensor) -> torch.Tensor:
        """Solutions of costs, differentiated by a rule; what that remembers stays."""
        return self._ruled(rule)(costs)

    def _ruled(self, rule: Rule) -> OracleLayer:
        if self._layer is None or self._layer.rule != rule:
            layer = OracleLayer(self._ask, rule)
            if self._layer is not None:
                layer._map.memory.update(self._layer._map.memory)
            self._layer = layer
        return self._layer

    def _solve(self, *costs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Minimisers of any number of costs (..., d), asked for at once; see ``lpgd.losses``."""
        flat = [cost.detach().reshape(-1, cost.shape[-1]) for cost in costs]
        every = torch.cat(flat) if len(flat) > 1 else flat[0]
        asked = every.to("cpu", torch.float64).numpy()
        if not np.isfinite(asked).all():
            raise SolverError("costs have a NaN or infinite entry")
        found = self._ask(asked)
        if not math.isfinite(found.sum()):
            raise SolverError("the model has no solution for some costs")
        x = torch.from_numpy(found).to(every.device, every.dtype)
        if len(flat) == 1:
            return (x.reshape(costs[0].shape),)
        parts = x.split([len(part) for part in flat])
        return tuple(part.reshape(cost.shape) for part, cost in zip(parts, costs, strict=True))

    def _tilted(self, costs: torch.Tensor, tau: float) -> torch.Tensor:
        """Solutions; their vector-Jacobian product is the gradient of LPGD's lower envelope.

        The loss <dx, x> is known in backward alone, so that a hook stands for the derivative.
        """
        (x,) = self._solve(costs)
        if not (costs.requires_grad and torch.is_grad_enabled()):
            return x
        through, constant = costs.view_as(costs), costs.detach()
        through.register_hook(lambda dx: self._slope(constant, dx.detach(), x, tau))
        return x + (through - through.detach())

    def _slope(
        self, costs: torch.Tensor, dx: torch.Tensor, x: torch.Tensor, tau: float
    ) -> torch.Tensor:
        fine = None
        if not math.isfinite(float(dx.sum())):  # NaN goes on, as torch's own functions do it
            fine = dx.isfinite().all(dim=1, keepdim=True)
            dx = torch.where(fine, dx, 0.0)

        def solve(hi: torch.Tensor, lo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self._solve(hi)[0], x

        slope = gradient(costs, dx, solve, tau, "lower")
        if not self._warned and not bool(slope.any()) and bool(dx.any()):
            self._warned = True
            warn(STUCK, StuckWarning)
        return slope if fine is None else torch.where(fine, slope, torch.nan)

    def _ask(self, costs: FloatArray) -> FloatArray:
        """Minimisers of costs (B, d): of the solver, or of the pool."""
        if self._branch_rng.uniform() > self.solve_ratio:
            chosen = _pool.best(
                self._pooled(), torch.from_numpy(costs).to(self._device, self._dtype)
            )
            return chosen.to("cpu", torch.float64).numpy()
        found = self._oracle(costs)
        if self.solpool is not None:
            solutions = torch.from_numpy(found).to(self._device, self._dtype)
            self.solpool = _pool.grown(self._pooled(), solutions)
        return found

    def _pooled(self) -> torch.Tensor:
        if self.solpool is None:
            raise RuntimeError("Solution pool is unavailable; provide an optDataset.")
        self.solpool = self.solpool.to(self._device, self._dtype)
        return self.solpool

    def _refresh_solution_pool(self, costs: torch.Tensor) -> torch.Tensor:
        """The pool (P, d), after the solutions of costs have come to it, if the ratio says so."""
        if self._branch_rng.uniform() <= self.solve_ratio:
            cpu = costs.detach().to("cpu", torch.float64).numpy()
            found = torch.from_numpy(self._oracle(cpu)).to(self._device, self._dtype)
            self.solpool = _pool.grown(self._pooled(), found)
        return self._pooled()


__getattr__ = rest(__name__)
