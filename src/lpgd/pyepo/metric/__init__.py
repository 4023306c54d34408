"""PyEPO's metrics."""

from lpgd.pyepo._rest import rest
from lpgd.pyepo.metric.metrics import SPOError, makeSkScorer
from lpgd.pyepo.metric.mse import MSE
from lpgd.pyepo.metric.regret import calRegret, regret
from lpgd.pyepo.metric.unambregret import calUnambRegret, unambRegret

__all__ = [
    "MSE",
    "SPOError",
    "calRegret",
    "calUnambRegret",
    "makeSkScorer",
    "regret",
    "unambRegret",
]
__getattr__ = rest(__name__)
