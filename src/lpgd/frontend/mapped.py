"""How a solve and its derivatives are mapped over one more dimension (``vmap``), written once.

Arrays of any framework: it brings the three operations of ``Ops``, and arrays have a ``shape``, an
``ndim`` and ``reshape``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, TypeVar

Dim = int | None
Shape = tuple[int, ...]
Item = TypeVar("Item")
SECOND = (
    "lpgd layers have no second derivative: a tilted re-solve is a finite difference whose anchors "
    "are constants. Detach the gradient (JAX: take it at jax.lax.stop_gradient of its arguments), "
    "or take the second derivative by finite differences of the first."
)


@dataclass(frozen=True)
class Ops:
    """Operations of a framework on its arrays.

    Attributes
    ----------
    move : callable
        ``move(array, source, target)`` moves a dimension, as ``numpy.moveaxis``.
    expand : callable
        ``expand(array, shape)`` broadcasts, as ``numpy.broadcast_to``.
    """

    move: Callable[[Any, int, int], Any]
    expand: Callable[[Any, tuple[int, ...]], Any]

    def front(
        self, arrays: Sequence[Any], dims: Sequence[Dim], cores: Sequence[int], size: int,
        *, own: bool = False,
    ) -> list[Any]:  # fmt: skip
        """Arguments with the mapped dimension in front and other batch dimensions aligned behind.

        Parameters
        ----------
        arrays : sequence of array
        dims : sequence of int or None
            The mapped dimension of each; None for what is not mapped.
        cores : sequence of int
            How many trailing dimensions of each are no batch dimensions.
        size : int
            Length of the mapped dimension.
        own : bool
            Whether an argument that is not mapped is repeated, to get a gradient for each entry of
            the mapped dimension; else it stays as it is, and shared.
        """
        ranks = [
            array.ndim - core - (dim is not None)
            for array, core, dim in zip(arrays, cores, dims, strict=True)
        ]
        most, led = max(ranks, default=0), list[Any]()
        for array, rank, dim in zip(arrays, ranks, dims, strict=True):
            if dim is None and not own:
                led.append(array)
                continue
            (moved,) = self.at(0, [array], [dim], size)
            led.append(moved.reshape((size, *(1,) * (most - rank), *moved.shape[1:])))
        return led

    def at(self, place: int, arrays: Sequence[Any], dims: Sequence[Dim], size: int) -> list[Any]:
        """Arrays with the mapped dimension at one place; those that are not mapped repeat."""
        return [
            self.move(self.expand(array, (size, *array.shape)), 0, place)
            if dim is None
            else self.move(array, dim, place)
            for array, dim in zip(arrays, dims, strict=True)
        ]


@dataclass(frozen=True)
class Derivative:
    """Which derivative of a solve is asked for.

    Attributes
    ----------
    push : bool
        Tangents of the data to those of the outputs; else cotangents of the outputs to those of
        the data.
    flags : tuple of bool
        Which of the data have a tangent, or are wanted to have a gradient.
    lead : int
        How many leading dimensions of tangents or cotangents number several of one solve, as the
        columns or rows of a Jacobian.
    """

    push: bool
    flags: tuple[bool, ...]
    lead: int = 0

    def chosen(self, items: Sequence[Item]) -> list[Item]:
        """Those of the data that have a tangent or are wanted."""
        return list(compress(items, self.flags))


@dataclass(frozen=True)
class Mapped:
    """A derivative mapped over one more dimension, as one call.

    Attributes
    ----------
    way : Derivative
    vectors, data : list of array
        Cotangents or tangents, and data, of that call.
    place : int
        Where the mapped dimension is in its results.
    depth : int
        How many leading dimensions the results then have.
    shapes : list of tuple of int
        Those of the results behind them, but for dimensions that aligned the data.
    led : list of tuple of int
        Shapes of the gradients of the chosen data in that call.
    """

    way: Derivative
    vectors: list[Any]
    data: list[Any]
    place: int
    depth: int
    shapes: list[Shape]
    led: list[Shape]

    def finish(self, results: Sequence[Any]) -> tuple[Any, ...]:
        """What the call returned, in the shapes that the caller expects."""
        if self.way.push:
            return tuple(results)
        return tuple(
            result.reshape((*result.shape[: self.depth], *shape))
            for result, shape in zip(results, self.shapes, strict=True)
        )


def mapped(  # noqa: PLR0913 - the last is for frameworks that cannot repeat without copies
    ops: Ops,
    way: Derivative,
    arrays: tuple[Sequence[Any], Sequence[Any]],
    dims: tuple[Sequence[Dim], Sequence[Dim]],
    cores: Sequence[int],
    size: int,
    *,
    own: Sequence[Shape] | None = None,
) -> Mapped:
    """Map a derivative over a dimension of its vectors, of its data, or of both.

    Parameters
    ----------
    ops : Ops
    way : Derivative
    arrays : (sequence of array, sequence of array)
        Cotangents or tangents, and data.
    dims : (sequence of int or None, sequence of int or None)
        The mapped dimension of each of them.
    cores : sequence of int
        How many trailing dimensions of the data are no batch dimensions.
    size : int
        Length of the mapped dimension.
    own : sequence of tuple of int, optional
        Shapes of the gradients of the chosen data. With them, data that are not mapped stay as
        they are; without, they are repeated, and have the shapes of their gradients.
    """
    vectors, data = list(arrays[0]), list(arrays[1])
    ranks = [
        array.ndim - core - (dim is not None)
        for array, core, dim in zip(data, cores, dims[1], strict=True)
    ]
    shapes = way.chosen(_unmapped(data, dims[1])) if own is None else list(own)
    solved = any(dim is not None for dim in dims[1])  # the solve was mapped as well
    place = way.lead if solved else 0
    vectors = ops.at(place, vectors, dims[0], size)
    if not solved:
        deeper = replace(way, lead=way.lead + 1)
        return Mapped(deeper, vectors, data, place, deeper.lead, shapes, shapes)
    data = ops.front(data, dims[1], cores, size, own=own is None)
    most = max(ranks)
    led = [
        (size, *(1,) * (most - len(shape) + core), *shape)
        for shape, core in zip(shapes, way.chosen(cores), strict=True)
    ]
    if way.push:
        vectors = [
            vector.reshape((*vector.shape[: way.lead], *shape))
            for vector, shape in zip(vectors, led, strict=True)
        ]
    return Mapped(way, vectors, data, place, way.lead + 1, shapes, led)


def _unmapped(arrays: Sequence[Any], dims: Sequence[Dim]) -> list[Shape]:
    """Shapes without the mapped dimension."""
    return [
        tuple(n for axis, n in enumerate(array.shape) if dim is None or axis != dim % array.ndim)
        for array, dim in zip(arrays, dims, strict=True)
    ]
