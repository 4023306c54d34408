"""PyTorch layers: ``QPLayer``, ``LPLayer`` and the sparse argument ``Sparse``."""

from lpgd.torch.layers import DualSolution, LPLayer, QPLayer
from lpgd.torch.sparse import Sparse

__all__ = ["DualSolution", "LPLayer", "QPLayer", "Sparse"]
