"""PyEPO's training operations."""

from lpgd.pyepo._rest import rest
from lpgd.pyepo.func.blackbox import DBB, NID, blackboxOpt, negativeIdentity
from lpgd.pyepo.func.cave import CaVE, coneAlignedCosine
from lpgd.pyepo.func.contrastive import CMAP, NCE, contrastiveMAP, noiseContrastiveEstimation
from lpgd.pyepo.func.perturbed import (
    AIMLE,
    DPO,
    IMLE,
    PFY,
    DPOMul,
    PFYMul,
    adaptiveImplicitMLE,
    implicitMLE,
    perturbedFenchelYoung,
    perturbedFenchelYoungMul,
    perturbedOpt,
    perturbedOptMul,
)
from lpgd.pyepo.func.rank import (
    listwiseLearningToRank,
    lsLTR,
    pairwiseLearningToRank,
    pointwiseLearningToRank,
    prLTR,
    ptLTR,
)
from lpgd.pyepo.func.regularized import (
    RFWO,
    RFY,
    regularizedFrankWolfeFenchelYoung,
    regularizedFrankWolfeOpt,
)
from lpgd.pyepo.func.surrogate import (
    PG,
    SPOPlus,
    perturbationGradient,
    smartPredictThenOptimizePlus,
)

__all__ = [
    "AIMLE", "CMAP", "DBB", "DPO", "IMLE", "NCE", "NID", "PFY", "PG", "RFWO", "RFY", "CaVE",
    "DPOMul", "PFYMul", "SPOPlus", "adaptiveImplicitMLE", "blackboxOpt", "coneAlignedCosine",
    "contrastiveMAP", "implicitMLE", "listwiseLearningToRank", "lsLTR", "negativeIdentity",
    "noiseContrastiveEstimation", "pairwiseLearningToRank", "perturbationGradient",
    "perturbedFenchelYoung", "perturbedFenchelYoungMul", "perturbedOpt", "perturbedOptMul",
    "pointwiseLearningToRank", "prLTR", "ptLTR", "regularizedFrankWolfeFenchelYoung",
    "regularizedFrankWolfeOpt", "smartPredictThenOptimizePlus",
]  # fmt: skip
__getattr__ = rest(__name__)
