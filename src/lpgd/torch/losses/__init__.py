"""Losses of predicted costs, as torch modules."""

from lpgd.torch.losses.cave import CaVE
from lpgd.torch.losses.fenchel_young import (
    FenchelYoung,
    PerturbedFenchelYoung,
)
from lpgd.torch.losses.pools import ContrastiveMAP, LearningToRank, NoiseContrastive
from lpgd.torch.losses.score import ScoreFunction
from lpgd.torch.losses.supervised import (
    Imitation,
    PerturbationGradient,
    SPOPlus,
    StructuredHinge,
)

__all__ = [
    "CaVE",
    "ContrastiveMAP",
    "FenchelYoung",
    "Imitation",
    "LearningToRank",
    "NoiseContrastive",
    "PerturbationGradient",
    "PerturbedFenchelYoung",
    "SPOPlus",
    "ScoreFunction",
    "StructuredHinge",
]
