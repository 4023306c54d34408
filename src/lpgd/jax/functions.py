"""f and c of a nonlinear program as functions of JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lpgd.core.errors import StructureError
from lpgd.core.solution import FloatArray
from lpgd.families.lagrangian.constrained import Data
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.frontend.nlp import functional
from lpgd.frontend.trees import Layout
from lpgd.jax.derivatives import Derived, Stated, refuse_traced
from lpgd.jax.pytrees import Pytree
from lpgd.jax.traced import Row, Traced, wide

Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Parts:
    """f(x, *params), and h and g or None, as functions of rows: a weight, x, y, parameters.

    Attributes
    ----------
    f, h, g : callable
    n : int
        Length of x.
    rows : (int, int)
        Of h and of g.
    params : Layout
    """

    f: Function
    h: Function | None
    g: Function | None
    n: int
    rows: tuple[int, int]
    params: Layout

    @classmethod
    def of(
        cls, f: Function, h: Function | None, g: Function | None, n: int, params: Layout
    ) -> Parts:
        """Count the rows.

        Raises
        ------
        StructureError
            h or g is not one-dimensional.
        """
        rows = _length("h", h, n, params), _length("g", g, n, params)
        return cls(f, h, g, n, rows, params)

    def lagrangian(self, x: jax.Array, y: jax.Array, *params: Any) -> jax.Array:
        """f + y'c."""
        return self._f(x, params) + y @ self._c(x, params)

    @property
    def functions(self) -> dict[str, tuple[Row, int]]:
        """Those that solvers ask for, and how many numbers each returns."""
        n, rows = self.n, sum(self.rows)
        return {
            "objective": (lambda row: self._f(*self._at(row)).reshape(1), 1),
            "slope": (lambda row: jax.grad(self._f)(*self._at(row)), n),
            "constraints": (lambda row: self._c(*self._at(row)), rows),
            "jacobian": (lambda row: jax.jacrev(self._c)(*self._at(row)).reshape(-1), rows * n),
            "hessian": (self._hessian, n * n),
        }

    def _f(self, x: jax.Array, params: Any) -> jax.Array:
        return jnp.asarray(self.f(x, *params), jnp.float64).reshape(())

    def _c(self, x: jax.Array, params: Any) -> jax.Array:
        parts = [part(x, *params) for part in (self.h, self.g) if part is not None]
        return jnp.concatenate([x[:0], *(jnp.reshape(part, -1) for part in parts)])

    def _hessian(self, row: jax.Array) -> jax.Array:
        weight, y = row[0], row[1 + self.n :][: sum(self.rows)]

        def weighted(x: jax.Array, params: Any) -> jax.Array:
            return weight * self._f(x, params) + y @ self._c(x, params)

        return jax.hessian(weighted)(*self._at(row)).reshape(-1)

    def _at(self, row: jax.Array) -> tuple[jax.Array, Any]:
        """x and the tuple of parameters."""
        return row[1 : 1 + self.n], self.params.split(row[1 + self.n + sum(self.rows) :])


@dataclass(frozen=True, eq=False)
class Asking:
    """``Functions`` that ask JAX.

    Attributes
    ----------
    traced : Traced
    names : tuple of str
        The problem's names of the parameters' leaves.
    rows : int
        Of c.
    """

    traced: Traced
    names: tuple[str, ...]
    rows: int

    def objective(self, data: Data, x: FloatArray) -> float:
        """See ``Functions.objective``."""
        return float(self._asked("objective", data, x)[0])

    def slope(self, data: Data, x: FloatArray) -> FloatArray:
        """See ``Functions.slope``."""
        return self._asked("slope", data, x)

    def constraints(self, data: Data, x: FloatArray) -> FloatArray:
        """See ``Functions.constraints``."""
        return self._asked("constraints", data, x)

    def jacobian(self, data: Data, x: FloatArray) -> FloatArray:
        """See ``Functions.jacobian``."""
        return self._asked("jacobian", data, x).reshape(self.rows, len(x))

    def hessian(self, data: Data, x: FloatArray, y: FloatArray, weight: float) -> FloatArray:
        """See ``Functions.hessian``."""
        return self._asked("hessian", data, x, y, weight).reshape(len(x), len(x))

    def _asked(
        self, name: str, data: Data, x: FloatArray, y: FloatArray | None = None, weight: float = 1.0
    ) -> FloatArray:
        if name in ("constraints", "jacobian") and not self.rows:
            return np.zeros(0)
        load = np.zeros(self.rows) if y is None else y
        row = [np.array([weight]), x, load, *(np.ravel(data[own]) for own in self.names)]
        return self.traced(name, np.concatenate(row)[None])[0]


@dataclass(frozen=True, eq=False)
class FunctionProgram:
    """A program of functions, for parameters of one layout."""

    parts: Parts
    traced: Traced

    @classmethod
    def of(cls, parts: Parts) -> FunctionProgram:
        """Make it, and look at f."""
        x, y = (Layout.of(np.zeros(k), Pytree.of) for k in (parts.n, sum(parts.rows)))
        stated = Stated(parts.lagrangian, x, y, parts.params)
        whole = stated.functions(("value", "slopes", "curvature", "gradient"))
        return cls(parts, Traced(stated.width, {**whole, **parts.functions}))

    def problem(
        self, params: tuple[str, ...], names: tuple[str, ...], bounds: tuple[str, ...]
    ) -> Lagrangian:
        """The structure of programs with these parameters and other arguments."""
        first, rest = self.parts.rows
        model = Derived(self.traced, self.parts.n, params)
        asking = Asking(self.traced, params, first + rest)
        return functional(model, asking, (self.parts.n, first, rest), names, bounds)


def _length(name: str, part: Function | None, n: int, params: Layout) -> int:
    """Rows of a constraint."""
    if part is None:
        return 0
    with wide():
        ends = (jax.ShapeDtypeStruct((k,), jnp.float64) for k in (n, params.size))
        made, out = jax.make_jaxpr(
            lambda x, w: part(x, *params.split(w)), return_shape=True
        )(*ends)  # fmt: skip
    refuse_traced(name, made)
    if getattr(out, "ndim", 2) > 1:
        given = getattr(out, "shape", type(out).__name__)
        raise StructureError(f"{name} must return a one-dimensional array, got {given}")
    return int(out.size)
