"""Noise drawn by torch, on the device and in the dtype of the costs."""

from typing import Any

import torch
from torch import nn

from lpgd.rules.perturbation import Perturbation, perturbed


class GaussianNoise(nn.Module):
    """Standard normal noise, a generator a device; their states are part of the ``state_dict``.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def like(
        self, costs: torch.Tensor, samples: int, dtype: torch.dtype | None = None
    ) -> torch.Tensor:
        """Noise (..., samples, d) for costs (..., d), drawn in a dtype: by default theirs."""
        generator = self.generator(costs.device)
        shape = (*costs.shape[:-1], samples, costs.shape[-1])
        return torch.randn(
            shape, device=costs.device, dtype=dtype or costs.dtype, generator=generator
        )

    def generator(self, device: torch.device) -> torch.Generator:
        """The generator of a device."""
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]

    def get_extra_state(self) -> dict[str, torch.Tensor]:
        """See ``torch.nn.Module``."""
        return {str(device): made.get_state() for device, made in self._generators.items()}

    def set_extra_state(self, state: Any) -> None:
        """See ``torch.nn.Module``."""
        for device, found in state.items():
            self.generator(torch.device(device)).set_state(found.cpu())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_generators": {}, "_saved": self.get_extra_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.pop("_saved")
        super().__setstate__(state)
        self.set_extra_state(saved)


def noisy(costs: torch.Tensor, how: Perturbation, dtype: torch.dtype) -> torch.Tensor:
    """Costs (..., d) with noise of a ``GaussianNoise``, drawn in a dtype: (..., S, d)."""
    assert isinstance(how.noise, GaussianNoise)
    noise = how.noise.like(costs, how.samples, dtype)
    return perturbed(costs, noise, how.sigma, torch.exp if how.multiply else None)
