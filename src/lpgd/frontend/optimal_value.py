"""Sums of optimal values of CVXPY problems, and their gradients in the parameters.

The gradient of an optimal value is that of the Lagrangian, the saddle point held fixed: exact, and
without a second solve (math page, section 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import cast

import numpy as np

from lpgd.core.solution import FloatArray
from lpgd.core.tilt import Term, Tilt
from lpgd.families.cvxpy.model import CvxpyModel
from lpgd.frontend.adding import gradients
from lpgd.frontend.batches import Shape
from lpgd.frontend.envelope import Evaluated
from lpgd.frontend.mapped import Derivative
from lpgd.frontend.program import Program
from lpgd.map.forward import Forward


@dataclass(frozen=True)
class Piece:
    """``weight`` times the optimal value of a program of the first ``count`` data."""

    weight: float
    program: Program
    count: int

    @property
    def model(self) -> CvxpyModel:
        """The problem."""
        return cast(CvxpyModel, self.program.problem)


def total(
    pieces: Sequence[Piece],
    data: Sequence[np.ndarray],
    shape: Shape,
    resolution: float,
) -> Evaluated:
    """The sum of the pieces for every element of a batch of this shape.

    Raises
    ------
    SolverError
        An element could not be solved, and the map's ``on_failure`` is ``"raise"``.
    """
    solved: list[Forward] = []
    values = np.zeros(int(np.prod(shape)))
    for piece in pieces:
        own = data[: piece.count]
        forward, _ = piece.program.solve(own, shape, resolution, keep=False)
        solved.append(forward)
        constant = piece.model.offset(piece.program.params(own, shape), len(values)).full()[:, 0]
        found = forward.program.lagrangian(forward.params, forward.solution, _flat(forward))
        values += np.where(forward.solution.solved, piece.weight * (found + constant), np.nan)

    def pull(
        cotangent: FloatArray, wanted: Sequence[bool], shapes: Sequence[Shape]
    ) -> list[FloatArray]:
        upward = np.where(np.isnan(values), 0.0, cotangent.reshape(-1))
        sums = [np.zeros(own) for own in shapes]
        for piece, forward in zip(pieces, solved, strict=True):
            way = Derivative(False, tuple(wanted[: piece.count]))  # noqa: FBT003
            places = list(compress(range(piece.count), way.flags))
            found = _gradients(piece, forward, piece.weight * upward, way, shapes)
            for place, gradient in zip(places, found, strict=True):
                sums[place] += gradient
        return list(compress(sums, wanted))

    return Evaluated(values.reshape(shape), pull, solved)


def _gradients(
    piece: Piece,
    forward: Forward,
    weight: FloatArray,
    way: Derivative,
    every: Sequence[Shape],
) -> list[FloatArray]:
    program, shapes = piece.program, every[: piece.count]
    terms = [Term(weight, forward.solution, _flat(forward))]
    found = gradients(program, forward, terms, way, shapes)
    for i, (name, rows) in enumerate(program.sums(way, shapes, forward.shape).items()):
        part = piece.model.offset.parts.get(name)
        if part is not None:
            found[i] = found[i] + part.pull(weight[rows].sum(axis=1)[:, None]).reshape(
                found[i].shape
            )
    return found


def _flat(forward: Forward) -> Tilt:
    x, y = forward.solution.x, forward.solution.y
    none = np.zeros(len(x))
    return Tilt(np.arange(len(x)), none, np.zeros_like(x), np.zeros_like(y), none, x)
