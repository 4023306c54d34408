"""Costs with noise: what a rule solves in the place of a batch, and finds again in backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from lpgd.core.errors import StructureError
from lpgd.core.options import positive, whole
from lpgd.core.params import Params, batched
from lpgd.core.rule import DRAWS, KEY, Backward, Memory, Samples, is_count
from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.core.tilt import Cotangent
from lpgd.rules.linear import COST
from lpgd.rules.noise import keyed


def perturbed(
    costs: Any, noise: Any, sigma: float, exp: Callable[[Any], Any] | None = None, keep: Any = 1.0
) -> Any:
    """Costs (..., n) with noise (..., S, n): c + sigma z, or c exp(sigma z - sigma^2 / 2).

    Both have the mean c. Written once for numpy, torch and JAX.

    Parameters
    ----------
    costs, noise : arrays
    sigma : float
    exp : callable, optional
        The framework's exponential, where the noise multiplies.
    keep : (n,) array, optional
        Zero for entries that stay as they are, of which the noise must be zero; else one.
    """
    costs = costs[..., None, :]
    if exp is None:
        return costs + sigma * noise
    return costs * exp(sigma * noise - 0.5 * sigma**2 * keep)


@dataclass(frozen=True)
class Perturbation:
    """How costs are perturbed.

    Attributes
    ----------
    sigma : float
        Size of the noise, > 0.
    samples : int
        Perturbed problems for each element, >= 1.
    noise : Noise
        Or whatever the caller draws from itself.
    fixed : tuple of int
        Entries of the costs that stay as they are.
    multiply : bool
        Whether costs are multiplied by exp(sigma z - sigma^2 / 2), which keeps their signs.
    """

    sigma: float
    samples: int
    noise: Any
    fixed: tuple[int, ...] = ()
    multiply: bool = False

    def __post_init__(self) -> None:
        positive("sigma", self.sigma)
        whole("samples", self.samples)
        fixed: Any = self.fixed
        if not (isinstance(fixed, (tuple, list)) and all(map(is_count, cast(list[Any], fixed)))):
            raise ValueError(f"fixed must hold places, ints >= 0, got {fixed!r}")

    def sample(self, params: Params, memory: Memory) -> Samples:
        """The perturbed problems of a batch, those of one element after each other."""
        costs, count = params[COST].full(), self.samples
        noise = self._drawn(params, (count, costs.shape[1]), memory) * self.keep(costs)
        exp = np.exp if self.multiply else None
        noisy = perturbed(costs, noise, self.sigma, exp, self.keep(costs))
        rows = np.repeat(np.arange(len(costs)), count)
        chosen = {name: param.take(rows) for name, param in params.items() if name != KEY}
        flat = noisy.reshape(-1, costs.shape[1]), noise.reshape(-1, costs.shape[1])
        return Samples({**chosen, COST: batched(flat[0])}, rows, {"z": flat[1]})

    def _drawn(self, params: Params, shape: tuple[int, int], memory: Memory) -> FloatArray:
        if KEY in params:
            return keyed(self.noise, params[KEY], shape)
        found: FloatArray = self.noise.draw((len(params[COST].index), *shape), memory)
        return found

    @property
    def keyed(self) -> bool:
        """See ``Rule.keyed``."""
        return set(self.noise.begin()) <= {DRAWS}

    def keep(self, costs: FloatArray) -> FloatArray:
        """One for each entry of the costs that has noise, else zero.

        Raises
        ------
        StructureError
            A fixed entry is none.
        """
        one = np.ones(costs.shape[1])
        if max(self.fixed, default=-1) >= len(one):
            raise StructureError(f"fixed={self.fixed} names more than the {len(one)} costs")
        one[list(self.fixed)] = 0
        return one


def found(cotangent: Cotangent, backward: Backward) -> tuple[Samples, Solution, IntArray]:
    """The samples, their solutions, and the rows (N, S) of the element of each cotangent."""
    assert backward.samples is not None
    samples, solved = backward.samples
    count = int((samples.rows == samples.rows[0]).sum())
    first = np.searchsorted(samples.rows, cotangent.rows)
    return samples, solved, first[:, None] + np.arange(count)
