"""Metrics of decisions that accumulate over batches, used as those of torchmetrics are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import nn

from lpgd import metrics
from lpgd.core.errors import StructureError
from lpgd.core.options import choice, flag, number
from lpgd.core.public import public
from lpgd.torch.arguments import check_numbers


class _Metric(nn.Module):
    """A numerator and a denominator, summed over batches."""

    total: torch.Tensor
    weight: torch.Tensor

    def __init__(self, sense: Literal["min", "max"] = "min") -> None:
        super().__init__()
        choice("sense", sense, ("min", "max"))
        self.sign = 1.0 if sense == "min" else -1.0
        for name in ("total", "weight"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64), persistent=False)

    @property
    def _counts(self) -> tuple[Any, ...]:
        """The options that say what is summed."""
        return tuple(getattr(self, name, None) for name in ("sign", "normalise", "tolerance"))

    @abstractmethod
    def _sums(self, *given: np.ndarray) -> tuple[float, float]:
        """What a batch adds to the numerator and to the denominator."""

    @torch.no_grad()
    def _add(self, *given: torch.Tensor) -> tuple[float, float]:
        for name, part in zip(("solutions (or costs)", "true costs", "optima"), given, strict=True):
            check_numbers(name, part, part, "themselves")
        first, truth, best = (part.detach().to("cpu", torch.float64).numpy() for part in given)
        one = first.shape[-1:]
        if not one or truth.shape != first.shape or best.size != np.prod(first.shape[:-1]):
            raise StructureError(
                f"solutions (or costs) and true costs must have one shape, and there must be an "
                f"optimum for each; got {first.shape}, {truth.shape} and {best.shape}"
            )
        flat = best.size, *one
        sums = self._sums(first.reshape(flat), truth.reshape(flat), best.reshape(-1))
        self.total += sums[0]
        self.weight += sums[1]
        return sums

    def update(self, first: torch.Tensor, true_costs: torch.Tensor, best: torch.Tensor) -> None:
        """Add a batch: solutions (or predicted costs) and true costs (..., d), an optimum for each.

        Raises
        ------
        StructureError
            Wrong shapes.
        """
        self._add(first, true_costs, best)

    def forward(
        self, first: torch.Tensor, true_costs: torch.Tensor, best: torch.Tensor
    ) -> torch.Tensor:
        """Add a batch and return the metric of the batch alone."""
        total, weight = self._add(first, true_costs, best)
        return torch.tensor(total / weight if weight else float("nan"), dtype=torch.float64)

    def compute(self) -> torch.Tensor:
        """The metric of all batches since ``reset``; NaN without any."""
        return self.total / self.weight

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:  # noqa: FBT001, FBT002
        """Move the sums; their dtype stays, whatever the model's that holds the metric becomes.

        Sums in half precision stop growing at 256 or 2048.
        """
        sums = self.total, self.weight
        super()._apply(fn, recurse)
        for name, own in zip(("total", "weight"), sums, strict=True):
            moved = getattr(self, name)
            kept = own if own.device.type != "meta" else moved  # a meta tensor has no values
            setattr(self, name, kept.to(moved.device, torch.float64))
        return self

    def reset(self) -> None:
        """Forget all batches."""
        self.total.zero_()
        self.weight.zero_()

    def merge_state(self, other: _Metric) -> None:
        """Add what another metric of the same kind, of another process say, has seen.

        Raises
        ------
        TypeError
            It is none, or counts otherwise.
        """
        if type(other) is not type(self) or other._counts != self._counts:
            raise TypeError(
                f"the other metric must be a {type(self).__name__} with the same options, "
                f"got {other!r}"
            )
        self.total += other.total.to(self.total)
        self.weight += other.weight.to(self.weight)


@public("lpgd.torch.metrics")
class Regret(_Metric):
    """Regret of solutions: <c_t, x> - L*(c_t), its mean or its sum over that of |L*(c_t)|.

    Parameters
    ----------
    sense : {"min", "max"}
        Whether costs are minimised or values maximised.
    normalise : bool
        Whether to divide by the sum of the absolute optima (PyEPO's definition).
    """

    def __init__(self, sense: Literal["min", "max"] = "min", *, normalise: bool = True) -> None:
        super().__init__(sense)
        flag("normalise", normalise)
        self.normalise = normalise

    def _regrets(self, first: np.ndarray, truth: np.ndarray, best: np.ndarray) -> np.ndarray:
        return metrics.regret(first, self.sign * truth, self.sign * best)

    def _sums(self, *given: np.ndarray) -> tuple[float, float]:
        regrets, best = self._regrets(*given), given[-1]
        weight = np.abs(best).sum() if self.normalise else best.size
        return float(regrets.sum()), float(weight)

    def compute(self) -> torch.Tensor:
        """The metric of all batches since ``reset``; NaN without any."""
        least = metrics.LEAST if self.normalise and self.weight > 0 else 0.0
        return self.total / (self.weight + least)


@public("lpgd.torch.metrics")
class UnambiguousRegret(Regret):
    """Regret of the worst solution among those optimal for predicted costs.

    ``update`` takes predicted costs in the place of solutions; see
    ``lpgd.metrics.unambiguous_regret``.

    Parameters
    ----------
    oracle : callable
        From costs (B, d) to minimisers.
    tolerance : float
        What is a tie.
    sense, normalise
        See ``Regret``.
    """

    def __init__(
        self,
        oracle: Callable[[np.ndarray], Any],
        tolerance: float = 1e-5,
        sense: Literal["min", "max"] = "min",
        *,
        normalise: bool = True,
    ) -> None:
        super().__init__(sense, normalise=normalise)
        if not callable(oracle):
            raise TypeError(f"oracle must be a callable (B, d) -> (B, d), got {oracle!r}")
        number("tolerance", tolerance)
        self.oracle, self.tolerance = oracle, tolerance

    def _regrets(self, first: np.ndarray, truth: np.ndarray, best: np.ndarray) -> np.ndarray:
        given = self.sign * first, self.sign * truth, self.sign * best
        return metrics.unambiguous_regret(*given, self.oracle, self.tolerance)


@public("lpgd.torch.metrics")
class Optimality(_Metric):
    """The share of solutions that are optimal for the true costs.

    Parameters
    ----------
    sense : {"min", "max"}
    tolerance : float
        Of the regret, relative to 1 + |optimum|.
    """

    def __init__(self, sense: Literal["min", "max"] = "min", tolerance: float = 1e-6) -> None:
        super().__init__(sense)
        number("tolerance", tolerance)
        self.tolerance = tolerance

    def _sums(self, *given: np.ndarray) -> tuple[float, float]:
        solutions, truth, best = given
        regrets = metrics.regret(solutions, self.sign * truth, self.sign * best)
        return float(metrics.optimal(regrets, best, self.tolerance).sum()), float(best.size)


__all__ = ["Optimality", "Regret", "UnambiguousRegret"]
