"""What losses against a pool share."""

from __future__ import annotations

from typing import Any

from lpgd.pyepo._solvers import Choice
from lpgd.pyepo.func.abcmodule import optModule
from lpgd.torch.losses.base import Reduction


class PoolModule(optModule):
    """A loss against a pool of solutions that a data set begins; see ``optModule``."""

    def __init__(
        self,
        optmodel: Any,
        processes: int = 1,
        solve_ratio: float = 1.0,
        reduction: Reduction = "mean",
        dataset: Any = None,
        *,
        oracle: Choice = "auto",
    ) -> None:
        options = {"require_solpool": True, "oracle": oracle}
        super().__init__(optmodel, processes, solve_ratio, reduction, dataset, **options)
