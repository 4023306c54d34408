"""Derivatives of a user's Lagrangian, many points at once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch.func import grad, jacrev, vmap

from lpgd.core.errors import StructureError
from lpgd.core.params import Param, Params
from lpgd.core.solution import FloatArray
from lpgd.families.lagrangian.model import Curvature, blocks
from lpgd.frontend.trees import Layout, Tree

Vectors = tuple[FloatArray, FloatArray]


def tensor(array: FloatArray) -> torch.Tensor:
    """A tensor of its own, float64."""
    return torch.from_numpy(np.array(array, np.float64))


@dataclass(frozen=True, eq=False)
class Autodiff:
    """A ``Model`` of a function of torch tensors.

    Attributes
    ----------
    function : callable
        L(x, y, *params), trees of one element each, to a scalar.
    x, y : Layout
    params : Tree
        Of the tuple of parameters.
    names : tuple of str
        The problem's names of their leaves.
    """

    function: Callable[..., Any]
    x: Layout
    y: Layout
    params: Tree
    names: tuple[str, ...]

    def value(self, params: Params, x: FloatArray, y: FloatArray) -> FloatArray:
        if not len(x):
            return np.zeros(0)
        with torch.no_grad():
            return self._each(self._lagrangian, params, (x, y)).numpy()

    def slopes(self, params: Params, x: FloatArray, y: FloatArray) -> Vectors:
        if not len(x):
            return x, y
        found = self._each(grad(self._lagrangian), params, (x, y)).detach().numpy()
        n = self.x.size
        return np.ascontiguousarray(found[:, :n]), np.ascontiguousarray(found[:, n:])

    def curvature(self, params: Params, x: FloatArray, y: FloatArray) -> Curvature:
        if not len(x):
            return blocks(np.zeros((0, *2 * (self.x.size + self.y.size,))), self.x.size)
        found = self._each(jacrev(grad(self._lagrangian)), params, (x, y)).detach().numpy()
        return blocks(found, self.x.size)

    def gradient(
        self, params: Params, point: Vectors, weight: FloatArray, wanted: Iterable[str]
    ) -> dict[str, FloatArray]:
        with torch.enable_grad():
            leaves = {name: tensor(params[name].values).requires_grad_() for name in wanted}
            values = self._each(self._lagrangian, params, point, leaves)
            if not values.requires_grad:  # none of them enters
                return {name: np.zeros(leaf.shape) for name, leaf in leaves.items()}
            refuse_strangers(values, leaves.values())
            total = (tensor(weight) * values).sum()
            found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
        pairs = zip(leaves.items(), found, strict=True)
        return {k: np.zeros(v.shape) if g is None else g.numpy() for (k, v), g in pairs}

    def _lagrangian(self, z: torch.Tensor, *leaves: torch.Tensor) -> torch.Tensor:
        x, y = self.x.split(z[: self.x.size]), self.y.split(z[self.x.size :])
        return scalar("lagrangian", self.function(x, y, *self.params.build(leaves)))

    def _each(
        self,
        function: Callable[..., Any],
        params: Params,
        point: Vectors,
        leaves: dict[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Values of a function of (z, *parameters) at every point."""
        z = torch.from_numpy(np.concatenate(point, axis=1))
        data, dims = list[torch.Tensor](), list[int | None]()
        for name in self.names:
            own = leaves[name] if leaves and name in leaves else None
            values, dim = _spread(params[name], own)
            data.append(values)
            dims.append(dim)
        try:
            return cast(torch.Tensor, vmap(function, (0, *dims))(z, *data))
        except (RuntimeError, ValueError) as error:
            if not _blocked(error):
                raise
        rows = [
            function(z[i], *[v if d is None else v[i] for v, d in zip(data, dims, strict=True)])
            for i in range(len(z))
        ]
        return torch.stack(rows)


def _spread(param: Param, own: torch.Tensor | None) -> tuple[torch.Tensor, int | None]:
    """The values of each row, or what all share, and the dimension of the rows."""
    values = tensor(param.values) if own is None else own
    if len(values) == 1:
        return values[0], None
    return values[torch.from_numpy(param.index)], 0


def _blocked(error: Exception) -> bool:
    """Whether a function could not be vectorised: it branches on values, or has no rule for it."""
    text = str(error)
    return any(word in text for word in ("vmap", "functorch", "batching", "data-dependent"))


def scalar(name: str, found: Any, error: type[Exception] = TypeError) -> torch.Tensor:
    """What a user's function returned, as a scalar; an ``error`` if it is none, or complex."""
    if not isinstance(found, torch.Tensor) or found.numel() != 1:
        given = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise error(f"{name} must return a scalar tensor, got {given}")
    if found.is_complex():
        raise error(f"{name} must return a real scalar, got {found.dtype}")
    return found.reshape(())


def refuse_strangers(value: torch.Tensor, known: Iterable[torch.Tensor]) -> None:
    """Refuse a value that depends on leaves which require a gradient and are none of those known.

    Raises
    ------
    StructureError
        There is one, and it would be left without a gradient.
    """
    own, nodes, seen = set(map(id, known)), [value.grad_fn], set[Any]()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [before for before, _ in node.next_functions]
        leaf = getattr(node, "variable", None)  # of an AccumulateGrad
        if leaf is not None and id(leaf) not in own:
            raise StructureError(
                f"the Lagrangian uses a tensor of shape {tuple(leaf.shape)} that requires a "
                "gradient, or is computed from one, and is no parameter: it would get no "
                "gradient. Pass it as a parameter, or detach it"
            )
