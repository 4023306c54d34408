"""Calls of functions taken apart: what they solve, and how they present it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.tree_util import Partial

from lpgd.core.errors import StructureError
from lpgd.frontend.subject import Precision, Subject, aside
from lpgd.jax.program import Asked
from lpgd.jax.traced import wide as with_float64

Given = ParamSpec("Given")
Ask = Callable[..., Asked]


def answered(ask: Callable[Given, Any]) -> Callable[Given, Any]:
    """A function that answers what ``ask`` returns, an ``Asked``; its calls can be taken apart.

    Its attribute ``ask`` is what was decorated; ``subject`` is for ``lpgd.diagnose``.
    """

    @wraps(ask)
    def answer(*inputs: Given.args, **named: Given.kwargs) -> Any:
        return ask(*inputs, **named).answer()

    own: Any = answer
    own.ask, own.subject = ask, partial(subject, ask.__name__, ask)
    return own


def asked(function: Any, inputs: Sequence[Any], named: Mapping[str, Any]) -> Asked:
    """What a call of a function of this package, or of a ``partial`` of one, would solve."""
    if isinstance(function, partial):
        return asked(function.func, (*function.args, *inputs), {**function.keywords, **named})
    return function.ask(*inputs, **named)


def check(function: Any) -> None:
    """Refuse what ``asked`` cannot take apart.

    Raises
    ------
    TypeError
    """
    if isinstance(function, partial):
        check(function.func)
    elif not hasattr(function, "ask"):
        raise TypeError(
            "function must be one of lpgd.jax, such as solve_qp or functools.partial(solve_qp, "
            f"engine='daqp'), or a CvxpyLayer, got {function!r}"
        )


def subject(
    name: str,
    ask: Ask,
    inputs: tuple[Any, ...],
    named: Mapping[str, Any],
    loss: Callable[[Any], Any],
) -> Subject:
    """A call and a loss of what it returns, as ``lpgd.diagnose`` takes it.

    Arguments that are a ``jax.tree_util.Partial`` are what it returns, and its arrays the leaves.
    """
    whole = _Computed(ask, inputs, named)
    seen = whole.asked([part() for part in whole.parts])
    program, own = aside(seen.program), seen.arguments
    if any(isinstance(array, Tracer) for array in own.every.values()):
        raise StructureError("diagnose looks at numbers: call it outside of jit, grad and vmap")
    data = [np.array(array, np.float64) for array in own.every.values()]
    learned = (*(True for _ in own.arrays), *(False for _ in own.own))
    limits = jnp.finfo(own.dtype)
    ends = float(limits.eps), float(limits.max), float(limits.tiny)
    return Subject(
        name, program, data, program.batch([array.shape for array in data]), learned,
        Precision(str(np.dtype(own.dtype)), *ends), _Loss(seen, loss),
        whole.arriving if whole.parts else None,
    )  # fmt: skip


@dataclass(frozen=True)
class _Loss:
    """See ``lpgd.frontend.subject.Loss``."""

    seen: Asked
    loss: Callable[[Any], Any]

    def __call__(
        self, outputs: Sequence[np.ndarray], *, wide: bool
    ) -> tuple[float, list[np.ndarray]]:
        def value(flat: list[jax.Array]) -> jax.Array:
            found = self.loss(self.seen.present(flat))
            if np.size(found) != 1:
                raise StructureError(
                    "loss must take what the function returns to an array with one entry, "
                    f"got shape {np.shape(found)}"
                )
            return jnp.reshape(jnp.asarray(found), ())

        with with_float64() if wide else nullcontext():
            dtype = jnp.float64 if wide else self.seen.arguments.dtype
            flat = [jnp.asarray(part, dtype) for part in outputs]
            found, gradients = jax.value_and_grad(value)(flat)
            return float(found), [np.array(part, np.float64) for part in gradients]


@dataclass(frozen=True)
class _Computed:
    """A call some of whose arguments are computed, by a ``Partial`` each."""

    ask: Ask
    inputs: tuple[Any, ...]
    named: Mapping[str, Any]

    @property
    def _every(self) -> tuple[Any, ...]:
        return (*self.inputs, *self.named.values())

    @property
    def parts(self) -> list[Partial]:
        """What computes them."""
        return [own for own in self._every if isinstance(own, Partial)]

    def asked(self, values: Sequence[Any]) -> Asked:
        """The call with what they return."""
        left = iter(values)
        filled = [next(left) if isinstance(own, Partial) else own for own in self._every]
        count = len(self.inputs)
        return self.ask(*filled[:count], **dict(zip(self.named, filled[count:], strict=True)))

    def arriving(
        self, gradients: Sequence[np.ndarray], learned: Sequence[bool]
    ) -> list[float | None]:
        """See ``Subject.leaves``."""

        def data(values: Sequence[Any]) -> list[jax.Array]:
            return list(self.asked(values).arguments.arrays.values())

        values = [part() for part in self.parts]
        own, pull = jax.vjp(lambda parts: data([part() for part in parts]), self.parts)
        marked = data([jnp.full_like(value, jnp.nan) for value in values])
        left, sizes = iter(gradients), list[float | None]()
        for place in np.flatnonzero(learned):
            gradient = next(left)
            if jnp.array_equal(own[place], marked[place], equal_nan=True):
                sizes.append(None)  # of an argument that is not computed
                continue
            cotangents = [jnp.zeros_like(datum) for datum in own]
            cotangents[place] = jnp.asarray(gradient, own[place].dtype)
            sizes.append(_length(jax.tree_util.tree_leaves(pull(cotangents))))
        return sizes


def _length(arrays: Sequence[Any]) -> float:
    """Of all arrays together; those of integers have no gradient."""
    own = [np.asarray(part) for part in arrays if part.dtype != jax.dtypes.float0]
    return float(np.sqrt(sum(np.square(part, dtype=np.float64).sum() for part in own)))
