"""Losses without a framework: of linear costs with a target, and those that a problem takes in."""

from lpgd.losses.envelope import envelope
from lpgd.losses.pool import contrastive_map, listwise, noise_contrastive, pairwise, pointwise
from lpgd.losses.supervised import (
    fenchel_young,
    imitation,
    perturbed_fenchel_young,
    regularised_fenchel_young,
    spo_plus,
    structured_hinge,
)

__all__ = [
    "contrastive_map",
    "envelope",
    "fenchel_young",
    "imitation",
    "listwise",
    "noise_contrastive",
    "pairwise",
    "perturbed_fenchel_young",
    "pointwise",
    "regularised_fenchel_young",
    "spo_plus",
    "structured_hinge",
]
