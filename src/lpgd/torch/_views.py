"""What a family's outputs are: the view from a solution to a layer's tensors, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np

from lpgd.backward import Forward
from lpgd.problems.conic import Conic
from lpgd.problems.polyhedral import Polyhedral
from lpgd.problems.qp import QP
from lpgd.tilt import Cotangent


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


@final
@dataclass(frozen=True)
class QPView:
    """(x, y, z, z_box) with z_box = mu_u - mu_l."""

    problem: QP
    outputs: int = 4

    def gather(self, forward: Forward) -> list[np.ndarray]:
        """See ``View.gather``."""
        problem, x, y = self.problem, forward.solution.x, forward.solution.y
        box = np.zeros_like(x)
        if "lb" in problem.blocks:
            box -= problem.block(y, "lb")
        if "ub" in problem.blocks:
            box += problem.block(y, "ub")
        return [x, problem.block(y, "A"), problem.block(y, "G"), box]

    def cotangent(self, rows: np.ndarray, parts: Sequence[np.ndarray]) -> Cotangent:
        """See ``View.cotangent``."""
        dx, dy, dz, dbox = parts
        blocks = {"A": dy, "G": dz, "lb": -dbox, "ub": dbox}
        flat = [dx[:, :0], *(blocks[name] for name in self.problem.blocks)]
        return Cotangent(rows, dx, np.concatenate(flat, axis=1))


@final
@dataclass(frozen=True)
class ConicView:
    """(x, y, s) with s = b - Ax."""

    problem: Conic | Polyhedral
    outputs: int = 3

    def gather(self, forward: Forward) -> list[np.ndarray]:
        """See ``View.gather``."""
        solution = forward.solution
        with np.errstate(all="ignore"):  # data of invalid elements
            slacks = self.problem.slacks(forward.params, solution.x)
        return [solution.x, solution.y, slacks]

    def cotangent(self, rows: np.ndarray, parts: Sequence[np.ndarray]) -> Cotangent:
        """See ``View.cotangent``."""
        dx, dy, ds = parts
        return Cotangent(rows, dx, dy, ds if ds.any() else None)
