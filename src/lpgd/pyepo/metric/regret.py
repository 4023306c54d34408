"""True regret of a predictor, and of one instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from lpgd import metrics
from lpgd.core.solution import FloatArray
from lpgd.pyepo import _models, _solvers
from lpgd.pyepo._rest import rest
from lpgd.pyepo._solvers import Choice
from lpgd.pyepo.metric import _checks


def regret(
    predmodel: nn.Module | Callable[..., Any],
    optmodel: Any,
    dataloader: Any,
    processes: int = 1,
    reduction: str = "normalized",
    *,
    oracle: Choice = "auto",
) -> Any:
    """True regret of predictions over a loader of (x, c, w, z, ...).

    Parameters
    ----------
    predmodel : Module, or callable from arrays to arrays
    optmodel : optModel
    dataloader : iterable
    processes : int
        For models that are solved by themselves; 0 is all cores.
    reduction : {"normalized", "sum", "mean", "none"}
        "normalized" divides the sum by that of the absolute optima.
    oracle : {"auto", "model"}
        See ``lpgd.pyepo.func.abcmodule.optModule``.

    Returns
    -------
    float, or (N,) with "none"
    """
    if reduction not in ("normalized", "sum", "mean", "none"):
        raise ValueError(f"Invalid reduction '{reduction}'.")
    _models.linear(optmodel)
    processes = _solvers.counted(processes)
    solve, pool = None, None
    losses, best = [np.zeros(0)], [np.zeros(0)]
    try:
        for predicted, c, z in _predictions(predmodel, dataloader):
            _checks.batches(predicted, c, optmodel.num_cost)
            if solve is None:
                solve, pool = _solvers.chosen(optmodel, oracle, processes)
            values = _regrets(optmodel, solve, predicted, c, z)
            losses.append(values)
            best.append(z)
    finally:
        if pool is not None:
            _close(pool)
    loss, optima = np.concatenate(losses), np.concatenate(best)
    if reduction == "normalized":
        return metrics.normalised_regret(loss, optima)
    if reduction == "none":
        return loss
    return float(loss.sum() if reduction == "sum" else loss.mean() if len(loss) else 0.0)


def _predictions(predmodel: Any, dataloader: Any) -> Iterator[tuple[Any, Any, FloatArray]]:
    """Predicted costs, true costs and optima of each batch."""
    module = isinstance(predmodel, nn.Module)
    with _checks.evaluation(predmodel) if module else nullcontext(torch.device("cpu")) as device:
        for x, c, _, z, *_ in dataloader:
            if module:
                with torch.no_grad():
                    predicted = predmodel(x.to(device)).cpu()
            else:
                predicted = torch.as_tensor(np.array(predmodel(x.numpy()), dtype=np.float32))
            yield predicted, c.cpu(), z.detach().cpu().to(torch.float64).numpy().reshape(-1)


def _regrets(
    optmodel: Any, solve: _solvers.Oracle, predicted: Any, c: Any, best: FloatArray
) -> FloatArray:
    sign = _models.sign(optmodel)
    costs, truth = (
        _models.full(optmodel, part.detach()).to(torch.float64).numpy() for part in (predicted, c)
    )
    optimum = sign * (best - _models.offset(optmodel))
    return metrics.regret(solve(sign * costs), sign * truth, optimum)


def _close(pool: Any) -> None:
    pool.close()
    pool.join()
    pool.clear()


def calRegret(
    optmodel: Any, pred_cost: Any, true_cost: Any, true_obj: float, *, oracle: Choice = "auto"
) -> float:
    """True regret of one instance: costs (d,) and the true optimum."""
    given = _checks.vectors(pred_cost, true_cost, true_obj, optmodel.num_cost)
    _models.linear(optmodel)
    costs, truth = (torch.from_numpy(part)[None] for part in given[:2])
    solve, _ = _solvers.chosen(optmodel, oracle)
    return float(_regrets(optmodel, solve, costs, truth, np.array([given[2]]))[0])


__getattr__ = rest(__name__)
