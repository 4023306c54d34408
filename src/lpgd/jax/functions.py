"""Nonlinear programs of functions of JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lpgd.core.errors import StructureError
from lpgd.core.params import shared
from lpgd.core.solution import FloatArray
from lpgd.families.lagrangian.constrained import Data
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.frontend.nlp import functional
from lpgd.frontend.trees import Layout
from lpgd.jax.derivatives import Derived, Stated, refuse_traced
from lpgd.jax.pytrees import Pytree
from lpgd.jax.traced import Traced, wide

Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Functions:
    """f and c of f + y'c, one element at a time; see ``lpgd.families.lagrangian.constrained``."""

    of: Derived
    rows: int

    def objective(self, data: Data, x: FloatArray) -> float:
        """See ``Functions.objective``."""
        return float(self._first(data, x)[0])

    def slope(self, data: Data, x: FloatArray) -> FloatArray:
        """See ``Functions.slope``."""
        return self._first(data, x)[1 : 1 + len(x)]

    def constraints(self, data: Data, x: FloatArray) -> FloatArray:
        """See ``Functions.constraints``."""
        return self._first(data, x)[1 + len(x) :] if self.rows else np.zeros(0)

    def jacobian(self, data: Data, x: FloatArray) -> FloatArray:
        """See ``Functions.jacobian``."""
        found = self._asked("jacobian", data, x) if self.rows else np.zeros(0)
        return found.reshape(self.rows, len(x))

    def hessian(self, data: Data, x: FloatArray, y: FloatArray, weight: float) -> FloatArray:
        """See ``Functions.hessian``."""
        if weight:
            return weight * self._bend(data, x, y / weight)
        return self._bend(data, x, y) - self._bend(data, x, 0 * y)

    def _first(self, data: Data, x: FloatArray) -> FloatArray:
        return self._asked("first", data, x)

    def _bend(self, data: Data, x: FloatArray, y: FloatArray) -> FloatArray:
        size = len(x) + self.rows
        return self._asked("curvature", data, x, y).reshape(size, size)[: len(x), : len(x)]

    def _asked(
        self, name: str, data: Data, x: FloatArray, y: FloatArray | None = None
    ) -> FloatArray:
        load = np.zeros(self.rows) if y is None else y
        params = {own: shared(data[own], 1) for own in self.of.names}
        return self.of.asked(name, params, (x[None], load[None]))[0]


@dataclass(frozen=True, eq=False)
class FunctionProgram:
    """minimise f(x, *params) subject to h(x, *params) = 0, g(x, *params) <= 0.

    Attributes
    ----------
    sizes : (int, int, int)
        Variables, rows of h, rows of g.
    traced : Traced
        Of f + y'c, c = (h, g).
    """

    sizes: tuple[int, int, int]
    traced: Traced

    @classmethod
    def of(
        cls, f: Function, h: Function | None, g: Function | None, n: int, params: Layout
    ) -> FunctionProgram:
        """Make it, for parameters of a layout.

        Raises
        ------
        StructureError
            h or g is not one-dimensional, f no scalar, or one of them uses a traced value.
        """
        first, rest = _length("h", h, n, params), _length("g", g, n, params)
        x, y = (Layout.of(np.zeros(size), Pytree.of) for size in (n, first + rest))
        stated = Stated(partial(_lagrangian, f, h, g), x, y, params)
        names = ["first", "curvature", "gradient", *["jacobian"] * (y.size > 0)]
        return cls((n, first, rest), Traced(stated.width, stated.functions(names)))

    def problem(
        self, params: tuple[str, ...], names: tuple[str, ...], bounds: tuple[str, ...]
    ) -> Lagrangian:
        """The structure of programs whose arguments are these parameters and others."""
        n, first, rest = self.sizes
        model = Derived(self.traced, n, params)
        return functional(model, Functions(model, first + rest), self.sizes, names, bounds)


def _lagrangian(
    f: Function, h: Function | None, g: Function | None, x: jax.Array, y: jax.Array, *params: Any
) -> jax.Array:
    """f + y'c."""
    rows = [jnp.reshape(part(x, *params), -1) for part in (h, g) if part is not None]
    return _scalar(f(x, *params)) + (y @ jnp.concatenate(rows) if rows else 0.0)


def _scalar(value: Any) -> jax.Array:
    """What f returned."""
    plain = isinstance(value, (int, float, complex))
    shape: Any = () if plain else getattr(value, "shape", type(value).__name__)
    if isinstance(shape, str) or prod(shape) != 1:
        raise StructureError(f"f must return a scalar, got {shape}")
    return jnp.reshape(value, ())


def _length(name: str, part: Function | None, n: int, params: Layout) -> int:
    """Rows of a constraint."""
    if part is None:
        return 0
    with wide():
        ends = (jax.ShapeDtypeStruct((k,), jnp.float64) for k in (n, params.size))
        told = jax.make_jaxpr(lambda x, w: part(x, *params.split(w)), return_shape=True)
        made, out = told(*ends)
    refuse_traced(name, made)
    if getattr(out, "ndim", 2) > 1:
        given = getattr(out, "shape", type(out).__name__)
        raise StructureError(f"{name} must return a one-dimensional array, got {given}")
    return int(out.size)
