"""What a problem family can do beside what every family must: the protocols behind ``Ability``."""

from collections.abc import Collection
from typing import Any, Protocol, cast

from lpgd.core.errors import EngineError
from lpgd.core.params import Params
from lpgd.core.problem import Ability, Problem, a
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent


class Linearization(Protocol):
    """The optimality conditions at the solutions of a batch to first order.

    What it factorizes it keeps, for every cotangent that follows.
    """

    def adjoint(self, cotangent: Cotangent, rho: float) -> Adjoint:
        """Solve the adjoint of the conditions, the objective having a proximal term ``rho``."""
        ...

    def line(self, cotangent: Cotangent, rho: float) -> Adjoint | None:
        """The same with ``reach``, where that is cheaper than a tilted solve; else None.

        Rows that are not known, or have no reach, have a reach of zero.
        """
        ...


class Differentiable(Problem, Protocol):
    """A family whose optimality conditions can be differentiated; ``Ability.ADJOINT``."""

    def linearize(self, params: Params, solution: Solution, factors: Any = None) -> Linearization:
        """The conditions to first order at the solutions of a batch; puts off all work.

        ``factors`` are what the engine left (``Answer.factors``); what they cannot serve is made.
        """
        ...

    def drift(
        self, params: Params, other: Params, point: Solution
    ) -> tuple[FloatArray, FloatArray]:
        """By how much each point's conditions differ between two data, (N, n) and (N, m).

        The gradients of the Lagrangian in x and in y with ``params``, minus those with ``other``.
        """
        ...


class Measured(Problem, Protocol):
    """A family that tells how large its data are; ``Ability.SIZES``."""

    @property
    def polyhedral(self) -> bool:
        """Whether all constraints are linear."""
        ...

    @property
    def linear(self) -> bool:
        """Whether the objective is linear whatever the data."""
        ...

    @property
    def tilts(self) -> tuple[float, ...]:
        """Large tilts relative to the costs, tried one after the other until x moves."""
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


class Checkable(Problem, Protocol):
    """A family that judges what engines say; ``Ability.CHECK``."""

    def judged(self, params: Params, point: Solution) -> tuple[Solution, FloatArray]:
        """The points, moved by rounding onto simple bounds, and how far each is from optimality.

        The distance (N,) is the largest of infeasibility, stationarity and complementarity, each
        relative to the terms that make it up: it does not change when a program is scaled.
        """
        ...

    def refuted(self, params: Params, ray: Solution) -> FloatArray:
        """How far each ray is from a certificate of the status of its row, shape (N,).

        Rows with the status ``INFEASIBLE`` hold multipliers y that no point satisfies, those with
        ``UNBOUNDED`` a direction x along which the objective falls for ever. Relative; infinite for
        what certifies nothing.
        """
        ...


class Easing(Problem, Protocol):
    """A family whose programs can be put without costs out of all proportion; ``Ability.EASE``.

    Such costs hold variables at bounds, where less would hold them as well. The linear costs are
    the argument ``q``.
    """

    def eased(
        self, params: Params, firm: BoolArray | None = None
    ) -> tuple[Params, BoolArray | None]:
        """The data with such costs brought nearer, and of which variables (N, n); None of none.

        Variables that are ``firm`` (N, n) keep their costs.
        """
        ...

    def held(self, given: Params, params: Params, point: Solution) -> BoolArray:
        """Variables (N, n) that eased costs hold at a bound, as those given would.

        The multipliers of the solutions of the eased programs take these costs.
        """
        ...

    def paid(self, given: Params, params: Params, point: Solution) -> Solution:
        """Solutions of eased programs, moved variables being held, as those of the given ones."""
        ...

    def unpaid(self, given: Params, params: Params, point: Solution) -> Solution:
        """Solutions of the given programs as those of the eased ones; undoes ``paid``."""
        ...

    def settled(self, params: Params, point: Solution) -> tuple[Params, Solution]:
        """Data and points that measure the program: such costs are no larger than others.

        The multipliers that take them are less by the difference.
        """
        ...


def measured(problem: Problem, who: str) -> Measured:
    """The problem as one that can be measured; see ``demand``."""
    demand(problem, (Ability.SIZES,), who)
    return cast(Measured, problem)


def differentiable(problem: Problem, who: str) -> Differentiable:
    """The problem as one whose optimality conditions can be differentiated; see ``demand``."""
    demand(problem, (Ability.ADJOINT,), who)
    return cast(Differentiable, problem)


def checkable(problem: Problem, who: str) -> Checkable:
    """The problem as one that judges what engines say; see ``demand``."""
    demand(problem, (Ability.CHECK,), who)
    return cast(Checkable, problem)


def easing(problem: Problem) -> Easing | None:
    """The problem as one whose costs can be eased; None of others."""
    return cast(Easing, problem) if Ability.EASE in problem.abilities else None


_WHAT = {
    Ability.SIZES: "the sizes of the data",
    Ability.ADJOINT: "the adjoint of the optimality conditions",
    Ability.CHECK: "a check of optimality",
}
_INSTEAD = {
    Ability.SIZES: "Give the rule a tau.",
    Ability.ADJOINT: "Use lpgd.LPGD(tau=...).",
    Ability.CHECK: "Use another engine.",
}


def demand(problem: Problem, abilities: Collection[Ability], who: str) -> None:
    """Refuse a family without these abilities, which ``who`` needs, by a message that names both.

    Raises
    ------
    EngineError
    """
    for ability in sorted(set(abilities).difference(problem.abilities)):
        raise EngineError(
            f"{who} needs {_WHAT[ability]} of {a(problem.family)}, which this family does not "
            f"have. {_INSTEAD[ability]}"
        )
