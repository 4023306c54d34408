"""What the arguments of a function are as arrays: dtypes, shapes, patterns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from lpgd.core.errors import StructureError
from lpgd.core.pattern import Pattern
from lpgd.core.rule import KEY
from lpgd.frontend.arguments import present, structure
from lpgd.jax.sparse import Sparse


@dataclass(frozen=True)
class Arguments:
    """Arguments of one call that fit together.

    Attributes
    ----------
    arrays : mapping from internal name (``q`` also for an LP's ``c``) to array
    cores : tuple of int
        Trailing dimensions of each array that are no batch dimensions.
    dtype : dtype
        Of the outputs.
    n : int
        Number of variables, where the arguments say it.
    sizes : mapping from str to int
        Rows of the multiplier block of each given constraint, and ``P``.
    patterns : mapping from str to Pattern
    own : mapping from str to array
        What is for the rule.
    """

    arrays: Mapping[str, jax.Array]
    cores: tuple[int, ...]
    dtype: Any
    n: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)
    patterns: Mapping[str, Pattern] = field(default_factory=dict)
    own: Mapping[str, jax.Array] = field(default_factory=dict)

    @property
    def every(self) -> dict[str, jax.Array]:
        """The data of the problem, and what is for the rule."""
        return {**self.arrays, **self.own}

    @property
    def ranks(self) -> tuple[int, ...]:
        """As ``cores``, of every array; a key has one for each element of the batch."""
        return (*self.cores, *(1 if name == KEY else a.ndim for name, a in self.own.items()))

    @property
    def resolution(self) -> float:
        """Machine epsilon of P, or of whatever it is made."""
        own = [self.arrays["P"]] if "P" in self.arrays else self.arrays.values()
        return max((float(jnp.finfo(array.dtype).eps) for array in own), default=0.0)


def collect(
    given: Mapping[str, Any], cost: str, required: tuple[str, ...], sparse: tuple[str, ...] = ()
) -> Arguments:
    """Check the arguments of a program; see ``lpgd.torch.arguments.collect``.

    Raises
    ------
    StructureError
        Names the argument, what was expected and what was given.
    """
    found = present(given, required)
    patterns: dict[str, Pattern] = {}
    for name, value in found.items():
        if isinstance(value, Sparse):
            if name not in sparse:
                raise StructureError(f"{name} must be dense, got a sparse argument")
            patterns[name], found[name] = value.pattern, value.values
    arrays = {name: floating(name, value) for name, value in found.items()}
    fits = structure({name: a.shape for name, a in arrays.items()}, cost, patterns)
    return Arguments(
        {"q" if name == cost else name: array for name, array in arrays.items()}, fits.cores,
        jnp.result_type(*arrays.values()), fits.n, fits.sizes, patterns,
    )  # fmt: skip


def floating(name: str, value: Any) -> jax.Array:
    """A value as an array.

    Raises
    ------
    StructureError
        It is no array, or has no real floating dtype.
    """
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:  # text, objects, lists of unequal lengths
        given = type(value).__name__
        raise StructureError(f"{name} must be an array of numbers, got {given}: {error}") from error
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise StructureError(f"{name} must have a real floating dtype, got {array.dtype}")
    return array
