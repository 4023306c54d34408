"""Regularised linear costs over the convex hull of a set, by an oracle of the set alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from lpgd.core.options import number, positive, whole
from lpgd.core.params import Params, batched, taken
from lpgd.core.problem import Problem
from lpgd.core.public import public
from lpgd.core.rule import Backward, Pullback, Rule, Samples
from lpgd.core.solution import FloatArray, IntArray, Solution, StatusArray
from lpgd.core.tilt import Cotangent
from lpgd.rules.face import Face, along
from lpgd.rules.linear import COST, pulled, refuse_curved


@public("lpgd.rules")
@final
@dataclass(frozen=True)
class FrankWolfe(Rule):
    """Regularised Frank-Wolfe (Dalle et al., 2022): min <c, x> + weight/2 ||x||^2 over the hull.

    The forward solution is that of the regularised problem (math page, section 5e), found by
    solves of linear costs alone: fully corrective Frank-Wolfe steps, which is Wolfe's algorithm for
    the nearest point of a polytope, finite and exact. Its gradient is LPGD's as tau -> 0, the
    derivative on the face F where the solution lies: -Proj_F dx / weight.

    Parameters
    ----------
    weight : float
        > 0, in units of the costs over those of x.
    iterations : int
        Most solves of an element, >= 1; one that is not done by then stays where it is.
    tol : float
        Duality gap over ``weight`` at which an element is done, >= 0; it ends earlier where its
        face is found.
    """

    weight: float = 1.0
    iterations: int = 10_000
    tol: float = 1e-10

    def __post_init__(self) -> None:
        positive("weight", self.weight)
        whole("iterations", self.iterations)
        number("tol", self.tol)

    def requires(self, problem: Problem) -> str | None:
        """None: nothing is solved in backward."""
        refuse_curved(problem, "FrankWolfe")
        return None

    def explore(
        self, problem: Problem, params: Params, solve: Callable[[Params], Solution]
    ) -> tuple[Samples, Solution]:
        """The vertices on whose hull each solution lies, and their weights."""
        target = -params[COST].full() / self.weight

        def vertices(rows: IntArray, costs: FloatArray) -> Solution:
            return solve({**taken(params, rows), COST: batched(costs)})

        start = vertices(np.arange(len(target)), -target)
        faces, status = [Face(x) for x in start.x], start.status.copy()
        open_ = np.flatnonzero(start.solved)
        for _ in range(self.iterations):
            if not len(open_):
                break
            point = np.array([faces[i].point for i in open_])
            slope = point - target[open_]
            best = vertices(open_, slope)
            status[open_] = best.status
            far = best.solved & ((slope * (point - best.x)).sum(axis=1) > self.tol)
            grew = [far[k] and faces[i].extend(best.x[k], target[i]) for k, i in enumerate(open_)]
            open_ = open_[np.array(grew, dtype=np.bool_)]
        return _support(params, faces, status, problem)

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """The derivative on the face of each solution; see ``Rule.pullback``."""
        assert backward.samples is not None
        samples, solved = backward.samples
        gradient = np.zeros_like(cotangent.dx)
        for row, element in enumerate(cotangent.rows):
            own = slice(*np.searchsorted(samples.rows, [element, element + 1]))
            across = solved.x[own][1:] - solved.x[own][0]
            within = along(across, cotangent.dx[row]) @ across
            gradient[row] = -within / self.weight
        return pulled(point, cotangent, gradient)


def _support(
    params: Params, faces: list[Face], status: StatusArray, problem: Problem
) -> tuple[Samples, Solution]:
    counts = [len(face.weight) for face in faces]
    rows = np.repeat(np.arange(len(faces)), counts)
    found = Solution.blank(len(rows), problem.n, problem.m)
    found = replace(found, x=np.concatenate([face.vertices for face in faces]), status=status[rows])
    weight = np.concatenate([face.weight for face in faces])
    return Samples(taken(params, rows), rows, {}, weight), found
