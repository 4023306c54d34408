"""What an engine declares and does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lpgd.core.params import Params
from lpgd.core.problem import Problem
from lpgd.core.solution import FloatArray, Solution
from lpgd.core.tilt import Tilt


@dataclass(frozen=True)
class Range:
    """Problems for which ``engine="auto"`` may choose an engine; the lowest rank wins.

    Attributes
    ----------
    family : str
    rank : int
    variables : float
        Most variables.
    filled : float
        Least share of stored entries among those of dense matrices.
    entries : float
        Most entries of dense matrices.
    least : float
        Fewest variables.
    """

    family: str
    rank: int
    variables: float = float("inf")
    filled: float = 0.0
    entries: float = float("inf")
    least: float = 0

    def holds(self, problem: Problem) -> bool:
        """Whether a problem is within the range."""
        if problem.family != self.family or not self.least <= problem.n <= self.variables:
            return False
        stored, dense = problem.stored
        return dense <= self.entries and stored >= self.filled * dense


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do; a mismatch is refused when the layer is built or first called.

    Attributes
    ----------
    families : frozenset of str
        Problem families it solves, forward or tilted.
    takes : frozenset of str
        What it takes beside dense data, of that which problems need: ``"sparse"``, kinds of cones.
    tolerance : float
        Relative residual of the optimality conditions up to which its answers count as solutions.
    restores : bool
        Whether it makes a workspace from a forward pass as arrays; see ``Restoring``.
    ranges : tuple of Range
        Where ``"auto"`` may choose it; none for engines that are used by name only.
    warm : tuple of Range
        Programs of which one tilted version, rho being 0, solved from what it kept, costs no more
        than the optimality conditions to first order; and those of which two do.
    entries : float
        Most entries of dense matrices that it is handed.
    package : str or None
        Module of the solver, which ``"auto"`` looks for.
    install : str
        Command that installs the solver, for the message when it is missing.
    """

    families: frozenset[str]
    takes: frozenset[str] = frozenset()
    tolerance: float = 1e-5
    restores: bool = False
    ranges: tuple[Range, ...] = ()
    warm: tuple[Range, ...] = ()
    entries: float = float("inf")
    package: str | None = None
    install: str = "pip install lpgd"


class Workspace(Protocol):
    """What an engine keeps of a forward solve. Losing it costs time, never another answer."""

    def resolve(self, tilt: Tilt) -> "Answer":
        """Solve tilted problems, N = len(tilt).

        A row's answer depends on its element's data, its forward solution and its tilt only: not
        on the other rows, their order, earlier calls or threads.
        """
        ...


@dataclass(frozen=True)
class Answer:
    """Solutions with what it took to find them.

    Attributes
    ----------
    solution : Solution
    set_ups : int
        Problems that were factorized or handed to a solver afresh.
    workspace : Workspace or None
        Present where the solve was asked to keep it.
    cause : Exception or None
        What the solver raised, where rows have the status ``CRASHED``.
    accuracy : (N,) float64 or None
        Measured relative error of each solution, the residual of ``Checkable.judged``; points are
        final then. None where the engine did not measure, and the map does.
    ray : Solution or None
        Certificates of the rows that are ``INFEASIBLE`` or ``UNBOUNDED``; see
        ``Checkable.refuted``. Without any the engine is believed.
    notes : mapping from row to str
        What else to say of a row that failed.
    factors : object
        What the engine factorized at the solutions and the family's linearisation can use, else
        None; see ``Differentiable.linearize``.
    counts : mapping from str to int
        What else to add to the statistics, by the names of ``Stats``.
    warning : str or None
        What the user shall be told, once a layer.
    """

    solution: Solution
    set_ups: int = 0
    workspace: Workspace | None = None
    cause: Exception | None = None
    accuracy: FloatArray | None = None
    ray: Solution | None = None
    notes: Mapping[int, str] = field(default_factory=dict[int, str])
    factors: Any = None
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    warning: str | None = None


class Engine(Protocol):
    """Solves one or more problem families, a batch at a time. Instances pickle."""

    @property
    def name(self) -> str:
        """Name in messages and in the registry."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do."""
        ...

    def solve(
        self,
        problem: Problem,
        params: Params,
        *,
        start: Solution | None = None,
        keep: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """Solve every element; failure is a status of the element, never an exception.

        Parameters
        ----------
        problem : Problem
            Structure.
        params : Params
            Values, checked before: finite where they must be, P symmetric and convex. Opaque
            arguments (dtype object) are as the user gave them.
        start : Solution or None
            Where to start each element, e.g. the solution of a similar problem.
        keep : bool
            Whether the answer shall have a workspace.
        threads : int or None
            Most threads to use; None leaves the choice to the engine.
        """
        ...


class Restoring(Engine, Protocol):
    """An engine that declares ``restores``."""

    def restore(
        self, problem: Problem, params: Params, solution: Solution, threads: int | None
    ) -> Workspace:
        """The workspace of a forward pass, from its data and its solution alone."""
        ...
