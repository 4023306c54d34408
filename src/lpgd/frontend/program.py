"""One call of a layer in arrays: data to outputs, cotangents back, tangents forward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from lpgd.core.blas import threads_for
from lpgd.core.params import Params, taken
from lpgd.core.problem import Groups, Problem
from lpgd.core.solution import FloatArray, Solution
from lpgd.frontend.batches import Shape, groups, owners, params
from lpgd.frontend.mapped import Derivative
from lpgd.frontend.views import View
from lpgd.map.forward import Forward
from lpgd.map.own import parted, smooths
from lpgd.map.solution_map import SolutionMap


@dataclass(frozen=True, eq=False)
class Program:
    """What a call solves, without its data.

    Attributes
    ----------
    map : SolutionMap
    problem : Problem
    view : View
        From a solution to the outputs and back.
    names : tuple of str
        The problem's names of the arguments, in their order.
    cores : tuple of int
        How many trailing dimensions of each argument are no batch dimensions.
    opaque : mapping from name to array of objects
        Arguments that only the engine can read; all their dimensions are batch dimensions.
    """

    map: SolutionMap
    problem: Problem
    view: View
    names: tuple[str, ...]
    cores: tuple[int, ...]
    opaque: Mapping[str, np.ndarray] = field(default_factory=dict)

    def batch(self, shapes: Sequence[Shape]) -> Shape:
        """Batch dimensions of the outputs, from the shapes of the arguments."""
        own: set[Shape] = set()
        for shape, core in zip(shapes, self.cores, strict=True):
            own.add(tuple(shape[: len(shape) - core]))
        if self.opaque:
            own.update(array.shape for array in self.opaque.values())
        own.discard(())
        return own.pop() if len(own) == 1 else np.broadcast_shapes(*own)

    def params(self, data: Sequence[np.ndarray], shape: Shape) -> Params:
        """The data for every element of a batch."""
        found = params(self.names, data, self.cores, shape)
        if self.opaque:
            names, arrays = tuple(self.opaque), tuple(self.opaque.values())
            found |= params(names, arrays, (0,) * len(names), shape)
        return found

    def solve(
        self,
        data: Sequence[np.ndarray],
        shape: Shape,
        resolution: float,
        *,
        keep: bool,
        start: Solution | None = None,
    ) -> tuple[Forward, list[FloatArray]]:
        """Solve a batch.

        Parameters
        ----------
        data : sequence of float64 (or object) arrays
            A batch dimension of size 1 shares a value.
        shape : tuple of int
            Batch shape of the outputs.
        resolution : float
            Machine epsilon of the caller's dtype.
        keep : bool
            Whether a derivative will be asked for.
        start : Solution or None
            See ``SolutionMap.solve``.

        Returns
        -------
        forward : Forward
        outputs : list of (*shape, k) float64
            Arrays of the caller's own; NaN where an element failed.
        """
        with threads_for(self.problem):
            forward = self.map.solve(
                self.problem, self.params(data, shape), shape,
                resolution=resolution, keep=keep, start=start,
            )  # fmt: skip
        hole = np.where(forward.solution.solved, 0.0, np.nan)[:, None]
        parts = self.view.gather(forward)
        return forward, [(part + hole).reshape(*shape, part.shape[1]) for part in parts]

    def restored(
        self,
        data: Sequence[np.ndarray],
        solution: Solution,
        accuracy: FloatArray,
        shape: Shape,
        resolution: float,
    ) -> Forward:
        """The forward pass that found this solution, without what the engine kept of it.

        Where a rule solved others in the place of the batch, they are solved again.
        """
        if smooths(self.map.rule):
            return self.solve(data, shape, resolution, keep=True)[0]
        given, own = parted(self.params(data, shape))
        fit, _ = self.problem.check(given, resolution)
        engine, threads = self.map.choose(self.problem).engine, self.map.threads
        return Forward(
            self.problem, fit, solution, accuracy, engine, shape, threads=threads, own=own
        )

    def pullback(
        self,
        forward: Forward,
        way: Derivative,
        cotangents: Sequence[np.ndarray],
        shapes: Sequence[Shape],
    ) -> list[FloatArray]:
        """Gradients of the wanted data.

        Parameters
        ----------
        forward : Forward
        way : Derivative
        cotangents : sequence of (*lead, *batch, k) float64
            One an output.
        shapes : sequence of tuple of int
            Of the data.

        Returns
        -------
        list of (*lead, *shape of the datum) float64
        """
        batch, extra = forward.shape, cotangents[0].shape[: way.lead]
        several, size = prod(extra), prod(batch)
        parts = [np.ascontiguousarray(c).reshape(several * size, c.shape[-1]) for c in cotangents]
        cotangent = self.view.cotangent(_rows(size, several), parts)
        wanted = self.sums(way, shapes, batch, several)
        with threads_for(self.problem):
            gradients = self.map.pullback(forward, cotangent, wanted)
        return [
            np.ascontiguousarray(gradients[name]).reshape(extra + shape)
            for name, shape in zip(wanted, way.chosen(shapes), strict=True)
        ]

    def sums(
        self, way: Derivative, shapes: Sequence[Shape], batch: Shape, several: int = 1
    ) -> dict[str, Groups]:
        """Which rows are summed into the gradient of each wanted datum."""
        wanted: dict[str, Groups] = {}
        alike: dict[Shape, Groups] = {}
        each = zip(self.names, shapes, self.cores, strict=True)
        for name, shape, core in way.chosen(tuple(each)):
            own = tuple(shape[: len(shape) - core])
            if own not in alike:
                alike[own] = groups(own, batch, several)
            wanted[name] = alike[own]
        return wanted

    def pushforward(
        self,
        forward: Forward,
        way: Derivative,
        tangents: Sequence[np.ndarray],
        data: Sequence[np.ndarray],
    ) -> list[FloatArray]:
        """Tangents of the outputs, (*lead, *batch, k), along those of the given data.

        Parameters
        ----------
        forward : Forward
        way : Derivative
        tangents : sequence of (*lead, *shape of the datum) float64
            One for each given datum.
        data : sequence of float64 arrays
        """
        shape, extra = forward.shape, tangents[0].shape[: way.lead]
        several = prod(extra)
        rows = _rows(prod(shape), several)
        given = taken(self.params(data, shape), rows)
        ways: dict[str, FloatArray] = {}
        for name, core, tangent in zip(
            way.chosen(self.names), way.chosen(self.cores), tangents, strict=True
        ):
            batch, kept = _split(tangent.shape[way.lead :], core)
            values = np.ascontiguousarray(tangent).reshape(several, prod(batch), *kept)
            ways[name] = values[:, owners(batch, shape).ravel()].reshape(-1, *kept)
        with threads_for(self.problem):
            found = self.map.pushforward(forward, given, ways, rows, self.view.gather)
        return [part.reshape(*extra, *shape, part.shape[1]) for part in found]


def _rows(size: int, several: int) -> np.ndarray:
    """The element of each row, for several cotangents or tangents of a batch."""
    return np.tile(np.arange(size), several)


def _split(shape: Shape, core: int) -> tuple[Shape, Shape]:
    return shape[: len(shape) - core], shape[len(shape) - core :]
