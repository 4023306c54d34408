"""Mean squared error of predicted costs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lpgd.pyepo._rest import rest
from lpgd.pyepo.metric import _checks


def MSE(predmodel: nn.Module, dataloader: Any) -> float:
    """The mean squared error of predicted costs over a loader of (x, c, w, z, ...)."""
    loss, total = 0.0, 0
    with _checks.evaluation(predmodel) as device, torch.no_grad():
        for x, c, *_ in dataloader:
            predicted, true = predmodel(x.to(device)), c.to(device)
            _checks.batches(predicted, true)
            loss += float(((predicted - true) ** 2).mean(dim=1).sum())
            total += len(x)
    return loss / total if total else 0.0


__getattr__ = rest(__name__)
