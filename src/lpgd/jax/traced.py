"""Functions of JAX as the host asks for them: rows of numbers in, rows of numbers out.

Outside of compiled programs they are compiled and called. Within one the host must not call JAX:
there it asks the program (see ``lpgd.frontend.dialogue``), which computes in the loop that ``talk``
adds to it. All in float64, whatever JAX's default is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lpgd.core.solution import FloatArray
from lpgd.frontend.dialogue import asking
from lpgd.jax.host import HOST

Row = Callable[[jax.Array], jax.Array]
MOST, ENOUGH = 64, 2**14  # rows of a question, and numbers in it
HEAD = 3  # numbers of 8 bytes: token, which function, how many rows


def wide() -> AbstractContextManager[Any]:
    """JAX with float64, for this thread."""
    own: Any = getattr(jax, "enable_x64", None)
    if own is None:  # its place before
        own = getattr(import_module("jax.experimental"), "enable_x64")  # noqa: B009
    return own(True)  # noqa: FBT003


class Traced:
    """Functions of a row (width,), each to a row of its own.

    Parameters
    ----------
    width : int
    functions : mapping from name to (callable, int)
        With the length of what they return.
    """

    def __init__(self, width: int, functions: dict[str, tuple[Row, int]]) -> None:
        self.width, self.names = width, tuple(functions)
        self.rows = [row for row, _ in functions.values()]
        self.sizes = [size for _, size in functions.values()]
        self.most = max(1, min(MOST, ENOUGH // max(width, *self.sizes, 1)))
        self._compiled = [jax.jit(partial(lax.map, row)) for row in self.rows]

    def __call__(self, name: str, rows: FloatArray) -> FloatArray:
        """What a function makes of rows (N, width), or of those of their first numbers."""
        place, given = self.names.index(name), rows
        rows = np.zeros((len(given), self.width))
        rows[:, : given.shape[1]] = given
        size, ask = self.sizes[place], asking()
        if not len(rows):
            return np.zeros((0, size))
        if ask is None:
            return self._called(place, rows)
        parts = [ask((place, rows[i : i + self.most])) for i in range(0, len(rows), self.most)]
        return np.concatenate(parts)[: len(rows), :size]

    def _called(self, place: int, rows: FloatArray) -> FloatArray:
        """In sizes that are powers of two, for few compilations; the last row fills up."""
        size = 1 << (len(rows) - 1).bit_length()
        full = np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
        with wide():
            return np.array(self._compiled[place](full), np.float64)[: len(rows)]


def talk(
    of: Traced, work: Callable[..., Any], like: Sequence[Any], arrays: Sequence[jax.Array]
) -> list[jax.Array]:
    """What the host makes of arrays, asking on its way; for tracing within ``wide()``."""
    question = jax.ShapeDtypeStruct((HEAD + of.most * of.width, 8), jnp.uint8)
    asked = jax.pure_callback(
        partial(_begin, of, work), question, *arrays, vmap_method="sequential"
    )

    def more(asked: jax.Array) -> Any:
        return _floats(asked[1:2])[0] >= 0

    def answered(asked: jax.Array) -> Any:
        place, count = _floats(asked[1:HEAD]).astype(jnp.int32)
        answer = _answer(of, place, count, _floats(asked[HEAD:]).reshape(of.most, of.width))
        given = lax.bitcast_convert_type(answer, jnp.uint8)
        return jax.pure_callback(
            partial(_go_on, of), question, asked[0], given, vmap_method="sequential"
        )

    asked = lax.while_loop(more, answered, asked)
    return jax.pure_callback(_result, list(like), asked[0], vmap_method="sequential")


def _floats(given: jax.Array) -> jax.Array:
    return lax.bitcast_convert_type(given, jnp.float64)


def _answer(of: Traced, place: jax.Array, count: jax.Array, rows: jax.Array) -> jax.Array:
    """The answers (most, widest) to the first rows."""
    blank = jnp.zeros((of.most, max(of.sizes, default=0)))

    def every(row: Row, size: int) -> jax.Array:
        def one(at: Any, found: jax.Array) -> jax.Array:
            return found.at[at, :size].set(row(rows[at]))

        return lax.fori_loop(0, count, one, blank)

    ways = [partial(every, *pair) for pair in zip(of.rows, of.sizes, strict=True)]
    return lax.switch(place, ways) if ways else blank


# What the host does.


def _begin(of: Traced, work: Callable[..., Any], *arrays: Any) -> np.ndarray:
    given = [np.array(array) for array in arrays]  # which outlive the callback
    return _written(of, *HOST.dialogues.begin(partial(work, *given)))


def _go_on(of: Traced, token: Any, answer: Any) -> np.ndarray:
    name = np.asarray(token).tobytes()
    given = np.ascontiguousarray(answer).view(np.float64)[..., 0].copy()
    return _written(of, name, HOST.dialogues.go_on(name, given))


def _result(token: Any) -> Any:
    return HOST.dialogues.result(np.asarray(token).tobytes())


def _written(of: Traced, token: bytes, question: Any) -> np.ndarray:
    """A question in bytes (numbers, 8); without one the second number is negative."""
    found = np.zeros(HEAD + of.most * of.width)
    found[1] = -1.0
    if question is not None:
        place, rows = question
        found[1:HEAD] = place, len(rows)
        found[HEAD : HEAD + rows.size] = rows.ravel()
    written = found.view(np.uint8).reshape(-1, 8)
    written[0] = np.frombuffer(token, np.uint8)
    return written
