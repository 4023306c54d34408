"""This library under ``jit(vmap(value_and_grad))``, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from _problems import Array, Instance


class JaxRunner:
    """One compiled call for values and gradients; ``forward`` and ``backward`` are its halves.

    P is a constant, q, G and h are mapped (G where it is batched). Compilation happens in the
    warm-up. Arrays live in JAX.
    """

    def __init__(self, instance: Instance, rule: Any, **options: Any):
        import jax

        jax.config.update("jax_enable_x64", val=True)
        import jax.numpy as jnp

        from lpgd.jax import solve_qp

        self.jax, P = jax, jnp.array(instance.P)
        self.arguments = [jnp.array(getattr(instance, name)) for name in ("q", "G", "h")]
        axes = (0, None if instance.G.ndim == 2 else 0, 0)

        def one(q, G, h):
            return solve_qp(P, q, G, h, rule=rule, **options)

        def loss(q, G, h):
            x = one(q, G, h)
            return 0.5 * (x**2).sum(), x

        each = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)
        self._step = jax.jit(jax.vmap(each, axes))
        solve = jax.vmap(one, axes)
        self._forward = jax.jit(lambda *arguments: jax.vjp(solve, *arguments))
        self._backward = jax.jit(lambda pull_back, x: pull_back(x))

    def forward(self) -> None:
        """Solve, keeping the residuals."""
        self.x, self.pull_back = self.jax.block_until_ready(self._forward(*self.arguments))

    def backward(self) -> None:
        """Pull x back."""
        self.gradients = self.jax.block_until_ready(self._backward(self.pull_back, self.x))

    def both(self) -> None:
        """Do the two in one call."""
        (_, self.x), self.gradients = self.jax.block_until_ready(self._step(*self.arguments))

    def answers(self) -> dict[str, Array]:
        """x and the gradients; what is shared may have one for each element, to be summed."""
        found = dict(zip(("q", "G", "h"), map(np.asarray, self.gradients), strict=True))
        if found["G"].ndim > self.arguments[1].ndim:
            found["G"] = found["G"].sum(axis=0)
        return {"x": np.asarray(self.x), **found}
