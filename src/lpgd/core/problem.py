"""What a problem family must know about itself."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from lpgd.core.params import Params
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent, Term, Tilt

Groups = IntArray
"""Which rows are summed into one gradient: (R, g), R gradients of g rows each."""


class Problem(Protocol):
    """min over x, max over y of L(x, y, w), a batch at a time.

    An instance holds structure (sizes, sparsity patterns); values travel as ``Params``.
    """

    @property
    def family(self) -> str:
        """Name that engines list among what they solve, e.g. ``"QP"``."""
        ...

    @property
    def n(self) -> int:
        """Length of x."""
        ...

    @property
    def m(self) -> int:
        """Length of the flat multiplier vector y."""
        ...

    @property
    def sparse(self) -> bool:
        """Whether some argument is a value array on a sparsity pattern."""
        ...

    @property
    def program(self) -> "Problem":
        """What engines solve: the problem itself, or the one that it compiles to."""
        ...

    @property
    def costs(self) -> tuple[str, ...]:
        """Names of the arguments of the objective."""
        ...

    def check(self, params: Params, resolution: float) -> tuple[Params, Mapping[int, str]]:
        """Data of ``program`` fit for an engine, and for each unfit element what is wrong.

        ``resolution`` is the machine epsilon of the caller's dtype.
        """
        ...

    def tilt(self, params: Params, tilt: Tilt) -> "tuple[Problem, Params]":
        """Data of the tilted problems, N = len(tilt) elements, perhaps of another family."""
        ...

    def lagrangian(self, params: Params, point: Solution, tilt: Tilt) -> FloatArray:
        """Value of the tilted Lagrangian, shape (N,)."""
        ...

    def grad(
        self, params: Params, terms: Sequence[Term], wanted: Mapping[str, Groups]
    ) -> dict[str, FloatArray]:
        """Gradient in w of the sum of the terms, points held fixed.

        For each wanted argument an array (R, ...), row r summed over the rows ``groups[r]``.
        """
        ...


class Differentiable(Protocol):
    """A family whose optimality conditions can be differentiated in closed form."""

    def adjoint(self, params: Params, point: Solution, cotangent: Cotangent, rho: float) -> Adjoint:
        """Solve the adjoint of the optimality conditions at ``point`` (N rows)."""
        ...


class Measured(Problem, Protocol):
    """A family that tells how large its data are, as ``LPGD(tau="auto")`` needs to know."""

    @property
    def polyhedral(self) -> bool:
        """Whether all constraints are linear."""
        ...

    def slope(self, params: Params, x: FloatArray) -> FloatArray:
        """Gradient of the objective at ``x`` (N, n), shape (N, n); ``params`` hold N elements."""
        ...

    def slacks(self, params: Params, x: FloatArray) -> FloatArray:
        """Right-hand sides minus left-hand sides of the constraints at ``x``, shape (N, m)."""
        ...

    def strictly_convex(self, params: Params) -> BoolArray:
        """Elements whose objective is known to be strictly convex, shape (N,)."""
        ...
