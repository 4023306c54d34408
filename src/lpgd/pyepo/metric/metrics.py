"""Regret of arrays of costs, and scorers of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from lpgd import metrics
from lpgd.pyepo import _models, _solvers
from lpgd.pyepo._rest import rest
from lpgd.pyepo._solvers import Choice
from lpgd.pyepo.metric import _checks


def SPOError(pred_cost: Any, true_cost: Any, optmodel: Any, *, oracle: Choice = "auto") -> float:
    """Normalised true regret of predicted costs (N, d), given true costs (N, d)."""
    try:
        predicted, true = np.asarray(pred_cost), np.asarray(true_cost)
    except (TypeError, ValueError) as error:
        raise ValueError("Predicted and true costs must be numerical batches.") from error
    _checks.batches(predicted, true, optmodel.num_cost)
    if not len(predicted):
        raise ValueError("Predicted and true cost batches must not be empty.")
    _models.linear(optmodel)
    sign, (solve, _) = _models.sign(optmodel), _solvers.chosen(optmodel, oracle)
    costs, truth = (
        sign * np.array([_models.full(optmodel, row) for row in part], dtype=np.float64)
        for part in (predicted, true)
    )
    best = (truth * solve(truth)).sum(axis=1)
    regrets = metrics.regret(solve(costs), truth, best)
    return metrics.normalised_regret(regrets, best + sign * _models.offset(optmodel))


def _score(y_true: Any, y_pred: Any, model_spec: Any) -> float:
    return SPOError(y_pred, y_true, model_spec.build())


def makeSkScorer(optmodel: Any) -> Any:
    """A scorer for scikit-learn: minus the normalised regret."""
    from sklearn.metrics import make_scorer

    return make_scorer(_score, greater_is_better=False, model_spec=optmodel.to_spec())


__getattr__ = rest(__name__)
