"""PyEPO's generators and data sets."""

from lpgd.pyepo._rest import rest
from lpgd.pyepo.data import dataset, knapsack, portfolio, shortestpath, tsp

__all__ = ["dataset", "knapsack", "portfolio", "shortestpath", "tsp"]
__getattr__ = rest(__name__)
