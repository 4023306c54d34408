"""What a PyEPO model says of its problem; anything with its methods will do."""

from __future__ import annotations

from typing import Any

MINIMIZE, MAXIMIZE = 1, -1


def check(model: Any) -> None:
    """Refuse what is no model, has no sense, or an objective that is not linear.

    Raises
    ------
    TypeError, ValueError
    """
    if not (callable(getattr(model, "setObj", None)) and callable(getattr(model, "solve", None))):
        raise TypeError("arg model is not an optModel")
    linear(model)
    sign(model)


def linear(model: Any) -> None:
    """Refuse a quadratic objective.

    Raises
    ------
    ValueError
    """
    if getattr(getattr(model, "problem", None), "obj_Q", None) is not None:
        raise ValueError(
            "the model has a quadratic objective; training methods and regret metrics need "
            "a linear objective"
        )


def sign(model: Any) -> float:
    """1 for a model that minimises, -1 for one that maximises.

    Raises
    ------
    ValueError
    """
    if model.modelSense not in (MINIMIZE, MAXIMIZE):
        raise ValueError("Invalid modelSense. Must be EPO.MINIMIZE or EPO.MAXIMIZE.")
    return float(model.modelSense)


def full(model: Any, costs: Any) -> Any:
    """Costs of all variables, where a model predicts some only."""
    lift = getattr(model, "_fullCost", None)
    return costs if lift is None else lift(costs)


def offset(model: Any) -> float:
    """The constant of the objective."""
    problem = getattr(model, "problem", None)
    return 0.0 if problem is None else float(problem.obj_offset)


def fixed(model: Any, width: int) -> tuple[int, ...]:
    """Variables whose costs are not predicted, of ``width``."""
    index = getattr(model, "c_pred_index", None)
    return () if index is None else tuple(sorted(set(range(width)) - {int(i) for i in index}))


def pose(model: Any, costs: Any) -> None:
    """Set the costs of all variables."""
    getattr(model, "_setFullObj", model.setObj)(costs)
