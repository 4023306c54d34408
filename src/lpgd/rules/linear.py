"""What rules for linear costs share: whether a problem has them, and a gradient of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lpgd.core.errors import EngineError
from lpgd.core.problem import Problem
from lpgd.core.rule import Pullback
from lpgd.core.solution import FloatArray, Solution, Status, StatusArray
from lpgd.core.tilt import Cotangent, Term, Tilt

COST = "q"  # linear costs are called so in all families


def refuse_curved(problem: Problem, rule: str) -> None:
    """Refuse problems whose objective is more than <c, x>, or has variables of its own.

    Raises
    ------
    EngineError
    """
    if not getattr(problem, "linear", False) or problem.own is not None:
        raise EngineError(
            f"{rule} is a rule for linear costs over a set (OracleLayer, LPLayer); this problem is "
            "another one. Use lpgd.LPGD() or lpgd.Exact()"
        )


def pulled(
    point: Solution, cotangent: Cotangent, gradient: FloatArray, failed: StatusArray | None = None
) -> Pullback:
    """A pullback whose gradient of the costs is ``gradient`` (N, n), and that of all else zero."""
    zero, one = np.zeros(len(point)), np.ones(len(point))
    if failed is None:
        failed = np.full(len(point), Status.OPTIMAL, dtype=np.int8)
    tilt = Tilt(cotangent.rows, zero, cotangent.dx, cotangent.dy, zero, point.x)
    at = replace(point, x=gradient, y=np.zeros_like(point.y))
    return Pullback([Term(np.where(failed == Status.OPTIMAL, one, zero), at, tilt)], failed)
