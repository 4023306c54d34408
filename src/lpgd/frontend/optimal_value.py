"""Sums of optimal values of problems, and their gradients in the parameters.

The gradient of an optimal value is that of the Lagrangian, the saddle point held fixed: exact, and
without a second solve (math page, section 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from lpgd.core.solution import FloatArray
from lpgd.core.tilt import Term, Tilt
from lpgd.families.cvxpy.affine import Affine
from lpgd.families.cvxpy.model import CvxpyModel
from lpgd.frontend.adding import gradients
from lpgd.frontend.batches import Shape
from lpgd.frontend.envelope import Evaluated
from lpgd.frontend.mapped import Derivative
from lpgd.frontend.program import Program
from lpgd.map.forward import Forward


@dataclass(frozen=True)
class Piece:
    """``weight`` times the optimal value of a program of ``count`` data and of constants."""

    weight: float
    program: Program
    count: int
    constants: tuple[np.ndarray, ...] = ()

    @property
    def offset(self) -> Affine | None:
        """What a CVXPY problem has beside the costs of its program."""
        problem = self.program.problem
        return problem.offset if isinstance(problem, CvxpyModel) else None


def total(
    pieces: Sequence[Piece],
    data: Sequence[np.ndarray],
    shape: Shape,
    resolution: float,
    *,
    warm: bool = False,
) -> Evaluated:
    """The sum of the pieces for every element of a batch of this shape.

    If ``warm``, all programs are alike, and start from the solutions of the first.

    Raises
    ------
    SolverError
        An element could not be solved, and the map's ``on_failure`` is ``"raise"``.
    """
    solved: list[Forward] = []
    values = np.zeros(int(np.prod(shape)))
    for piece in pieces:
        own = [*data[: piece.count], *piece.constants]
        start = solved[0].solution if warm and solved else None
        forward, _ = piece.program.solve(own, shape, resolution, keep=False, start=start)
        solved.append(forward)
        found = forward.program.lagrangian(forward.params, forward.solution, _flat(forward))
        if piece.offset is not None:
            given = piece.program.params(own, shape)
            found = found + piece.offset(given, len(values)).full()[:, 0]
        values += np.where(forward.solution.solved, piece.weight * found, np.nan)

    def pull(
        cotangent: FloatArray, wanted: Sequence[bool], shapes: Sequence[Shape]
    ) -> list[FloatArray]:
        upward = np.where(np.isnan(values), 0.0, cotangent.reshape(-1))
        sums = [np.zeros(own) for own in shapes]
        for piece, forward in zip(pieces, solved, strict=True):
            none = (False,) * len(piece.constants)
            way = Derivative(push=False, flags=(*wanted[: piece.count], *none))
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
    program = piece.program
    shapes = [*every[: piece.count], *(own.shape for own in piece.constants)]
    terms = [Term(weight, forward.solution, _flat(forward))]
    found = gradients(program, forward, terms, way, shapes)
    for i, (name, rows) in enumerate(program.sums(way, shapes, forward.shape).items()):
        part = piece.offset.parts.get(name) if piece.offset is not None else None
        if part is not None:
            found[i] = found[i] + part.pull(weight[rows].sum(axis=1)[:, None]).reshape(
                found[i].shape
            )
    return found


def _flat(forward: Forward) -> Tilt:
    x, y = forward.solution.x, forward.solution.y
    none = np.zeros(len(x))
    return Tilt(np.arange(len(x)), none, np.zeros_like(x), np.zeros_like(y), none, x)
