"""Unambiguous regret: that of the worst among tied solutions."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import nn

from lpgd import metrics
from lpgd.core.solution import FloatArray
from lpgd.pyepo import _models, _solvers
from lpgd.pyepo._rest import rest
from lpgd.pyepo.metric import _checks

logger = logging.getLogger(__name__)
LOOSE = 1e-2  # by how much a tie may exceed the optimum, whole numbers being compared


def unambRegret(
    predmodel: nn.Module,
    optmodel: Any,
    dataloader: Any,
    tolerance: float = 1e-5,
    max_iter: int = 10,
) -> float:
    """Normalised unambiguous regret of predictions over a loader of (x, c, w, z, ...)."""
    _checks.tolerance_of(tolerance)
    _checks.attempts(max_iter)
    _models.linear(optmodel)
    regrets, best = list[float](), [np.zeros(0)]
    with _checks.evaluation(predmodel) as device:
        for x, c, _, z, *_ in dataloader:
            with torch.no_grad():
                predicted = predmodel(x.to(device)).cpu().numpy()
            true, optima = c.cpu().numpy(), z.cpu().numpy().reshape(-1)
            _checks.batches(predicted, true, optmodel.num_cost)
            for p, t, o in zip(predicted, true, optima, strict=True):
                regrets.append(calUnambRegret(optmodel, p, t, float(o), tolerance, max_iter))
            best.append(optima)
    return metrics.normalised_regret(regrets, np.concatenate(best))


def calUnambRegret(
    optmodel: Any,
    pred_cost: Any,
    true_cost: Any,
    true_obj: float,
    tolerance: float = 1e-5,
    max_iter: int = 10,
) -> float:
    """Unambiguous regret of one instance.

    Predicted costs are rounded to multiples of the tolerance; a row of the model keeps solutions
    that are not worse than the best, of which the worst for the true costs is found. Where that
    fails, the tolerance is ten times as large, ``max_iter`` times in all.
    """
    _checks.tolerance_of(tolerance)
    _checks.attempts(max_iter)
    p, t, best = _checks.vectors(pred_cost, true_cost, true_obj, optmodel.num_cost)
    _models.linear(optmodel)
    sign, truth = _models.sign(optmodel), np.asarray(_models.full(optmodel, t))
    for attempt in range(max_iter):
        rounded = np.around(np.asarray(_models.full(optmodel, p)) / (tolerance * 10**attempt))
        x, _ = _solvers.one(optmodel, rounded)
        tied = optmodel.addConstr(sign * rounded, np.ceil(sign * (rounded @ x)) + LOOSE)
        worst = _worst(tied, truth)
        if worst is not None:
            optimum = sign * (best - _models.offset(optmodel))
            return float(metrics.regret(worst, sign * truth, optimum))
    raise RuntimeError("Max iterations reached in calUnambRegret.")


def _worst(tied: Any, truth: FloatArray) -> FloatArray | None:
    try:
        return _solvers.one(tied, -truth)[0]
    except Exception as error:
        logger.warning("calUnambRegret: %s: %s", type(error).__name__, error)
        return None


__getattr__ = rest(__name__)
