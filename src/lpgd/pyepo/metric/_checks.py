"""What metrics are given, refused as PyEPO refuses it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import nn

from lpgd.core.solution import FloatArray


@contextmanager
def evaluation(model: nn.Module) -> Iterator[torch.device]:
    """Evaluation mode, left as it was found; yields the device of the model."""
    training = model.training
    parameter = next(model.parameters(), None)
    model.eval()
    try:
        yield torch.device("cpu") if parameter is None else parameter.device
    finally:
        model.train(training)


def _numerical(values: Any) -> bool:
    if isinstance(values, torch.Tensor):
        return not values.is_complex() and values.dtype != torch.bool
    dtype = np.asarray(values).dtype
    return np.issubdtype(dtype, np.number) and not np.issubdtype(dtype, np.complexfloating)


def _finite(values: Any) -> bool:
    at = torch.isfinite if isinstance(values, torch.Tensor) else np.isfinite
    return bool(at(values).all())


def batches(predicted: Any, true: Any, width: int | None = None) -> None:
    """Refuse batches of costs that do not fit, or are not numbers."""
    if predicted.ndim != 2 or true.ndim != 2:
        raise ValueError("Predicted and true costs must be two-dimensional batches.")
    if predicted.shape != true.shape:
        raise ValueError("Shape of true and predicted cost batches does not match.")
    if width is not None and predicted.shape[1] != width:
        raise ValueError(f"Cost batch width must match optmodel.num_cost ({width}).")
    if not (_numerical(predicted) and _numerical(true)):
        raise ValueError("Predicted and true costs must be numerical batches.")
    if not (_finite(predicted) and _finite(true)):
        raise ValueError("Predicted and true costs must contain only finite values.")


def vectors(
    predicted: Any, true: Any, best: Any, width: int
) -> tuple[FloatArray, FloatArray, float]:
    """Costs of one instance and its optimum, if they fit."""
    first, second = np.asarray(predicted), np.asarray(true)
    if first.ndim != 1 or second.ndim != 1:
        raise ValueError("Predicted and true costs must be one-dimensional vectors.")
    if first.shape != second.shape:
        raise ValueError("Shape of true and predicted cost does not match.")
    if len(first) != width:
        raise ValueError(f"Cost vector length must match optmodel.num_cost ({width}).")
    if not (_numerical(first) and _numerical(second)):
        raise ValueError("Predicted and true costs must be numerical vectors.")
    if not (_finite(first) and _finite(second)):
        raise ValueError("Predicted and true costs must contain only finite values.")
    if not isinstance(best, Real) or isinstance(best, bool) or not math.isfinite(best):
        raise ValueError("true_obj must be a finite number.")
    return first.astype(np.float64), second.astype(np.float64), float(best)


def tolerance_of(value: Any) -> None:
    """Refuse a tolerance that is not a finite number > 0."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and float(value) > 0):
        raise ValueError("tolerance must be a finite positive number.")


def attempts(value: Any) -> None:
    """Refuse a number of attempts that is no int, or none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("max_iter must be a positive integer.")
    if value <= 0:
        raise RuntimeError("Max iterations reached in calUnambRegret.")
