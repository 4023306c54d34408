"""REINFORCE for any loss of a solution."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lpgd.core.errors import StructureError
from lpgd.core.options import flag, whole
from lpgd.core.public import public
from lpgd.losses.score import leave_one_out, likelihood
from lpgd.rules.perturbation import Perturbation
from lpgd.torch.losses.base import Loss, Reduction, reduced, returned, wide
from lpgd.torch.noise import GaussianNoise, noisy


@public("lpgd.torch.losses")
class ScoreFunction(Loss):
    """The expected loss of solutions of noisy costs, and its score-function gradient.

    E f(x*(c + sigma z)), with gradient E[(f - b) z] / sigma (Williams, 1992; Silvestri et al.,
    2023). f may be anything that gives a number: it is not differentiated. For a linear f it is
    ``lpgd.rules.Perturbed``.

    Parameters
    ----------
    solver : callable or Module
        An oracle, or a layer from costs to solutions.
    loss : callable
        From solutions (..., S, d) and what ``forward`` is given beside the costs to (..., S).
    sigma : float
        Size of the noise, > 0.
    samples : int
        >= 1.
    seed : int
    baseline : bool
        Whether the mean of the other samples is b.
    reduction : {"mean", "sum", "none"}
    """

    def __init__(
        self,
        solver: Callable[..., Any] | nn.Module,
        loss: Callable[..., torch.Tensor],
        sigma: float = 1.0,
        samples: int = 10,
        seed: int = 0,
        *,
        baseline: bool = True,
        reduction: Reduction = "mean",
    ) -> None:
        if not callable(loss):
            raise TypeError(f"loss must be a callable (..., S, d) -> (..., S), got {loss!r}")
        whole("seed", seed, least=0)
        flag("baseline", baseline)
        super().__init__(solver, reduction)
        self.loss, self.baseline = loss, baseline
        self.noise = GaussianNoise(seed)
        self._how = Perturbation(sigma, samples, self.noise)

    def forward(self, costs: torch.Tensor, *given: Any) -> torch.Tensor:
        """The mean loss of costs (..., d)."""
        solve, c = self._begun(None, costs)
        found = noisy(c.detach(), self._how, returned(costs))
        with torch.no_grad():
            (x,) = solve(found)
            each = self.loss(x.to(returned(costs)), *given)
            if not isinstance(each, torch.Tensor):
                raise StructureError(f"loss must return a torch.Tensor, got {type(each).__name__}")
            each = wide(each)  # counts and masks are numbers, too
            if tuple(each.shape) != tuple(x.shape[:-1]):
                raise StructureError(
                    "loss must return one number for each of the solutions, shape "
                    f"{tuple(x.shape[:-1])}, got {tuple(each.shape)}"
                )
            reward = leave_one_out(each) if self.baseline else each
        surrogate = (reward * likelihood(c, found, self._how.sigma)).mean(-1)
        return reduced(each.mean(-1) + surrogate - surrogate.detach(), self.reduction, costs)
