"""PyTorch layers, and the sparse argument ``Sparse``."""

from lpgd.core.errors import MissingExtraError

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise MissingExtraError(
        'lpgd.torch needs torch, which is not installed: pip install "lpgd[torch]"'
    ) from error

from lpgd.torch.conic import ConicLayer, ConicSolution
from lpgd.torch.cvxpy import CvxpyLayer
from lpgd.torch.envelope import EnvelopeLoss
from lpgd.torch.layers import DualSolution, LPLayer, QPLayer
from lpgd.torch.nlp import NLPLayer
from lpgd.torch.oracle import OracleLayer
from lpgd.torch.saddle import SaddleLayer, SaddlePoint
from lpgd.torch.sparse import Sparse

__all__ = [
    "ConicLayer",
    "ConicSolution",
    "CvxpyLayer",
    "DualSolution",
    "EnvelopeLoss",
    "LPLayer",
    "NLPLayer",
    "OracleLayer",
    "QPLayer",
    "SaddleLayer",
    "SaddlePoint",
    "Sparse",
]
