"""f and c of a nonlinear program as functions of torch tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.func import grad, jacrev

from lpgd.core.errors import StructureError
from lpgd.core.solution import FloatArray
from lpgd.families.lagrangian.constrained import Data
from lpgd.frontend.trees import Tree
from lpgd.torch.autodiff import scalar, tensor


@dataclass(frozen=True, eq=False)
class TorchFunctions:
    """``Functions`` of f(x, *params), h(x, *params) and g(x, *params); the latter may be None.

    Attributes
    ----------
    params : Tree
        Of the tuple of parameters.
    names : tuple of str
        The problem's names of their leaves.
    """

    f: Callable[..., Any]
    h: Callable[..., Any] | None
    g: Callable[..., Any] | None
    params: Tree
    names: tuple[str, ...]

    def rows(self, x: torch.Tensor, params: Any) -> torch.Tensor:
        """c = (h, g)."""
        parts = [x[:0], *(part(x, *params).reshape(-1) for part in (self.h, self.g) if part)]
        return torch.cat(parts)

    def lagrangian(self, x: torch.Tensor, y: torch.Tensor, *params: Any) -> torch.Tensor:
        """f + y'c."""
        return self._cost(x, params) + (y * self.rows(x, params)).sum()

    def objective(self, data: Data, x: FloatArray) -> float:
        with torch.no_grad():
            return float(self._cost(tensor(x), self._built(data)))

    def slope(self, data: Data, x: FloatArray) -> FloatArray:
        params = self._built(data)
        return _array(grad(lambda at: self._cost(at, params))(tensor(x)))

    def constraints(self, data: Data, x: FloatArray) -> FloatArray:
        with torch.no_grad():
            return _array(self.rows(tensor(x), self._built(data)))

    def jacobian(self, data: Data, x: FloatArray) -> FloatArray:
        params = self._built(data)
        if not (self.g or self.h):
            return np.zeros((0, len(x)))
        return _array(jacrev(lambda at: self.rows(at, params))(tensor(x)))

    def hessian(self, data: Data, x: FloatArray, y: FloatArray, weight: float) -> FloatArray:
        params, load = self._built(data), tensor(y)

        def weighted(at: torch.Tensor) -> torch.Tensor:
            rows = (load * self.rows(at, params)).sum()
            return weight * self._cost(at, params) + rows

        return _array(jacrev(grad(weighted))(tensor(x)))

    def _cost(self, x: torch.Tensor, params: Any) -> torch.Tensor:
        # one of our own errors, which is no fault of an element
        return scalar("f", self.f(x, *params), StructureError)

    def _built(self, data: Data) -> Any:
        return self.params.build([tensor(data[name]) for name in self.names])


def _array(found: torch.Tensor) -> FloatArray:
    return found.detach().numpy()
