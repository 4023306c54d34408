"""Derivatives of a user's Lagrangian by JAX.

A row that is asked for holds a weight, x, y and all parameters of one element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from lpgd.core.errors import LpgdError, StructureError
from lpgd.core.params import Params, flat
from lpgd.core.solution import FloatArray
from lpgd.families.lagrangian.model import Curvature, blocks
from lpgd.frontend.trees import Layout
from lpgd.jax.traced import Row, Traced, wide

Vectors = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Stated:
    """A Lagrangian as functions of rows.

    Attributes
    ----------
    function : callable
        L(x, y, *params), trees of one element each, to a scalar.
    x, y, params : Layout
    """

    function: Callable[..., Any]
    x: Layout
    y: Layout
    params: Layout

    def __post_init__(self) -> None:
        self._check()

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return 1 + self.x.size + self.y.size + self.params.size

    def functions(self, names: Iterable[str]) -> dict[str, tuple[Row, int]]:
        """Chosen ones, and how many numbers each returns."""
        n, m = self.x.size, self.y.size
        sizes = {
            "first": 1 + n + m, "curvature": (n + m) ** 2, "jacobian": m * n,
            "gradient": self.params.size,
        }  # fmt: skip
        return {name: (getattr(self, name), sizes[name]) for name in names}

    def first(self, row: jax.Array) -> jax.Array:
        """L, and its gradient in (x, y)."""
        value, slopes = jax.value_and_grad(self.lagrangian)(*self.parts(row)[1:])
        return jnp.concatenate([value[None], slopes])

    def curvature(self, row: jax.Array) -> jax.Array:
        """Its Hessian in (x, y)."""
        return jax.hessian(self.lagrangian)(*self.parts(row)[1:]).reshape(-1)

    def jacobian(self, row: jax.Array) -> jax.Array:
        """The derivative in x of that in y, which must not depend on y."""
        _, z, w = self.parts(row)
        n = self.x.size

        def rows(x: jax.Array) -> jax.Array:
            return jax.grad(lambda y: self.lagrangian(jnp.concatenate([x, y]), w))(z[n:])

        return jax.jacrev(rows)(z[:n]).reshape(-1)

    def gradient(self, row: jax.Array) -> jax.Array:
        """The gradient of weight times L in the parameters."""
        weight, z, w = self.parts(row)
        return weight * jax.grad(self.lagrangian, 1)(z, w)

    def lagrangian(self, z: jax.Array, w: jax.Array) -> jax.Array:
        """L of vectors."""
        x, y = self.x.split(z[: self.x.size]), self.y.split(z[self.x.size :])
        return jnp.asarray(self.function(x, y, *self.params.split(w)), jnp.float64).reshape(())

    def parts(self, row: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Weight, (x, y) and parameters."""
        last = 1 + self.x.size + self.y.size
        return row[0], row[1:last], row[last : self.width]

    def _check(self) -> None:
        """Refuse functions that return no scalar, or hold on to values that are being traced."""
        size = self.x.size + self.y.size
        with wide():
            ends = (jax.ShapeDtypeStruct((k,), jnp.float64) for k in (size, self.params.size))
            try:
                made, out = jax.make_jaxpr(self._told, return_shape=True)(*ends)
            except (TypeError, ValueError) as error:  # those of JAX about traced values, too
                if isinstance(error, LpgdError):
                    raise
                shapes = self.x.shapes, self.y.shapes, self.params.shapes
                raise StructureError(
                    "the Lagrangian (of a program f, g, h) must be written in JAX and take x, y "
                    f"and params of shapes {', '.join(map(str, shapes))} (those of x and y are "
                    f"told by like, or the program); JAX says {type(error).__name__}: "
                    f"{str(error).splitlines()[0]}"
                ) from error
        refuse_traced("lagrangian", made)
        leaves = jax.tree_util.tree_leaves(out)
        if len(leaves) != 1 or leaves[0].size != 1:
            given = [leaf.shape for leaf in leaves]
            raise StructureError(f"lagrangian must return a scalar, got shapes {given}")
        if jnp.issubdtype(leaves[0].dtype, jnp.complexfloating):
            raise StructureError(f"lagrangian must return a real scalar, got {leaves[0].dtype}")

    def _told(self, z: jax.Array, w: jax.Array) -> Any:
        x, y = self.x.split(z[: self.x.size]), self.y.split(z[self.x.size :])
        return self.function(x, y, *self.params.split(w))


def refuse_traced(name: str, made: Any) -> None:
    """Refuse a function that holds on to values that are being traced.

    Raises
    ------
    StructureError
    """
    if any(isinstance(const, Tracer) for const in made.consts):
        raise StructureError(
            f"{name} uses a traced value that is no parameter (it is computed within grad, vmap or "
            "jit outside of it); pass it as a parameter"
        )


@dataclass(frozen=True, eq=False)
class Derived:
    """A ``Model`` whose derivatives JAX takes.

    Attributes
    ----------
    traced : Traced
        Of the functions of ``Stated``.
    n : int
        Length of x.
    names : tuple of str
        The problem's names of the parameters' leaves.
    """

    traced: Traced
    n: int
    names: tuple[str, ...]

    def value(self, params: Params, x: FloatArray, y: FloatArray) -> FloatArray:
        """See ``Model.value``."""
        return self.asked("first", params, (x, y))[:, 0]

    def slopes(self, params: Params, x: FloatArray, y: FloatArray) -> Vectors:
        """See ``Model.slopes``."""
        found, last = self.asked("first", params, (x, y)), 1 + self.n
        return np.ascontiguousarray(found[:, 1:last]), np.ascontiguousarray(found[:, last:])

    def curvature(self, params: Params, x: FloatArray, y: FloatArray) -> Curvature:
        """See ``Model.curvature``."""
        size = x.shape[1] + y.shape[1]
        found = self.asked("curvature", params, (x, y))
        return blocks(found.reshape(len(x), size, size), self.n)

    def gradient(
        self, params: Params, point: Vectors, weight: FloatArray, wanted: Iterable[str]
    ) -> dict[str, FloatArray]:
        """See ``Model.gradient``."""
        each, found = self.asked("gradient", params, point, weight), dict[str, FloatArray]()
        chosen, place = set(wanted), 0
        for name in self.names:
            param = params[name]
            total, size = np.zeros_like(param.values), math.prod(param.values.shape[1:])
            if name in chosen:
                own = each[:, place : place + size].reshape(-1, *total.shape[1:])
                np.add.at(total, param.index, own)
                found[name] = total
            place += size
        return found

    def asked(
        self, name: str, params: Params, point: Vectors, weight: FloatArray | None = None
    ) -> FloatArray:
        """What a function makes of the rows of N points."""
        weight = np.ones(len(point[0])) if weight is None else weight
        data = [flat(params[own].full()) for own in self.names]
        return self.traced(name, np.concatenate([weight[:, None], *point, *data], axis=1))
