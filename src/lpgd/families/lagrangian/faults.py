"""What is wrong with a point that is no saddle point of its Lagrangian, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol

import numpy as np

from lpgd.core.params import Params, taken
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.families.lagrangian.model import Curvature, Smooth, blocks
from lpgd.families.lagrangian.optimality import Conditions
from lpgd.families.quadratic.structure import QUIET

LOOSE = 1e-5  # relative residual of an answer that is none
STEP = 1e-6  # of differences that measure the terms of the conditions
MOST = 6  # parts of y whose signs are tried


class Named(Smooth, Protocol):
    """A Lagrangian whose parts of y have names."""

    @property
    def parts(self) -> Mapping[str, slice]:
        """The entries of y of each part."""
        ...

    def value(self, params: Params, x: FloatArray, y: FloatArray) -> FloatArray:
        """See ``Model.value``."""
        ...


@dataclass(frozen=True)
class _Differenced:
    """A Lagrangian whose second derivatives are differences of the first."""

    of: Smooth
    n: int
    m: int
    nonnegative: BoolArray
    twins: None = None

    def slopes(self, params: Params, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See ``Model.slopes``."""
        return self.of.slopes(params, x, y)

    def curvature(self, params: Params, x: FloatArray, y: FloatArray) -> Curvature:
        """See ``Model.curvature``."""
        z = np.concatenate([x, y], axis=1)
        step = STEP * np.maximum(np.abs(z), np.abs(z).max(axis=1, keepdims=True, initial=1e-3))
        hessian = np.empty((len(z), self.n + self.m, self.n + self.m))
        for column in range(self.n + self.m):
            ends = list[FloatArray]()
            for sign in (1.0, -1.0):
                moved = z.copy()
                moved[:, column] += sign * step[:, column]
                found = self.slopes(params, moved[:, : self.n], moved[:, self.n :])
                ends.append(np.concatenate(found, axis=1))
            hessian[:, column] = (ends[0] - ends[1]) / (2 * step[:, column, None])
        return blocks(hessian, self.n)


@QUIET
def faults(problem: Named, params: Params, point: Solution, values: FloatArray) -> dict[int, str]:
    """What is wrong with solved rows, those of which nothing is left out.

    ``values`` (N,) are what a procedure takes for the values of the Lagrangian; NaN where it does
    not say.
    """
    rows = np.flatnonzero(point.solved)
    data, some = taken(params, rows), point.take(rows)
    smooth = _Differenced(problem, problem.n, problem.m, problem.nonnegative)
    at = Conditions.of(smooth, data, some)
    found: dict[int, str] = {}
    for place, row in enumerate(rows.tolist()):
        here = np.array([place])
        looked = _Look(problem, taken(data, here), some.take(here), at.take(here))
        why = next(looked.faults(float(values[row])), None)
        if why:
            found[row] = why
    return found


@dataclass(frozen=True)
class _Look:
    """One point, its conditions, and what is wrong with it."""

    problem: Named
    params: Params
    point: Solution
    at: Conditions

    def faults(self, value: float) -> Iterator[str]:
        """The faults, the most telling one first."""
        if self._unbalanced(self.point) > LOOSE:
            yield self._signs() or self._pulls()
        yield from self._rows()
        yield from self._value(value)

    def _unbalanced(self, point: Solution) -> float:
        """How far the point is from stationary in x, relative to the terms."""
        pull, _ = self.problem.slopes(self.params, point.x, point.y)
        return float((np.abs(pull) / self.at.gamma).max(initial=0.0))

    def _signs(self) -> str | None:
        """Which parts of y have the other sign, if that is all."""
        named = [(k, part) for k, part in self.problem.parts.items() if self.point.y[0, part].any()]
        for signs in product((1.0, -1.0), repeat=min(len(named), MOST)):
            turned = self.point.y.copy()
            for (_, part), sign in zip(named, signs, strict=False):
                turned[:, part] *= sign
            if self._unbalanced(replace(self.point, y=turned)) <= LOOSE:
                wrong = [k for (k, _), sign in zip(named, signs, strict=False) if sign < 0]
                return (
                    f"{' and '.join(wrong)} of solve has the other sign convention than the "
                    f"Lagrangian: with -{' and -'.join(wrong)} the point is stationary. Turn the "
                    "sign of what solve returns, or of these terms of the Lagrangian"
                )
        return None

    def _pulls(self) -> str:
        ratio = np.abs(self.at.pull[0]) / self.at.gamma[0]
        worst = int(ratio.argmax())
        return (
            f"the point is not stationary in x: dL/dx has {self.at.pull[0, worst]:.3g} at entry "
            f"{worst}, of terms as large as {self.at.gamma[0, worst]:.3g}. The Lagrangian lacks a "
            "constraint or has another objective than solve, or solve leaves the tilt out"
        )

    def _rows(self) -> Iterator[str]:
        signed, slack = self.problem.nonnegative, self.at.slack[0]
        load = np.minimum(self.at.load(self.point.y)[0], 1.0)
        for name, part in self.problem.parts.items():
            mine = slice(part.start, part.stop)
            some, s, w = signed[mine], slack[mine], load[mine]
            if (some & (w < -LOOSE)).any():
                yield f"{name} has negative entries, but multipliers of inequalities are >= 0"
            if (some & (s < -LOOSE)).any():
                yield (
                    f"dL/d{name} is positive, up to {self.at.push[0, mine].max():.3g}: x violates "
                    "an inequality, or the Lagrangian has its other side (write g(x) <= 0 as + y g)"
                )
            if (some & (np.minimum(s, w) > LOOSE)).any():
                yield f"{name} is positive where its inequality has a slack"
            if (~some & (np.abs(s) > LOOSE)).any():
                yield (
                    f"dL/d{name} is not zero, up to {np.abs(self.at.push[0, mine]).max():.3g}: x "
                    "violates an equality, or these multipliers are those of inequalities and "
                    "nonnegative= must say so"
                )

    def _value(self, value: float) -> Iterator[str]:
        if np.isnan(value):
            return
        own = float(self.problem.value(self.params, self.point.x, self.point.y)[0])
        size = LOOSE * max(abs(own), abs(value), 1e-3)
        if abs(own - value) > size:
            turned = abs(own + value) <= size
            yield (
                f"solve says that the value is {value:.6g}, but the tilted Lagrangian there has "
                f"{own:.6g}{': a maximum of f is the minimum of -f' if turned else ''}"
            )
