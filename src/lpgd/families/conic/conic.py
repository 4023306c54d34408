"""Cone programs.

minimise 1/2 x'Px + q'x  subject to  Ax + s = b, s in K

L = 1/2 x'Px + q'x + y'(Ax - b), y in the dual cone of K
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, final

from lpgd.core.params import Params
from lpgd.core.pattern import Pattern
from lpgd.core.solution import BoolArray, Solution
from lpgd.families.conic.adjoint import Linearized
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.reduction import Reduction
from lpgd.families.conic.units import Units
from lpgd.families.quadratic.structure import Structure


@final
@dataclass(frozen=True, eq=False)
class Conic(Structure):
    """Structure of a batch of cone programs.

    Attributes
    ----------
    n : int
        Number of variables.
    cones : Cones
    patterns : mapping from str to Pattern
        Places of the values of ``P`` (both triangles) and ``A``; a matrix without one is dense.
    quadratic : bool
        Whether P is given.
    fixed : (nnz,) bool or None
        Entries of A that are known to be constant and not zero.
    own : (n,) bool and (m,) bool, or None
        See ``Problem.own``.
    derived : dict
        What engines work out of the structure once and for all.
    """

    n: int
    cones: Cones
    patterns: Mapping[str, Pattern] = field(default_factory=dict[str, Pattern])
    quadratic: bool = True
    fixed: BoolArray | None = None
    own: tuple[BoolArray, BoolArray] | None = None
    derived: dict[type, Any] = field(default_factory=dict[type, Any], init=False, repr=False)

    cost: ClassVar[str | None] = "q"

    @property
    def family(self) -> str:
        """``"conic"``."""
        return "conic"

    @cached_property
    def blocks(self) -> Mapping[str, slice]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All rows are those of A."""
        return {"A": slice(0, self.m)}

    @cached_property
    def reduction(self) -> "Reduction[Conic]":
        """Which variables a row of equality defines."""
        return Reduction[Conic].of(self)

    @cached_property
    def usual(self) -> int:
        """About the size of a Newton matrix of what the reduction leaves."""
        return self.reduction.usual

    @property
    def needs(self) -> frozenset[str]:
        """The kinds of cones, and ``"sparse"`` where a matrix is given on a pattern."""
        return self.cones.kinds | frozenset({"sparse"} if self.patterns else ())

    @property
    def puts_on_pattern(self) -> bool:
        """Whether a P that only a tilt brings is sparse: engines for cone programs take such."""
        return True

    def refusal(self, families: frozenset[str]) -> str:
        """Engines for QPs and LPs take linear rows only, and those for LPs no P."""
        linear = frozenset({"nonneg", "zero"})
        if self.cones.kinds <= linear:
            return "solves LPs only, but P is given"
        rows, others = (", ".join(sorted(k)) for k in (linear, self.cones.kinds - linear))
        return f"takes cone programs with {rows} rows only, not with {others} rows"

    @property
    def stored(self) -> tuple[int, int]:
        """Entries of P and A, and of both as dense matrices."""
        sizes = {"A": self.m * self.n, "P": self.n**2 if self.quadratic else 0}
        given = (
            len(self.patterns[name].rows) if name in self.patterns else size
            for name, size in sizes.items()
        )
        return sum(given), sum(sizes.values())

    def linearize(self, params: Params, solution: Solution, factors: Any = None) -> Linearized:
        """See ``Differentiable.linearize``."""
        units = factors if isinstance(factors, Units) else None
        return Linearized(self.reduction, params, solution, units)
