"""Envelopes as functions of arrays, for frameworks that keep arrays only; see ``replay``.

A record is a token and a row: where what a token names is lost, the data are evaluated again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress
from math import prod
from typing import Any

import numpy as np

from lpgd.core.solution import FloatArray
from lpgd.frontend.batches import Shape
from lpgd.frontend.dialogue import patient
from lpgd.frontend.envelope import Evaluated
from lpgd.frontend.kept import TOKEN, Store, one_call
from lpgd.frontend.mapped import Derivative
from lpgd.frontend.replay import Arrays, Bytes, doubles

LAYOUT = np.dtype([("call", "u1", (TOKEN,)), ("row", "i4")])


@dataclass(frozen=True, eq=False)
class Valued:
    """An envelope as a ``Host``: one output, a number for each element.

    Attributes
    ----------
    evaluate : callable
        From data and a batch shape to the envelopes.
    shared : callable
        From the shapes of the data to the batch shape that they broadcast to.
    cores : tuple of int
        How many trailing dimensions of each datum are no batch dimensions.
    store : Store
        Where envelopes are kept for their gradients.
    """

    evaluate: Callable[[Arrays, Shape], Evaluated]
    shared: Callable[[Sequence[Shape]], Shape]
    cores: tuple[int, ...]
    store: Store

    @property
    def widths(self) -> tuple[int, ...]:
        """See ``Host``."""
        return (1,)

    @property
    def width(self) -> int:
        """See ``Host``."""
        return LAYOUT.itemsize

    def batch(self, shapes: Sequence[Shape]) -> Shape:
        """See ``Host``."""
        return self.shared(shapes)

    def solve(self, data: Arrays, *, keep: bool) -> tuple[list[FloatArray], Bytes | None]:
        """See ``Host``."""
        shape = self.batch([array.shape for array in data])
        found = self.evaluate(data, shape)
        values = [found.values[..., None]]
        if not keep:
            return values, None
        records: Any = np.zeros(prod(shape), LAYOUT)
        records["call"] = np.frombuffer(self.store.put(found), np.uint8)
        records["row"] = np.arange(len(records))
        return values, records.view(np.uint8).reshape(*shape, self.width)

    def pullback(
        self, way: Derivative, shapes: Sequence[Shape], cotangents: Arrays, data: Arrays,
        records: Bytes,
    ) -> list[FloatArray]:  # fmt: skip
        """See ``Host``."""
        own, batch = iter(shapes), records.shape[:-1]
        every: list[Shape] = [next(own) if wanted else () for wanted in way.flags]
        lead = cotangents[0].shape[: way.lead]
        with self._evaluated(data, records) as found:
            rows = cotangents[0].reshape(prod(lead), *batch)
            parts = [found.pull(row, way.flags, every) for row in rows]
        wanted = way.chosen(every)
        if not parts:
            return [np.zeros((*lead, *shape)) for shape in wanted]
        stacked = (np.stack(each) for each in zip(*parts, strict=True))
        return [each.reshape(*lead, *shape) for each, shape in zip(stacked, wanted, strict=True)]

    def pushforward(
        self, way: Derivative, tangents: Arrays, data: Arrays, records: Bytes
    ) -> list[FloatArray]:
        """See ``Host``: each element's gradient times the tangents."""
        batch = records.shape[:-1]
        ends = [d.shape[d.ndim - core :] for d, core in zip(data, self.cores, strict=True)]
        with self._evaluated(data, records) as found:
            slopes = found.pull(np.ones(batch), way.flags, [(*batch, *end) for end in ends])
        lead = tangents[0].shape[: way.lead]
        total = np.zeros((*lead, *batch))
        for slope, tangent, core in zip(
            slopes, tangents, compress(self.cores, way.flags), strict=True
        ):
            gap = slope.ndim - (tangent.ndim - way.lead)
            aligned = tangent.reshape(*lead, *(1,) * gap, *tangent.shape[way.lead :])
            total += (slope * aligned).sum(axis=tuple(range(-core, 0)))
        return [total[..., None]]

    @contextmanager
    def _evaluated(self, data: Arrays, records: Bytes) -> Iterator[Evaluated]:
        shape = records.shape[:-1]
        rows = np.ascontiguousarray(records).reshape(-1, self.width).view(LAYOUT)[:, 0]
        token = one_call(rows["call"], rows["row"]) or b""
        with self.store.using(token, wait=patient()) as kept:
            if isinstance(kept, Evaluated) and kept.values.shape == shape:
                yield kept
            else:
                yield self.evaluate(doubles(data), shape)
