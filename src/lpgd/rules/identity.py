"""The solver as a negative identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from lpgd.core.options import choice
from lpgd.core.problem import Problem
from lpgd.core.public import public
from lpgd.core.rule import Backward, Pullback, Rule
from lpgd.core.solution import FloatArray, Solution, Status
from lpgd.core.tilt import Cotangent
from lpgd.rules.linear import COST, pulled, refuse_curved

Projection = Literal["none", "plane", "sphere", "both"]


@public("lpgd.rules")
@final
@dataclass(frozen=True)
class Identity(Rule):
    """Backward as if x* were -c, or -c projected (Sahoo et al., ICLR 2023); nothing is solved.

    LPGD of a relaxed set with 1/2 ||x||^2 in the Lagrangian, for every tau and side where the set
    is the space or a plane, as tau -> 0 on a sphere (math page, section 6). With P the derivative
    of the projection at the costs, the gradient is -P dx.

    Parameters
    ----------
    project : {"none", "plane", "sphere", "both"}
        What is projected out of costs: their mean ("plane", where all solutions have as many
        ones), their length ("sphere", where solutions have one length), or first one and then the
        other.
    """

    project: Projection = "none"

    def __post_init__(self) -> None:
        choice("project", self.project, ("none", "plane", "sphere", "both"))

    def requires(self, problem: Problem) -> str | None:
        """None: nothing is solved."""
        refuse_curved(problem, "Identity")
        return None

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """The projected cotangent; see ``Rule.pullback``. Costs without direction have failed."""
        costs = backward.params[COST].full()[cotangent.rows]
        way = cotangent.dx
        if self.project in ("plane", "both"):
            costs, way = _centred(costs), _centred(way)
        if self.project in ("none", "plane"):
            return pulled(point, cotangent, -way)
        length = np.linalg.norm(costs, axis=1)
        failed = np.where(length > 0, Status.OPTIMAL, Status.NUMERICAL).astype(np.int8)
        unit = costs / np.where(length > 0, length, 1.0)[:, None]
        along = (unit * way).sum(axis=1, keepdims=True)
        turned = (way - along * unit) / np.where(length > 0, length, np.inf)[:, None]
        return pulled(point, cotangent, -turned, failed)


def _centred(rows: FloatArray) -> FloatArray:
    return rows - rows.mean(axis=1, keepdims=True)
