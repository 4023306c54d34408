"""A solve and its derivatives as functions of arrays, for frameworks that keep arrays only.

The first returns beside its outputs a *record* of every element: bytes that hold its solution to
the last bit, basis included, and the token under which the forward pass is kept. Where that is
lost, the forward pass is made again from data and records: what the engine kept is gone, which
costs time, never another answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lpgd.core.errors import EngineError
from lpgd.core.problem import Problem
from lpgd.core.solution import FloatArray, Solution
from lpgd.frontend.batches import Shape
from lpgd.frontend.dialogue import patient
from lpgd.frontend.kept import TOKEN, Store, one_call
from lpgd.frontend.mapped import Derivative
from lpgd.frontend.program import Program
from lpgd.map.forward import Forward

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Arrays = Sequence[np.ndarray]


class Host(Protocol):
    """What a bridge between a framework's arrays and the host needs; ``Replay`` is one.

    Data are float64, or of the caller's dtype where they serve for a lost forward pass alone.
    """

    @property
    def cores(self) -> tuple[int, ...]:
        """How many trailing dimensions of each datum are no batch dimensions."""
        ...

    @property
    def widths(self) -> tuple[int, ...]:
        """Length of a row of each output."""
        ...

    @property
    def width(self) -> int:
        """Bytes of a record."""
        ...

    def batch(self, shapes: Sequence[Shape]) -> Shape:
        """Batch dimensions of the outputs, from the shapes of the data."""
        ...

    def solve(self, data: Arrays, *, keep: bool) -> tuple[list[FloatArray], Bytes | None]:
        """Outputs (*batch, k), and records (*batch, width) if a derivative may follow."""
        ...

    def pullback(
        self, way: Derivative, shapes: Sequence[Shape], cotangents: Arrays, data: Arrays,
        records: Bytes,
    ) -> list[FloatArray]:  # fmt: skip
        """Gradients (*lead, *shape) of the wanted data from cotangents (*lead, *batch, k)."""
        ...

    def pushforward(
        self, way: Derivative, tangents: Arrays, data: Arrays, records: Bytes
    ) -> list[FloatArray]:
        """Tangents (*lead, *batch, k) of the outputs along those of some data."""
        ...


@dataclass(frozen=True)
class Record:
    """Layout of the records of a problem with ``n`` variables and ``m`` multipliers."""

    n: int
    m: int

    @classmethod
    def of(cls, problem: Problem) -> Record:
        """Of the solutions of a problem."""
        return cls(problem.n, problem.m)

    @property
    def layout(self) -> np.dtype[Any]:
        """One element. A basis names variables and rows, so it has at most n + m entries."""
        parts = [("x", "f8", self.n), ("y", "f8", self.m), ("accuracy", "f8", 1)]
        parts += [("call", "u1", TOKEN), ("row", "i4", 1), ("entries", "i4", 1)]
        parts += [("status", "i1", 1), ("flags", "u1", 1)]
        return np.dtype([(k, t, (w,)) for k, t, w in (*parts, ("basis", "i1", self.n + self.m))])

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return self.layout.itemsize

    def write(self, forward: Forward, token: bytes = bytes(TOKEN)) -> Bytes:
        """The records (B, width) of a forward pass.

        Raises
        ------
        EngineError
            There is more to remember than a record has room for.
        """
        found = forward.solution
        if found.objects is not None:
            raise EngineError("objects have no room in a record")
        records = np.zeros(len(found), self.layout)
        records["x"], records["y"] = found.x, found.y
        records["call"] = np.frombuffer(token, np.uint8)
        records["row"] = np.arange(len(found))[:, None]
        records["accuracy"], records["status"] = forward.accuracy[:, None], found.status[:, None]
        if found.flags is not None:
            records["flags"] = found.flags[:, None]
        if found.basis is not None:
            entries = found.basis.shape[1]
            if entries > self.n + self.m:
                raise EngineError(
                    f"engine {forward.engine.name!r} keeps a basis of {entries} entries, and there "
                    f"is room for {self.n + self.m}"
                )
            records["entries"], records["basis"][:, :entries] = entries, found.basis
        return records.view(np.uint8).reshape(len(found), self.width)

    def read(self, records: Bytes) -> tuple[Solution, FloatArray]:
        """Solution and accuracy (B,) of records (B, width)."""
        found = self._view(records)
        part = {name: np.ascontiguousarray(found[name]) for name in self.layout.names or ()}
        entries = int(part["entries"].max(initial=0))
        flags = part["flags"][:, 0] if part["flags"].any() else None
        basis = part["basis"][:, :entries] if entries else None
        solution = Solution(part["x"], part["y"], part["status"][:, 0], flags, basis)
        return solution, part["accuracy"][:, 0]

    def token(self, records: Bytes) -> bytes | None:
        """The token of records (B, width) that are those of one call in their order, else None."""
        found = self._view(records)
        return one_call(found["call"], found["row"][:, 0])

    def _view(self, records: Bytes) -> np.ndarray:
        return np.ascontiguousarray(records).view(self.layout).reshape(len(records))


@dataclass
class Last:
    """The last solution of a layer whose solver takes a warm start."""

    solution: Solution | None = None


@dataclass(frozen=True, eq=False)
class Replay:
    """A program as functions of arrays; see ``Host``.

    Attributes
    ----------
    program : Program
    widths : tuple of int
        Length of a row of each output.
    resolution : float
        Machine epsilon of the caller's dtype.
    store : Store
        Where forward passes are kept.
    last : Last or None
        Where to remember the solution.
    warm : bool
        Whether to start from the one that is remembered.
    """

    program: Program
    widths: tuple[int, ...]
    resolution: float
    store: Store
    last: Last | None = None
    warm: bool = False

    @property
    def cores(self) -> tuple[int, ...]:
        """See ``Host``."""
        return self.program.cores

    @property
    def record(self) -> Record:
        """Layout of the records."""
        return Record.of(self.program.problem.program)

    @property
    def width(self) -> int:
        """See ``Host``."""
        return self.record.width

    def batch(self, shapes: Sequence[Shape]) -> Shape:
        """See ``Host``."""
        return self.program.batch(shapes)

    def solve(self, data: Arrays, *, keep: bool) -> tuple[list[FloatArray], Bytes | None]:
        """See ``Host``."""
        shape = self.batch([array.shape for array in data])
        start = self.last.solution if self.last is not None and self.warm else None
        forward, outputs = self.program.solve(data, shape, self.resolution, keep=keep, start=start)
        if self.last is not None:
            self.last.solution = forward.solution
        if not keep:
            return outputs, None
        records = self.record.write(forward, self.store.put(forward))
        return outputs, records.reshape(*shape, self.width)

    def pullback(
        self, way: Derivative, shapes: Sequence[Shape], cotangents: Arrays, data: Arrays,
        records: Bytes,
    ) -> list[FloatArray]:  # fmt: skip
        """See ``Host``."""
        own = iter(shapes)
        every: list[Shape] = [next(own) if wanted else () for wanted in way.flags]
        with self._forward(data, records) as forward:
            return self.program.pullback(forward, way, cotangents, every)

    def pushforward(
        self, way: Derivative, tangents: Arrays, data: Arrays, records: Bytes
    ) -> list[FloatArray]:
        """See ``Host``."""
        with self._forward(data, records) as forward:
            return self.program.pushforward(forward, way, tangents, doubles(data))

    def restored(self, data: Arrays, records: Bytes) -> Forward:
        """The forward pass whose records these are, from them and the data alone."""
        shape = records.shape[:-1]
        solution, accuracy = self.record.read(records.reshape(-1, self.width))
        return self.program.restored(doubles(data), solution, accuracy, shape, self.resolution)

    @contextmanager
    def _forward(self, data: Arrays, records: Bytes) -> Iterator[Forward]:
        token = self.record.token(records.reshape(-1, self.width))
        with self.store.using(token or b"", wait=patient()) as kept:
            fits = isinstance(kept, Forward) and kept.shape == records.shape[:-1]
            yield kept if isinstance(kept, Forward) and fits else self.restored(data, records)


def doubles(data: Arrays) -> list[np.ndarray]:
    """Copies as float64: a framework's own may end with a call, and may not be written to."""
    return [np.array(array, dtype=np.float64) for array in data]
