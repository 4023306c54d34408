"""Nested tuples, lists and dicts of arrays, and vectors that hold their entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from lpgd.core.errors import StructureError
from lpgd.core.rule import is_whole
from lpgd.frontend.batches import Shape


class Structure(Protocol):
    """The structure of nested containers; ``Tree`` is one, and frameworks may bring their own."""

    @property
    def leaves(self) -> int:
        """How many there are."""
        ...

    @staticmethod
    def of(value: Any) -> tuple[list[Any], Structure]:
        """Leaves and structure of any value."""
        ...

    def build(self, leaves: Sequence[Any]) -> Any:
        """The containers with these leaves."""
        ...

    def names(self, name: str) -> list[str]:
        """What users call the leaves of a variable."""
        ...


@dataclass(frozen=True)
class Tree:
    """The structure of nested containers; None is one without entries.

    Attributes
    ----------
    kind : type or None
        Of the container; None for a leaf.
    keys : tuple
        Of a dict, in its order.
    children : tuple of Tree
    """

    kind: type | None = None
    keys: tuple[Any, ...] = ()
    children: tuple[Tree, ...] = ()

    @staticmethod
    def of(value: Any) -> tuple[list[Any], Structure]:
        """See ``flatten``."""
        return flatten(value)

    @property
    def leaves(self) -> int:
        """How many there are."""
        return 1 if self.kind is None else sum(child.leaves for child in self.children)

    def build(self, leaves: Sequence[Any]) -> Any:
        """The containers with these leaves."""
        return self._taken(iter(leaves))

    def _taken(self, leaves: Iterator[Any]) -> Any:
        if self.kind is None:
            return next(leaves)
        if self.kind is type(None):
            return None
        parts = [child._taken(leaves) for child in self.children]
        if issubclass(self.kind, Mapping):
            return dict(zip(self.keys, parts, strict=True))
        if hasattr(self.kind, "_fields"):
            return self.kind(*parts)
        return self.kind(parts)

    def names(self, name: str) -> list[str]:
        """What users call the leaves of a variable."""
        if self.kind is None:
            return [name]
        keys = self.keys or range(len(self.children))
        pairs = zip(keys, self.children, strict=True)
        return [found for key, child in pairs for found in child.names(f"{name}[{key!r}]")]


def flatten(value: Any) -> tuple[list[Any], Tree]:
    """Leaves and structure."""
    if value is None:
        return [], Tree(type(None))
    if isinstance(value, Mapping):
        found = [flatten(part) for part in value.values()]
        kind, keys = dict, tuple(value)
    elif isinstance(value, (tuple, list)):
        found, keys = [flatten(part) for part in value], ()
        kind = type(value)
    else:
        return [value], Tree()
    leaves = [leaf for part, _ in found for leaf in part]
    return leaves, Tree(kind, keys, tuple(tree for _, tree in found))


Flatten = Callable[[Any], tuple[list[Any], Structure]]


@dataclass(frozen=True)
class Layout:
    """How the leaves of a tree lie in a vector.

    Attributes
    ----------
    tree : Structure
    shapes : tuple of tuple of int
        Of the leaves.
    """

    tree: Structure
    shapes: tuple[Shape, ...]

    @classmethod
    def of(cls, value: Any, flat: Flatten = flatten) -> Layout:
        """That of a tree of arrays."""
        leaves, tree = flat(value)
        return cls(tree, tuple(tuple(np.shape(leaf)) for leaf in leaves))

    @property
    def single(self) -> Layout:
        """That of one element, where the leaves have an axis of elements in front."""
        return Layout(self.tree, tuple(shape[1:] for shape in self.shapes))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Entries of each leaf."""
        return tuple(map(prod, self.shapes))

    @property
    def size(self) -> int:
        """Length of the vector."""
        return sum(self.sizes)

    def slices(self) -> list[slice]:
        """Where each leaf is."""
        ends = np.cumsum(self.sizes, dtype=int).tolist()
        return [slice(end - size, end) for end, size in zip(ends, self.sizes, strict=True)]

    def split(self, vector: Any, wrap: Callable[[Any], Any] = lambda part: part) -> Any:
        """The tree whose entries a vector (..., size) holds."""
        lead = tuple(vector.shape[:-1])
        parts = [vector[..., part] for part in self.slices()]
        return self.tree.build([
            wrap(part.reshape(lead + shape)) for part, shape in zip(parts, self.shapes, strict=True)
        ])  # fmt: skip

    def join(self, value: Any, what: str, lead: Shape = ()) -> np.ndarray:
        """The vector (*lead, size) of a tree of arrays.

        Raises
        ------
        StructureError
            The tree has another structure, or a leaf another shape; ``what`` names it.
        """
        leaves, tree = self.tree.of(value)
        shapes = [tuple(np.shape(leaf)) for leaf in leaves]
        if tree != self.tree or shapes != [lead + shape for shape in self.shapes]:
            expected = self.tree.build([lead + shape for shape in self.shapes])
            raise StructureError(f"{what} must have shapes {expected}, got {tree.build(shapes)}")
        flat = [np.asarray(leaf, np.float64).reshape(*lead, -1) for leaf in leaves]
        return np.concatenate([np.zeros((*lead, 0)), *flat], axis=-1)


def ranked(ranks: Any, of: Structure) -> tuple[int, ...]:
    """How many dimensions parameters have for one element, in the order of their leaves.

    Raises
    ------
    StructureError
        There are not as many as parameters, or they are no numbers of dimensions.
    """
    cores, theirs = of.of(ranks)
    if theirs.leaves != of.leaves:
        raise StructureError(f"ranks={ranks!r} names {theirs.leaves} parameters, got {of.leaves}")
    if not all(is_whole(core) and core >= 0 for core in cores):
        raise StructureError(f"ranks must be whole numbers >= 0, got {ranks!r}")
    return tuple(map(int, cores))
