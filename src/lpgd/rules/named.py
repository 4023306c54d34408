"""Earlier methods that are LPGD with certain settings, under their names."""

from __future__ import annotations

from typing import Literal

from lpgd.core.options import choice
from lpgd.rules.lpgd import LPGD


def blackbox(lam: float = 10.0) -> LPGD:
    """Differentiation of blackbox combinatorial solvers (Pogančić et al., ICLR 2020).

    LPGD, lower side, of linear costs: gradient = [x*(c + lam dx) - x*(c)] / lam.

    Parameters
    ----------
    lam : float
        Their lambda, > 0: the tau of ``lpgd.LPGD``.
    """
    return LPGD(lam, side="lower")


def direct_loss(tau: float, towards: Literal["better", "worse"] = "better") -> LPGD:
    """Direct loss minimisation (Hazan et al., NeurIPS 2010; Song et al., ICML 2016).

    LPGD, lower side ("towards better") or upper side ("away from worse"). A task loss that is
    linear on the set, as the Hamming distance <1 - 2 x_t, x> of 0/1 vectors is, arrives as the
    cotangent dx, and the loss-augmented solution is the tilted one.

    Parameters
    ----------
    tau : float
        Weight of the task loss, > 0; their epsilon.
    towards : {"better", "worse"}
    """
    choice("towards", towards, ("better", "worse"))
    return LPGD(tau, side="lower" if towards == "better" else "upper")


def implicit_perturbation(tau: float = 1e-4) -> LPGD:
    """Perturbation-based implicit differentiation (Domke, NeurIPS 2010).

    LPGD, average, with a small tau: gradient = [grad_w E(x+, w) - grad_w E(x-, w)] / (2 tau), for
    minimisers x+ and x- of the energy E plus and minus tau <dx, x>.

    Parameters
    ----------
    tau : float
        Size of the perturbation, > 0; for losses that are not linear the error is O(tau^2).
    """
    return LPGD(tau, side="average")
