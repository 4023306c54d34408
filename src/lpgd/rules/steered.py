"""A tau that training steers by the share of elements that move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.core.errors import EngineError
from lpgd.core.options import number, positive
from lpgd.core.problem import Ability, Problem
from lpgd.core.public import public
from lpgd.core.rule import Backward, Memory, Pullback, Rule
from lpgd.core.solution import Solution
from lpgd.core.tilt import Cotangent
from lpgd.rules.ends import Side, Tilting, untilted
from lpgd.rules.linear import refuse_curved
from lpgd.rules.lpgd import LPGD
from lpgd.rules.vertices import vertices

LEAST, FIRST = 1e-3, 0.5  # alpha
# An upper end tilted by more than the costs turns them round; a lower one only outweighs them.
MOST: dict[Side, float] = {"average": 1.0, "upper": 1.0, "lower": 256.0}


@public("lpgd.rules")
@final
@dataclass(frozen=True)
class AdaptiveLPGD(Rule):
    """LPGD of an oracle's costs with tau = alpha ||c|| / ||dx||, alpha steered in training.

    Each element is tilted by alpha times its own costs, once. Each backward pass then multiplies
    alpha, 0.5 at first, by exp(step (share - moved)), ``moved`` the share of elements whose two
    ends differ, so that there is a gradient. It stays between 1e-3 and 1, or 256 for the lower side
    alone. The tilt so follows batch and history; alpha and the last ``moved`` are in a layer's
    ``state_dict``. As with ``LPGD(tau="auto")``, the part of the gradient along the costs is left
    out (docs/tau.md).

    Parameters
    ----------
    share : float
        Elements that are to move, between 0 and 1.
    step : float
        How fast alpha follows, > 0.
    side : {"average", "lower", "upper"}
    retries : int
        See ``lpgd.LPGD``.
    """

    share: float = 0.75
    step: float = 0.1
    side: Side = "average"
    retries: int = 3

    def __post_init__(self) -> None:
        LPGD(side=self.side, retries=self.retries)
        number("share", self.share, below=1.0)
        positive("share", self.share)
        positive("step", self.step)

    def requires(self, problem: Problem) -> str:
        """Family of the tilted problem."""
        refuse_curved(problem, "AdaptiveLPGD")
        if Ability.ADJOINT in problem.abilities:
            raise EngineError(
                "AdaptiveLPGD is a rule for oracles, which have no data but costs; use lpgd.LPGD()"
            )
        return problem.family

    def needs(self, problem: Problem) -> frozenset[Ability]:
        """Sizes of the costs."""
        return frozenset({Ability.SIZES})

    def begin(self) -> Memory:
        """alpha, and the share that moved last."""
        return {"alpha": np.full(1, FIRST), "moved": np.full(1, self.share)}

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """The difference of this batch's ends; then alpha is steered."""
        memory, tilt = backward.memory, untilted(point, cotangent, 0.0)
        tilting = Tilting(point, tilt, backward, self.side, self.retries, fallback=False)
        pulled = vertices(tilting, (float(memory["alpha"][0]),))
        hi, lo = (term.point.x for term in pulled.terms[:2])
        memory["moved"] = np.array([(hi != lo).any(axis=1).mean()])
        steered = memory["alpha"] * np.exp(self.step * (self.share - memory["moved"]))
        memory["alpha"] = steered.clip(LEAST, MOST[self.side])
        return pulled
