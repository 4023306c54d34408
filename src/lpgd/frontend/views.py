"""What a family's outputs are: the view from a solution to a layer's tensors, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np

from lpgd.core.tilt import Cotangent
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import Polyhedral
from lpgd.families.cvxpy.model import CvxpyModel
from lpgd.map.forward import Forward


class View(Protocol):
    """Outputs of one family, arrays of N rows each."""

    @property
    def outputs(self) -> int:
        """How many there are."""
        ...

    def gather(self, forward: Forward) -> Sequence[np.ndarray]:
        """The outputs of every element; those of failed ones may hold anything."""
        ...

    def cotangent(self, rows: np.ndarray, parts: Sequence[np.ndarray]) -> Cotangent:
        """Cotangents of the outputs as one of the solution."""
        ...


class Blocked(Protocol):
    """A problem whose multipliers come in blocks: ``A``, ``G``, ``lb``, ``ub``."""

    @property
    def blocks(self) -> Mapping[str, slice]:
        """Where each of them is in y."""
        ...


@final
@dataclass(frozen=True)
class QPView:
    """(x, y, z, z_box) with z_box = mu_u - mu_l."""

    problem: Blocked
    outputs: int = 4

    def gather(self, forward: Forward) -> list[np.ndarray]:
        blocks, x, y = self.problem.blocks, forward.solution.x, forward.solution.y
        box, none = np.zeros_like(x), slice(0, 0)
        if "lb" in blocks:
            box -= y[:, blocks["lb"]]
        if "ub" in blocks:
            box += y[:, blocks["ub"]]
        return [x, y[:, blocks.get("A", none)], y[:, blocks.get("G", none)], box]

    def cotangent(self, rows: np.ndarray, parts: Sequence[np.ndarray]) -> Cotangent:
        dx, dy, dz, dbox = parts
        blocks = {"A": dy, "G": dz, "lb": -dbox, "ub": dbox}
        flat = [dx[:, :0], *map(blocks.__getitem__, self.problem.blocks)]
        return Cotangent(rows, dx, np.concatenate(flat, axis=1))


@final
@dataclass(frozen=True)
class ConicView:
    """(x, y, s) with s = b - Ax."""

    problem: Conic | Polyhedral
    outputs: int = 3

    def gather(self, forward: Forward) -> list[np.ndarray]:
        solution = forward.solution
        with np.errstate(all="ignore"):  # data of invalid elements
            slacks = self.problem.slacks(forward.params, solution.x)
        return [solution.x, solution.y, slacks]

    def cotangent(self, rows: np.ndarray, parts: Sequence[np.ndarray]) -> Cotangent:
        dx, dy, ds = parts
        return Cotangent(rows, dx, dy, ds if ds.any() else None)


@final
@dataclass(frozen=True)
class CvxpyView:
    """The variables of a CVXPY problem, each with its entries row by row."""

    problem: CvxpyModel

    @property
    def outputs(self) -> int:
        return len(self.problem.outputs)

    def gather(self, forward: Forward) -> list[np.ndarray]:
        x, y = forward.solution.x, forward.solution.y
        return [output.entries(y if output.dual else x) for output in self.problem.outputs]

    def cotangent(self, rows: np.ndarray, parts: Sequence[np.ndarray]) -> Cotangent:
        """See ``View.cotangent``; what an entry of the solution fills twice is summed."""
        problem = self.problem
        sums = {False: np.zeros((len(rows), problem.n)), True: np.zeros((len(rows), problem.m))}
        for output, part in zip(problem.outputs, parts, strict=True):
            sums[output.dual] = sums[output.dual] + output.entries.pull(part)
        return Cotangent(rows, sums[False], sums[True])
