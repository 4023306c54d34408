"""What a rule draws from and remembers, as arguments of a function: a key, and a state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lpgd.core.errors import EngineError, StructureError
from lpgd.core.rule import DRAWS, KEY, OWN, Rule, is_count
from lpgd.jax.arguments import floating
from lpgd.map.own import smooths


def initial_state(rule: Rule) -> dict[str, jax.Array]:
    """What a rule remembers before the first step of training, for ``state=`` of a function.

    The gradient of a loss in the state is the *change* of the state, so that
    ``optax.apply_updates(state, change)`` is the next one. It is empty for most rules.

    Parameters
    ----------
    rule : Rule
        Such as ``lpgd.rules.AdaptiveLPGD()``.

    Raises
    ------
    TypeError
        It is no rule.
    """
    if not isinstance(rule, Rule):
        raise TypeError(f"rule must be a rule such as lpgd.rules.AdaptiveLPGD(), got {rule!r}")
    kept = {name: array for name, array in rule.begin().items() if name != DRAWS}
    return {name: jnp.asarray(array, jnp.result_type(float)) for name, array in kept.items()}


@dataclass(frozen=True)
class Own:
    """What a call gives to its rule.

    Attributes
    ----------
    key : key of jax.random, int or None
    state : mapping from name to array, or None
    """

    key: Any = None
    state: Mapping[str, Any] | None = None

    def fits(self, rule: Rule) -> None:
        """Refuse a rule that needs something else.

        Raises
        ------
        EngineError
        """
        needs = rule.begin()
        draws, kept = DRAWS in needs, sorted(needs.keys() - {DRAWS})
        name = type(rule).__name__
        if needs and smooths(rule) and not rule.keyed:
            raise EngineError(f"{rule} draws from a memory, which a function cannot keep")
        if draws != (self.key is not None):
            raise EngineError(
                f"{name} draws noise, which needs key=jax.random.key(...); argmin, solve_lp and "
                "solve_conic take one"
                if draws
                else f"{name} draws no noise, and takes no key"
            )
        given: Any = {} if self.state is None else self.state
        if not isinstance(given, Mapping) or kept != sorted(given, key=str):
            raise EngineError(
                f"{name} remembers {', '.join(kept) or 'nothing'}: state must hold just that, as "
                "lpgd.jax.initial_state(rule) does; argmin, solve_lp and solve_conic take one"
            )

    def arrays(self, rule: Rule, batch: tuple[int, ...]) -> dict[str, jax.Array]:
        """Them, as data of a program; each element of the batch has a key of its own.

        Raises
        ------
        StructureError
            A wrong shape or dtype.
        """
        found: dict[str, jax.Array] = {}
        for name, value in (self.state or {}).items():
            array, shape = floating(f"state[{name!r}]", value), np.shape(rule.begin()[name])
            if array.shape != shape:
                raise StructureError(f"state[{name!r}] must have shape {shape}, got {array.shape}")
            found[f"{OWN}{name}"] = array
        if self.key is not None:
            words = _words(self.key)
            number = jnp.arange(prod(batch), dtype=jnp.uint32).reshape(*batch, 1)
            spread = jnp.broadcast_to(words, (*batch, *words.shape))
            found[KEY] = jnp.concatenate([spread, number], axis=-1)
        return found


def _words(key: Any) -> jax.Array:
    """A key as numbers."""
    key = jax.random.key(key) if is_count(key) else jnp.asarray(key)
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key) if not key.ndim else key
    if key.ndim != 1 or key.dtype != jnp.uint32:
        raise StructureError(
            "key must be a seed >= 0 or one key of jax.random (map over several with jax.vmap), "
            f"got shape {key.shape} and dtype {key.dtype}"
        )
    return key
