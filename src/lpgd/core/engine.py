"""What an engine declares and does."""

from dataclasses import dataclass
from typing import Protocol

from lpgd.core.params import Params
from lpgd.core.problem import Problem
from lpgd.core.solution import FloatArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent, Tilt
from lpgd.families.conic.cones import KINDS


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do; a mismatch is refused when the layer is built or first called.

    Attributes
    ----------
    families : frozenset of str
        Problem families it solves, forward or tilted.
    cones : frozenset of str
        Kinds of cones that it takes, of those in ``lpgd.Cones``, where it solves cone programs.
    sparse : bool
        Whether it takes arguments on a sparsity pattern.
    adjoint : bool
        Whether its workspaces solve the adjoint of the optimality conditions, for ``Exact``.
    accuracy : float
        Relative error of a solution of well-conditioned data, by which ``tau="auto"`` keeps its
        tilts out of the noise.
    install : str
        Command that installs the solver, for the message when it is missing.
    """

    families: frozenset[str]
    cones: frozenset[str] = KINDS
    sparse: bool = False
    adjoint: bool = False
    accuracy: float = 1e-10
    install: str = "pip install lpgd"


class Workspace(Protocol):
    """What an engine keeps of a forward solve."""

    def resolve(self, tilt: Tilt) -> "Answer":
        """Solve tilted problems, N = len(tilt).

        A row's answer depends on its element's data, its forward solution and its tilt only: not
        on the other rows, their order, earlier calls or threads.
        """
        ...


class RoughWorkspace(Workspace, Protocol):
    """A workspace in which some elements are less accurate than the engine's usual solutions."""

    @property
    def accuracy(self) -> FloatArray:
        """Relative error of each element's solution, shape (B,); see ``Capabilities.accuracy``."""
        ...


class AdjointWorkspace(Workspace, Protocol):
    """A workspace of an engine that declares ``adjoint``."""

    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """Solve the adjoint of the optimality conditions, with P + rho I."""
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
    """

    solution: Solution
    set_ups: int
    workspace: Workspace | None = None
    cause: Exception | None = None


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
            Values, checked before: finite where they must be, P symmetric and convex.
        start : Solution or None
            Where to start each element, e.g. the solution of a similar problem.
        keep : bool
            Whether the answer shall have a workspace.
        threads : int or None
            Most threads to use; None leaves the choice to the engine.
        """
        ...
