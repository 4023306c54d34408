"""Parameters whose declared sign makes a problem convex: other values of them are no data."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

SIGNS = {"nonneg": 1, "pos": 1, "nonpos": -1, "neg": -1}


def decisive(problem: Any, parameters: Sequence[Any]) -> dict[int, int]:
    """The signs (1 or -1) of parameters without which a problem is not DPP, by their ids.

    The limit of a norm may as well be negative: nothing is feasible then. Its weight may not.
    """
    signed = [p for p in parameters if _sign(p)]
    if not signed or _convex(problem, signed):
        return {}
    return {p.id: _sign(p) for p in signed if not _convex(problem, [p])}


def _sign(parameter: Any) -> int:
    return next((sign for name, sign in SIGNS.items() if parameter.attributes[name]), 0)


def _rest(parameter: Any) -> dict[str, Any]:
    return {k: v for k, v in parameter.attributes.items() if v and k not in SIGNS}


def _convex(problem: Any, parameters: Sequence[Any]) -> bool:
    """Whether the problem is DPP whatever the signs of these parameters."""
    cp: Any = import_module("cvxpy")
    others = {id(p): cp.Parameter(p.shape, **_rest(p)) for p in parameters}
    parts = (part.tree_copy(others) for part in (problem.objective, *problem.constraints))
    objective, *constraints = parts
    return bool(cp.Problem(objective, constraints).is_dpp(quad_form_dpp="qp"))
