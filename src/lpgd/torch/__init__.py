"""PyTorch layers, and the sparse argument ``Sparse``."""

from lpgd.torch.conic import ConicLayer, ConicSolution
from lpgd.torch.cvxpy import CvxpyLayer
from lpgd.torch.layers import DualSolution, LPLayer, QPLayer
from lpgd.torch.oracle import OracleLayer
from lpgd.torch.sparse import Sparse

__all__ = [
    "ConicLayer",
    "ConicSolution",
    "CvxpyLayer",
    "DualSolution",
    "LPLayer",
    "OracleLayer",
    "QPLayer",
    "Sparse",
]
