"""Quadratic and linear programs with equalities, inequalities and bounds.

minimise 1/2 x'Px + q'x  subject to  Ax = b, Gx <= h, lb <= x <= ub

L = 1/2 x'Px + q'x + y'(Ax - b) + z'(Gx - h) + mu_l'(lb - x) + mu_u'(x - ub)

Flat multipliers are (y, z, mu_l, mu_u), each block present only with its constraints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

from lpgd.core.params import Params
from lpgd.core.pattern import Pattern
from lpgd.core.solution import BoolArray, Solution
from lpgd.families.conic.cones import Cones
from lpgd.families.qp import sparse_adjoint
from lpgd.families.qp.linearized import Linearized
from lpgd.families.quadratic.structure import SIDES, Structure
from lpgd.families.quadratic.whitening import Whitened


@final
@dataclass(frozen=True, eq=False)
class QP(Structure):
    """Structure of a batch of quadratic programs (or linear ones: ``quadratic=False``).

    Attributes
    ----------
    n : int
        Number of variables.
    blocks : mapping from str to slice
        Where the multipliers of ``A``, ``G``, ``lb`` and ``ub`` lie in the flat vector; an
        absent group has no entry.
    quadratic : bool
        Whether P is given, even if it is zero.
    patterns : mapping from str to Pattern
        Sparsity of ``P``, ``A`` and ``G`` where their values are (..., nnz) arrays.
    entries : (int, int)
        See ``stored``; of dense data that were sparse once.
    own : (n,) bool and (m,) bool, or None
        See ``Problem.own``.
    derived : dict
        What engines work out of the structure once and for all.
    """

    n: int
    blocks: Mapping[str, slice]
    quadratic: bool = True
    patterns: Mapping[str, Pattern] = field(default_factory=dict[str, Pattern])
    entries: tuple[int, int] = (0, 0)
    own: tuple[BoolArray, BoolArray] | None = None
    derived: dict[type, Any] = field(default_factory=dict[type, Any], init=False, repr=False)

    @classmethod
    def of(cls, sizes: Mapping[str, int], n: int, patterns: Mapping[str, Pattern]) -> "QP":
        """Lay out the multipliers. ``sizes`` has the rows of each given argument, ``P`` for P."""
        blocks: dict[str, slice] = {}
        end = 0
        for name in SIDES:
            if name in sizes:
                blocks[name] = slice(end, end + sizes[name])
                end = blocks[name].stop
        return cls(n, blocks, "P" in sizes, patterns)

    @cached_property
    def cones(self) -> Cones:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Zero rows of the equalities, nonnegative ones of all others."""
        end = max((block.stop for block in self.blocks.values()), default=0)
        zero = self.blocks.get("A", slice(0, 0)).stop
        return Cones(zero=zero, nonneg=end - zero)

    @property
    def family(self) -> str:
        """``"QP"`` or ``"LP"``."""
        return "QP" if self.quadratic else "LP"

    @property
    def augmented(self) -> str:
        """A proximal term makes a QP of an LP."""
        return "QP"

    @property
    def stored(self) -> tuple[int, int]:
        """See ``Problem.stored``."""
        return self.entries

    @property
    def needs(self) -> frozenset[str]:
        """``"sparse"`` where a matrix is given on a sparsity pattern."""
        return frozenset({"sparse"} if self.patterns else ())

    @property
    def puts_on_pattern(self) -> bool:
        """Whether a P that only a tilt brings is sparse: as other matrices are."""
        return bool(self.patterns)

    def linearize(
        self, params: Params, solution: Solution, factors: Any = None
    ) -> Linearized | sparse_adjoint.Linearized:
        """See ``Differentiable.linearize``."""
        sparse = sparse_adjoint.serves(self)
        fit = isinstance(factors, Whitened) != sparse  # else they are systems of sparse programs
        of = sparse_adjoint.Linearized if sparse else Linearized
        return of(self, params, solution, factors if fit else None)
