"""Cone-aligned vector estimation."""

from __future__ import annotations

from typing import Any

import torch

from lpgd.losses.cone import mean_normal
from lpgd.pyepo._rest import rest
from lpgd.pyepo.func._checks import positive_int, probability
from lpgd.pyepo.func.abcmodule import optModule
from lpgd.torch.losses.base import Reduction
from lpgd.torch.losses.cave import cone_cosine, on_cones


class coneAlignedCosine(optModule):
    """CaVE (Tang and Khalil, 2024); see ``lpgd.torch.losses.CaVE``.

    ``solve_ratio`` is the share of batches that are projected; for the others a mean of the costs
    and the normals stands in ("CaVE Hybrid"), of which ``inner_ratio`` is the normals' weight.
    """

    def __init__(
        self,
        optmodel: Any,
        max_iter: int = 3,
        solve_ratio: float = 1.0,
        inner_ratio: float = 0.2,
        processes: int = 1,
        reduction: Reduction = "mean",
    ) -> None:
        positive_int(max_iter, "max_iter")
        probability(solve_ratio, "solve_ratio")
        probability(inner_ratio, "inner_ratio")
        super().__init__(optmodel, processes, reduction=reduction)
        self.max_iter, self.inner_ratio = max_iter, float(inner_ratio)
        self.solve_ratio = float(solve_ratio)

    def _chosen(self, oracle: Any) -> tuple[Any, Any]:
        return None, None  # nothing is solved but projections

    @property
    def _sign(self) -> float:
        return -self._sense

    def forward(self, pred_cost: torch.Tensor, tight_ctrs: torch.Tensor) -> torch.Tensor:
        """The loss of predicted costs (B, d), given binding normals (B, m, d); zeros pad."""
        direction = self._sign * pred_cost
        if self._branch_rng.uniform() <= self.solve_ratio:
            onto = on_cones(direction, tight_ctrs, self.max_iter)
        else:
            onto = self._between(direction.detach(), tight_ctrs)
        return self._reduce(cone_cosine(direction, onto))

    def _between(self, direction: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
        unit = torch.nn.functional.normalize(direction, dim=1, eps=1e-8)
        inside = torch.from_numpy(mean_normal(normals.detach().to("cpu", torch.float64).numpy()))
        return (1 - self.inner_ratio) * unit + self.inner_ratio * inside.to(unit)


CaVE = coneAlignedCosine
__getattr__ = rest(__name__)
