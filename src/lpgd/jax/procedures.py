"""A user's ``solve``: on the host, or written in JAX and part of what is compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lpgd.core.errors import StructureError
from lpgd.core.params import flat
from lpgd.core.solution import FloatArray
from lpgd.frontend.dialogue import asking
from lpgd.frontend.saddle import Asked, Perturbation, SaddleView, Told, answered, real
from lpgd.frontend.trees import Layout
from lpgd.jax.traced import Row, Traced

TILT = ("t", "rho", "dx", "dy", "anchor")
WITHIN = (
    "solve called JAX within a compiled program, which waits for solve and may so wait for ever; "
    "write solve in numpy, or in JAX throughout with traced=True"
)


@dataclass(frozen=True, eq=False)
class Guarded:
    """A ``solve`` on the host that is kept from calling JAX where that may hang."""

    solve: Callable[..., Any]

    def __call__(self, params: Any, tilt: Perturbation) -> Any:
        """Ask it."""
        if asking() is None:
            return self.solve(params, tilt)
        with jax.transfer_guard_host_to_device("disallow_explicit"):
            try:
                return self.solve(params, tilt)
            except jax.errors.JaxRuntimeError as error:
                if "Disallowed" in str(error):
                    raise RuntimeError(WITHIN) from error
                raise


@dataclass(frozen=True, eq=False)
class Compiled:
    """A ``solve`` written in JAX, as functions of rows, and of what an engine asks.

    Without a tilt a row holds the parameters; with one t, rho, dx, dy, anchor and the forward
    solution in front of them.

    Attributes
    ----------
    solve : callable
    view : SaddleView
    params : Layout
    names : tuple of str
        The problem's names of the parameters' leaves.
    """

    solve: Callable[..., Any]
    view: SaddleView
    params: Layout
    names: tuple[str, ...]

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return 2 + 3 * self.view.x.size + 2 * self.view.y.size + self.params.size

    @property
    def functions(self) -> dict[str, tuple[Row, int]]:
        """Both solves, and how many numbers they return: x, y and the value or NaN."""
        size = self.view.x.size + self.view.y.size + 1
        return {"solve": (self._solved, size), "resolve": (self._resolved, size)}

    def asking(self, traced: Traced) -> Callable[[Asked], Told]:
        """What an engine asks for all elements at once."""

        def procedure(asked: Asked) -> Told:
            data = [flat(asked.data[name]) for name in self.names]
            size = len(data[0])
            if asked.start is None:
                found = traced("solve", np.concatenate(data, axis=1))
            else:
                wide = 2 + 2 * self.view.x.size + self.view.y.size
                tilt = [np.zeros((size, wide))]
                if asked.tilt is not None:
                    tilt = [asked.tilt[name].reshape(size, -1) for name in TILT]
                found = traced("resolve", np.concatenate([*tilt, *asked.start, *data], axis=1))
            n = self.view.x.size
            return Told(found[:, :n], found[:, n:-1], found[:, -1])

        return procedure

    def _solved(self, row: jax.Array) -> jax.Array:
        return self._told(row[: self.params.size], Perturbation(wrap=jnp.asarray))

    def _resolved(self, row: jax.Array) -> jax.Array:
        x, y = self.view.x, self.view.y
        sizes = (x.size, y.size, x.size, x.size, y.size)
        ends = np.cumsum((2, *sizes)).tolist()
        dx, dy, anchor, *start = (
            own.split(row[a:b])
            for own, a, b in zip((x, y, x, x, y), ends[:-1], ends[1:], strict=True)
        )
        tilt = Perturbation(
            row[0], row[1], dx, dy, anchor, tuple(start), jnp.asarray, x.tree.of
        )  # fmt: skip
        return self._told(row[ends[-1] :][: self.params.size], tilt)

    def _told(self, row: jax.Array, tilt: Perturbation) -> jax.Array:
        x, y, value = answered(self.solve(self.params.split(row), tilt))
        parts = [_joined(own, part, k) for own, part, k in zip(
            (self.view.x, self.view.y), (x, y), "xy", strict=True)]  # fmt: skip
        last = jnp.nan if value is None else jnp.reshape(value, ())
        return jnp.concatenate([*parts, jnp.full(1, last, jnp.float64)])


def _joined(layout: Layout, value: Any, name: str) -> jax.Array:
    """The vector of a pytree of arrays; see ``Layout.join``."""
    leaves, tree = layout.tree.of(value)
    shapes = tuple(jnp.shape(leaf) for leaf in leaves)
    if tree != layout.tree or shapes != layout.shapes:
        expected = layout.tree.build(layout.shapes)
        raise StructureError(
            f"{name} as returned by solve must have shapes {expected}, got {tree.build(shapes)}"
        )
    if any(map(jnp.iscomplexobj, leaves)):
        raise StructureError(f"{name} as returned by solve must be real, got complex numbers")
    flats = [jnp.asarray(leaf, jnp.float64).reshape(-1) for leaf in leaves]
    return jnp.concatenate([jnp.zeros(0, jnp.float64), *flats])


def numbers(value: Any) -> FloatArray:
    """What a procedure on the host returns, in float64."""
    return real(np.asarray(value))
