"""Parameters of any structure as named tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lpgd.core.errors import StructureError
from lpgd.frontend.arguments import check_batches
from lpgd.frontend.batches import Shape
from lpgd.frontend.trees import Tree, flatten, ranked
from lpgd.torch.arguments import check_kind


@dataclass(frozen=True)
class Leaves:
    """The leaves of a tuple of parameters.

    Attributes
    ----------
    tree : Tree
    tensors : list of Tensor
        Whatever the caller gave, until ``check``.
    cores : tuple of int
        How many dimensions of each are those of one element.
    """

    tree: Tree
    tensors: list[Any]
    cores: tuple[int, ...]

    @classmethod
    def of(cls, params: tuple[Any, ...], ranks: Any) -> Leaves:
        """Take parameters apart; without ``ranks`` all dimensions are those of one element.

        Raises
        ------
        StructureError
            There are none, or ranks do not fit them.
        """
        tensors, tree = flatten(params)
        if not tensors:
            raise StructureError("the layer needs at least one parameter")
        if ranks is None:
            return cls(tree, tensors, tuple(getattr(leaf, "ndim", 0) for leaf in tensors))
        return cls(tree, tensors, ranked(ranks, tree))

    @property
    def names(self) -> tuple[str, ...]:
        """What users call them."""
        return tuple(self.tree.names("params"))

    @property
    def ends(self) -> tuple[Shape, ...]:
        """Their shapes for one element."""
        pairs = zip(self.tensors, self.cores, strict=True)
        return tuple(tuple(leaf.shape)[leaf.ndim - core :] for leaf, core in pairs)

    def check(self, beside: Sequence[tuple[str, torch.Tensor, int]] = ()) -> None:
        """Check kinds and batch dimensions, also of other arguments (name, tensor, core).

        Raises
        ------
        StructureError
        """
        every = [*zip(self.names, self.tensors, self.cores, strict=True), *beside]
        batches: dict[str, Shape] = {}
        for name, leaf, core in every:
            check_kind(name, leaf, self.tensors[0], self.names[0])
            if leaf.ndim < core:
                raise StructureError(
                    f"{name} must have at least {core} dimensions, got shape {tuple(leaf.shape)}"
                )
            batches[name] = tuple(leaf.shape)[: leaf.ndim - core]
        check_batches(batches)
