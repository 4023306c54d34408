"""What a problem family must know about itself, and what it may know beside."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol, cast

import numpy as np

from lpgd.core.params import Params
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution
from lpgd.core.tilt import Cotangent, Term, Tilt

Groups = IntArray
"""Which rows are summed into one gradient: (R, g), R gradients of g rows each."""


class Ability(StrEnum):
    """What a family can do beyond what every family must."""

    SIZES = "sizes"  # see Measured
    ADJOINT = "adjoint"  # see Differentiable
    CHECK = "check"  # see Checkable
    EASE = "ease"  # see Easing
    MATRICES = "matrices"  # no code of the user's runs within a call, see ``core.blas``


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
    def costs(self) -> tuple[str, ...]:
        """Names of the arguments of the objective."""
        ...

    @property
    def program(self) -> "Problem":
        """What engines solve: the problem itself, or the one that it compiles to."""
        ...

    @property
    def augmented(self) -> str:
        """Family of the problem with a proximal term."""
        ...

    @property
    def needs(self) -> frozenset[str]:
        """What an engine must take beside dense data: ``"sparse"``, kinds of cones, ..."""
        ...

    @property
    def stored(self) -> tuple[int, int]:
        """Entries of the matrices that are stored as data, and that a dense engine would get."""
        ...

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the family can do beyond this protocol."""
        ...

    @property
    def own(self) -> tuple[BoolArray, BoolArray] | None:
        """Which entries of x (n,) and y (m,) are the user's; None means all.

        Others are auxiliary. Rules measure sizes and moves over the user's entries only.
        """
        ...

    def refusal(self, families: frozenset[str]) -> str:
        """What a message says of an engine that solves other families only."""
        ...

    def check(self, params: Params, resolution: float) -> tuple[Params, Mapping[int, str]]:
        """Data of ``program`` fit for an engine, and for each unfit element what is wrong.

        ``resolution`` is the machine epsilon of the caller's dtype.
        """
        ...

    def tilt(self, params: Params, tilt: Tilt) -> "tuple[Problem, Params]":
        """Data of the tilted problems, N = len(tilt) elements, perhaps of another family."""
        ...

    def folded(self, params: Params, cotangent: Cotangent) -> Cotangent:
        """What of a cotangent moves the solution; ``params`` hold the data of its rows.

        A cotangent of slacks acts through x. Where nothing is left, the gradient has direct terms
        only, those of the slacks as functions of the data, and nothing is solved.
        """
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


class Family(ABC):
    """What a family need not say of itself; families inherit from this class."""

    own: tuple[BoolArray, BoolArray] | None = None
    tilts: tuple[float, ...] = (3.0, 24.0, 192.0)
    """See ``Measured.tilts``."""

    @property
    @abstractmethod
    def family(self) -> str:
        """See ``Problem.family``."""

    @property
    def program(self) -> Problem:
        """What engines solve: the problem itself, or the one that it compiles to."""
        return cast(Problem, self)

    @property
    def augmented(self) -> str:
        """Family of the problem with a proximal term."""
        return self.family

    @property
    def needs(self) -> frozenset[str]:
        """What an engine must take beside dense data: ``"sparse"``, kinds of cones, ..."""
        return frozenset()

    @property
    def stored(self) -> tuple[int, int]:
        """Entries of the matrices that are stored as data, and that a dense engine would get."""
        return (0, 0)

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the family can do beyond this protocol."""
        return frozenset()

    @property
    def linear(self) -> bool:
        """Whether the objective is linear whatever the data; see ``Measured.linear``."""
        return False

    def refusal(self, families: frozenset[str]) -> str:
        """What a message says of an engine that solves other families only."""
        solves = " or ".join(sorted(families)) or "nothing"
        return f"does not solve {a(self.family)}; it solves {solves}"

    def folded(self, params: Params, cotangent: Cotangent) -> Cotangent:
        """What of a cotangent moves the solution: all of it, for families without slacks."""
        return cotangent


def a(kind: str) -> str:
    """A kind of problem with its article as it is spoken: a QP, an LP, an oracle."""
    vowels = "AEFHILMNORSX" if kind[:2].isupper() else "AEIOUaeiou"
    return f"an {kind}" if kind[:1] in tuple(vowels) else f"a {kind}"


def users(problem: Problem) -> tuple[BoolArray, BoolArray]:
    """Which entries of x and y are the user's."""
    every = np.ones(problem.n, dtype=np.bool_), np.ones(problem.m, dtype=np.bool_)
    return problem.own or every
