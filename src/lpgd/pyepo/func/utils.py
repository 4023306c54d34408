"""The sum-of-Gamma distribution of I-MLE."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from lpgd.pyepo import _models, _solvers
from lpgd.pyepo._rest import rest
from lpgd.pyepo.func._checks import positive, positive_int


class sumGammaDistribution:
    """Sums of Gamma variables (Niepert et al., 2021), drawn as PyEPO draws them.

    Parameters
    ----------
    kappa : float
        > 0.
    n_iterations : int
        Length of the sum.
    seed : int
    """

    def __init__(self, kappa: float, n_iterations: int = 10, seed: int = 135) -> None:
        positive(kappa, "kappa")
        positive_int(n_iterations, "n_iterations")
        self.κ, self.n_iterations, self.seed = kappa, n_iterations, seed
        self.rnd = np.random.RandomState(seed)
        self._generators: dict[str, torch.Generator] = {}

    def sample(
        self,
        size: int | tuple[int, ...],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Any:
        """Draws of this shape: a tensor if a device is given, else an array."""
        if device is None:
            total: Any = 0
            for i in range(1, self.n_iterations + 1):
                total = total + self.rnd.gamma(1 / self.κ, self.κ / i, size)
            return (total - np.log(self.n_iterations)) / self.κ
        shape = size if isinstance(size, tuple) else (size,)
        alpha = torch.full((self.n_iterations, *shape), 1 / self.κ, device=device, dtype=dtype)
        drawn = torch._standard_gamma(  # pyright: ignore[reportPrivateImportUsage]
            alpha, generator=self._generator(device)
        )
        terms = torch.arange(1, self.n_iterations + 1, device=device, dtype=dtype)
        scale = (self.κ / terms).reshape(-1, *[1] * len(shape))
        return ((drawn * scale).sum(dim=0) - math.log(self.n_iterations)) / self.κ

    def _generator(self, device: torch.device | str) -> torch.Generator:
        key = str(device)
        if key not in self._generators:
            self._generators[key] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[key]


def _solve_batch(
    cp: Any, optmodel: Any, processes: int, pool: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Solutions (B, d) and objectives (B,) of costs (B, d), by whoever solves the model here."""
    costs = torch.as_tensor(cp)
    array, sign = costs.detach().to("cpu", torch.float64).numpy(), _models.sign(optmodel)
    solve = _solvers.recognised(optmodel) or _solvers.by_model(optmodel, processes, pool)
    x = solve(sign * array)
    found = x, (array * x).sum(axis=1) + _models.offset(optmodel)
    x, objectives = (torch.from_numpy(part).to(costs.device, costs.dtype) for part in found)
    return x, objectives


__getattr__ = rest(__name__)
