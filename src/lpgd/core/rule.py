"""What a rule is given and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lpgd.core.params import Params, taken
from lpgd.core.problem import Ability, Problem
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution, StatusArray
from lpgd.core.tilt import Adjoint, Cotangent, Term, Tilt

ROUGH = 1e-6  # relative error of a solution from which its derivative is not believed
Memory = dict[str, NDArray[Any]]
"""What a rule remembers between calls: random state, steps that training adapts."""
DRAWS = "draws"  # the entry of a memory that noise is drawn from
OWN = "rule."  # arguments that a caller gives to the rule itself are called so: its memory, and
KEY = f"{OWN}key"  # (B, k), in the place of ``DRAWS``: what the noise of each element is drawn from


@dataclass(frozen=True)
class Samples:
    """Problems that a rule solves in the place of a batch, to smooth the solution.

    The solution of an element is the mean of those of its rows, or their weighted sum.

    Attributes
    ----------
    params : Params
        Data of N problems, as an engine takes them.
    rows : (N,) int
        The element that each belongs to; without weights every element has as many.
    noise : mapping from str to array (N, ...)
        What the pullback wants to find again.
    weight : (N,) float64 or None
        Share of each row in the solution of its element; None shares equally.
    """

    params: Params
    rows: IntArray
    noise: Mapping[str, FloatArray]
    weight: FloatArray | None = None

    def of(self, elements: IntArray) -> Self:
        """The rows of some elements (E,), ascending, which are numbered anew."""
        kept = np.flatnonzero(np.isin(self.rows, elements))
        return type(self)(
            taken(self.params, kept),
            np.searchsorted(elements, self.rows[kept]),
            {name: values[kept] for name, values in self.noise.items()},
            None if self.weight is None else self.weight[kept],
        )


class Backward(Protocol):
    """What a rule may ask of a solved batch."""

    @property
    def problem(self) -> Problem:
        """The problem that was solved."""
        ...

    @property
    def params(self) -> Params:
        """Its data; rows of tilts index them, as those of a cotangent do without ``samples``."""
        ...

    @property
    def accuracy(self) -> FloatArray:
        """Measured relative error of each solution, as many as ``params`` have elements."""
        ...

    @property
    def samples(self) -> tuple[Samples, Solution] | None:
        """What ``Rule.sample`` made, and the solutions of its N problems."""
        ...

    @property
    def memory(self) -> Memory:
        """What the rule remembers; it may write here."""
        ...

    @property
    def costly(self) -> bool:
        """Whether a gradient of the costs is wanted."""
        ...

    def resolve(self, tilt: Tilt) -> Solution:
        """Solve tilted problems, one a row; failure is a status, never an exception."""
        ...

    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """Solve the adjoint of the optimality conditions; raises EngineError where none can."""
        ...

    def line(self, cotangent: Cotangent, rho: float, ends: int = 2) -> Adjoint | None:
        """See ``Linearization.line``; None for families without one.

        Also where as many tilts of each row, its ``ends``, cost less.
        """
        ...


def is_number(value: object) -> bool:
    """Whether an option is a plain number, and not a bool, a string or an array."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Whether an option is a whole number, and not a bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    """Whether an option is a whole number >= 0, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True)
class Pullback:
    """A cotangent pulled back to the problem data, before the gradients are formed.

    Attributes
    ----------
    terms : sequence of Term
        The gradient is that of the weighted sum of Lagrangians.
    failed : (N,) int8
        A Status a row: why no difference could be formed, or ``OPTIMAL``.
    tau : (N,) float64 or None
        The largest tilt that was made for each row, zero where none was; None where none ever is.
    retries : int
        Tilted solves that were repeated with a smaller step.
    degenerate : (N,) bool or None
        Rows at a kink, on a flat face, at a vertex or with dependent rows, where the rule looks.
    unverified : (N,) bool or None
        Rows whose gradient was neither derived nor verified.
    stays : (N,) bool or None
        Rows that may rightly stay where they are, where the rule knows.
    one_sided : (N,) bool or None
        Rows of which one side alone could be tilted, though both were asked for.
    """

    terms: Sequence[Term]
    failed: StatusArray
    tau: FloatArray | None = None
    retries: int = 0
    degenerate: BoolArray | None = None
    unverified: BoolArray | None = None
    stays: BoolArray | None = None
    one_sided: BoolArray | None = None


@runtime_checkable
class Rule(Protocol):
    """Turns a cotangent of the solution into weighted Lagrangians of the problem.

    Rules inherit from this class: members with a body have a default.
    """

    def requires(self, problem: Problem) -> str | None:
        """The family that the engine must solve in the backward pass; None where it solves none."""
        ...

    def needs(self, problem: Problem) -> frozenset[Ability]:
        """What the family must be able to do; refused before the first solve where it cannot."""
        return frozenset()

    def begin(self) -> Memory:
        """What the rule remembers when a layer is made; part of the layer's ``state_dict``."""
        return {}

    @property
    def keyed(self) -> bool:
        """Whether ``sample`` draws from ``params[KEY]`` where that is given, not from a memory."""
        return False

    @property
    def homogeneous(self) -> bool:
        """Whether a multiple of a cotangent has that multiple of its gradient."""
        return False

    def sample(self, problem: Problem, params: Params, memory: Memory) -> Samples | None:
        """Problems to solve in the place of a batch; None solves the batch itself."""
        return None

    def explore(
        self, problem: Problem, params: Params, solve: Callable[[Params], Solution]
    ) -> tuple[Samples, Solution] | None:
        """Problems that are chosen as the solutions of others come in, and their solutions.

        ``solve`` solves any number of problems; None leaves the batch to ``sample``.
        """
        return None

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """Pull the cotangent back. ``point`` holds the forward solution of each row."""
        ...
