"""A solve and its pullback as two functions of arrays, for frameworks that keep arrays only.

The first returns beside its outputs a *record* of every element, bytes that hold its solution to
the last bit, basis included. From that and the data the second makes the forward pass again: what
the engine kept is lost, which costs time, never another answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lpgd.core.errors import EngineError
from lpgd.core.problem import Problem
from lpgd.core.solution import FloatArray, Solution
from lpgd.frontend.batches import Shape
from lpgd.frontend.mapped import Derivative
from lpgd.frontend.program import Program
from lpgd.map.forward import Forward

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


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
        parts += [("entries", "i4", 1), ("status", "i1", 1), ("flags", "u1", 1)]
        return np.dtype([(k, t, (w,)) for k, t, w in (*parts, ("basis", "i1", self.n + self.m))])

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return self.layout.itemsize

    def write(self, forward: Forward) -> Bytes:
        """The records (B, width) of a forward pass.

        Raises
        ------
        EngineError
            There is more to remember than a record has room for.
        """
        found = forward.solution
        if forward.samples is not None:
            raise EngineError("rules that smooth the solution by samples need another frontend")
        records = np.zeros(len(found), self.layout)
        records["x"], records["y"] = found.x, found.y
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
        found = np.ascontiguousarray(records).view(self.layout).reshape(len(records))
        part = {name: np.ascontiguousarray(found[name]) for name in self.layout.names or ()}
        entries = int(part["entries"].max(initial=0))
        flags = part["flags"][:, 0] if part["flags"].any() else None
        basis = part["basis"][:, :entries] if entries else None
        solution = Solution(part["x"], part["y"], part["status"][:, 0], flags, basis)
        return solution, part["accuracy"][:, 0]


@dataclass(frozen=True, eq=False)
class Replay:
    """The two functions.

    Attributes
    ----------
    program : Program
    rank : int
        Number of batch dimensions of the outputs, and of every argument. Arrays may have more in
        front, of one length or of length 1, as many in all arrays.
    resolution : float
        Machine epsilon of the caller's dtype.
    """

    program: Program
    rank: int
    resolution: float

    @property
    def record(self) -> Record:
        """Layout of the records."""
        return Record.of(self.program.problem.program)

    def solve(self, data: Sequence[np.ndarray]) -> tuple[list[FloatArray], Bytes]:
        """Outputs (*batch, k) and records (*batch, width)."""
        shape = self.program.batch([array.shape for array in data])
        forward, outputs = self.program.solve(data, shape, self.resolution, keep=False)
        return outputs, self.record.write(forward).reshape(*shape, self.record.width)

    def restored(self, data: Sequence[np.ndarray], records: Bytes) -> Forward:
        """The forward pass whose records these are."""
        shape = records.shape[:-1]
        solution, accuracy = self.record.read(records.reshape(-1, records.shape[-1]))
        return self.program.restored(data, solution, accuracy, shape, self.resolution)

    def pullback(
        self,
        flags: tuple[bool, ...],
        shapes: Sequence[Shape],
        arrays: tuple[Bytes, Sequence[np.ndarray], Sequence[np.ndarray]],
    ) -> list[FloatArray]:
        """Gradients of the wanted data.

        Parameters
        ----------
        flags : tuple of bool
            Which of the data are wanted.
        shapes : sequence of tuple of int
            Of all data, without dimensions in front.
        arrays : (records, cotangents, data)
            A dimension in front that only cotangents have numbers several of one solve.

        Returns
        -------
        list of (*front, *shape of the datum) float64
        """
        records, cotangents, data = arrays
        batch = np.broadcast_shapes(records.shape[:-1], *(c.shape[:-1] for c in cotangents))
        front = len(batch) - self.rank
        several = tuple(axis for axis in range(front) if records.shape[axis] == 1)
        solved = tuple(records.shape[axis] for axis in range(front) if axis not in several)
        ahead = tuple(range(len(several)))
        vectors = [
            np.moveaxis(np.broadcast_to(c, (*batch, c.shape[-1])), several, ahead)
            for c in cotangents
        ]
        data = [array.squeeze(several) for array in data]
        forward = self.restored(data, records.squeeze(several))
        way = replace(Derivative(push=False, flags=flags), lead=len(several))
        every = [(*solved, *shape) for shape in shapes]
        gradients = self.program.pullback(forward, way, vectors, every)
        return [np.moveaxis(gradient, ahead, several) for gradient in gradients]
