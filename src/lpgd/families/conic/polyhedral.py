"""Cone programs with only zero and nonnegative rows, as the QPs or LPs that they are.

Ax + s = b with s in {0}^zero x R+^nonneg reads A_1 x = b_1, A_2 x <= b_2. Multipliers need no
conversion: the flat ones of the QP, (y, z), are the cone program's y.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from lpgd.core.params import Param, Params
from lpgd.core.pattern import Pattern
from lpgd.core.problem import Family, Groups
from lpgd.core.solution import FloatArray, IntArray, Solution
from lpgd.core.tilt import Term, Tilt
from lpgd.families.conic.conic import Conic
from lpgd.families.qp.qp import QP
from lpgd.families.quadratic import check
from lpgd.families.quadratic.structure import SIDES


@final
@dataclass(frozen=True, eq=False)
class Polyhedral(Family):
    """A cone program that compiles to a QP, or without P to an LP.

    Parameters
    ----------
    conic : Conic
        With zero and nonnegative rows only.
    dense : bool
        Whether engines get dense matrices; else A keeps its pattern, and so does P.

    Raises
    ------
    ValueError
        There are other cones, or there is no pattern to keep.
    """

    conic: Conic
    dense: bool = True

    def __post_init__(self) -> None:
        if not self.conic.cones.kinds <= {"zero", "nonneg"}:
            raise ValueError(f"only zero and nonneg cones are polyhedral, got {self.conic.cones}")
        if not self.dense and not on_patterns(self.conic):
            raise ValueError("dense=False needs A on a pattern, and P if there is one")

    @property
    def family(self) -> str:
        """``"conic"``."""
        return "conic"

    @property
    def n(self) -> int:
        """Number of variables."""
        return self.conic.n

    @property
    def m(self) -> int:
        """Number of rows of A."""
        return self.conic.m

    @property
    def costs(self) -> tuple[str, ...]:
        """Arguments of the objective."""
        return self.conic.costs

    @property
    def program(self) -> QP:
        """The QP or LP."""
        return self._program

    @cached_property
    def _program(self) -> QP:
        sizes = {name: block.stop - block.start for name, block in self._groups.items()}
        if self.conic.quadratic:
            sizes["P"] = self.n
        patterns: dict[str, Pattern] = {}
        for name, places in self._places.items():
            A, first = self.conic.patterns["A"], self._groups[name].start
            shape = (sizes[name], self.n)
            patterns[name] = Pattern(A.rows[places] - first, A.cols[places], shape)
        if "P" in sizes and not self.dense:
            patterns["P"] = self.conic.patterns["P"]
        program = replace(QP.of(sizes, self.n, patterns), own=self.conic.own)
        return replace(program, entries=self.conic.stored) if self.dense else program

    @property
    def _groups(self) -> dict[str, slice]:
        """Rows of each matrix of the QP."""
        zero, m = self.conic.cones.zero, self.m
        groups = {"A": slice(0, zero), "G": slice(zero, m)}
        return {name: rows for name, rows in groups.items() if rows.stop > rows.start}

    @cached_property
    def _places(self) -> dict[str, IntArray]:
        """Places of their entries among those of a sparse A."""
        if self.dense:
            return {}
        rows = self.conic.patterns["A"].rows
        return {
            name: np.flatnonzero((rows >= block.start) & (rows < block.stop))
            for name, block in self._groups.items()
        }

    def check(self, params: Params, resolution: float) -> tuple[Params, Mapping[int, str]]:
        """The QP's data, and for each unfit element what is wrong with the cone program."""
        given = dict(params)
        for name in self.conic.patterns.keys() & given.keys() if self.dense else ():
            dense = self.conic.patterns[name].dense(given[name].values)
            given[name] = Param(dense, given[name].index)
        patterns: Mapping[str, Pattern] = {} if self.dense else self.conic.patterns
        given, unfit = check.check(given, resolution, patterns, cost="q")
        A, b = given["A"], given["b"]
        data = {name: given[name] for name in ("P", "q") if name in given}
        for name, rows in self._groups.items():
            places = self._places.get(name, rows)
            data[name] = Param(A.values[:, places], A.index)
            data[SIDES[name][0]] = Param(b.values[:, rows], b.index)
        return data, unfit

    def tilt(self, params: Params, tilt: Tilt) -> tuple[QP, Params]:
        """Tilted data of the QP."""
        return self.program.tilt(params, tilt)

    def lagrangian(self, params: Params, point: Solution, tilt: Tilt) -> FloatArray:
        """Value of the tilted Lagrangian at each point; ``params`` are the QP's."""
        return self.program.lagrangian(params, point, tilt)

    def slacks(self, params: Params, x: FloatArray) -> FloatArray:
        """s = b - Ax of every element, shape (N, m); ``params`` are the QP's."""
        return self.program.slacks(params, x)

    def grad(
        self, params: Params, terms: Sequence[Term], wanted: Mapping[str, Groups]
    ) -> dict[str, FloatArray]:
        """Gradient in the cone program's data; ``params`` are the QP's. See ``Problem.grad``."""
        return self.conic.grad(params, terms, wanted)


def forms(conic: Conic) -> tuple[Conic | Polyhedral, ...]:
    """What a cone program can be handed over as: itself, or a QP or LP with or without patterns."""
    if not conic.cones.kinds <= {"zero", "nonneg"}:
        return (conic,)
    kept = [Polyhedral(conic, dense=False)] if on_patterns(conic) else []
    return (conic, *kept, Polyhedral(conic))


def on_patterns(conic: Conic) -> bool:
    """Whether all matrices of a cone program are sparse."""
    return "A" in conic.patterns and (not conic.quadratic or "P" in conic.patterns)
