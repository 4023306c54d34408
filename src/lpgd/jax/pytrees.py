"""Parameters and variables of any structure: pytrees as named arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import tree_util

from lpgd.core.errors import StructureError
from lpgd.frontend.arguments import check_batches
from lpgd.frontend.batches import Shape
from lpgd.frontend.trees import Layout, ranked
from lpgd.jax.arguments import Arguments, floating


@dataclass(frozen=True)
class Pytree:
    """A ``Structure`` of any containers that JAX knows.

    Attributes
    ----------
    definition : PyTreeDef
    paths : tuple of str
        Of the leaves, as users write them.
    """

    definition: Any
    paths: tuple[str, ...]

    @staticmethod
    def of(value: Any) -> tuple[list[Any], Pytree]:
        """Leaves and structure."""
        pairs, definition = tree_util.tree_flatten_with_path(value)
        paths = tuple(tree_util.keystr(path) for path, _ in pairs)
        return [leaf for _, leaf in pairs], Pytree(definition, paths)

    @property
    def leaves(self) -> int:
        """How many there are."""
        return len(self.paths)

    def build(self, leaves: Sequence[Any]) -> Any:
        """The containers with these leaves."""
        return tree_util.tree_unflatten(self.definition, leaves)

    def names(self, name: str) -> list[str]:
        """What users call the leaves of a variable."""
        return [f"{name}{path}" for path in self.paths]


@dataclass(frozen=True)
class Leaves:
    """The parameters of a call, and other arrays beside them.

    Attributes
    ----------
    params : Layout
        Of one element's tuple of parameters.
    names : tuple of str
        Of the parameters' leaves.
    arrays : mapping from name to array
        All of them.
    cores : tuple of int
        How many dimensions of each are those of one element.
    """

    params: Layout
    names: tuple[str, ...]
    arrays: Mapping[str, jax.Array]
    cores: tuple[int, ...]

    @classmethod
    def of(
        cls, params: tuple[Any, ...], ranks: Any, beside: Mapping[str, tuple[Any, int]]
    ) -> Leaves:
        """Take parameters apart; ``beside`` are other arrays and their dimensions.

        Raises
        ------
        StructureError
            There are no parameters, not as many as ranks, or of wrong dtypes or batch dimensions.
        """
        leaves, tree = Pytree.of(params)
        if not leaves:
            raise StructureError("at least one parameter is needed")
        names = tuple(tree.names("params"))
        arrays = {name: floating(name, leaf) for name, leaf in zip(names, leaves, strict=True)}
        cores = [array.ndim for array in arrays.values()]
        if ranks is not None:
            cores = [*ranked(ranks, tree)]
        own = Layout(tree, _ends(arrays, cores))
        for name, (value, core) in beside.items():
            arrays[name] = floating(name, value)
            cores.append(core)
        ends = _ends(arrays, cores)
        leads = (a.shape[: a.ndim - len(end)] for a, end in zip(arrays.values(), ends, strict=True))
        check_batches(dict(zip(arrays, leads, strict=True)))
        return cls(own, names, arrays, tuple(cores))

    @property
    def arguments(self) -> Arguments:
        """As a program takes them."""
        return Arguments(self.arrays, self.cores, jnp.result_type(*self.arrays.values()))


def _ends(arrays: Mapping[str, jax.Array], cores: Sequence[int]) -> tuple[Shape, ...]:
    """Shapes of one element."""
    found: list[Shape] = []
    for (name, array), core in zip(arrays.items(), cores, strict=True):
        if array.ndim < core:
            raise StructureError(
                f"{name} must have at least {core} dimensions, got shape {array.shape}"
            )
        found.append(array.shape[array.ndim - core :])
    return tuple(found)
