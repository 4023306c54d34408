"""Envelopes of losses that are added in whole: values, and gradients of all that they depend on.

lower    l_tau(w) = [V(tau; w) - V(0; w)] / tau
upper    l^tau(w) = [V(0; w) - V(-tau; w)] / tau
average  their mean, [V(tau; w) - V(-tau; w)] / (2 tau)

V(t; w) is the optimal value of the problem with t times the loss, and its gradient is that of the
Lagrangian, the saddle point held fixed (math page, sections 1 and 2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import numpy as np

from lpgd.core.errors import IllPosedError, StructureError
from lpgd.core.problem import Problem
from lpgd.core.rule import Backward, Pullback, Rule, is_number
from lpgd.core.solution import FloatArray, Solution
from lpgd.core.tilt import Cotangent
from lpgd.frontend.batches import Shape
from lpgd.frontend.program import Program
from lpgd.frontend.saddle import SaddleView
from lpgd.losses.added import LOSSES, Added
from lpgd.map.forward import Forward
from lpgd.rules.ends import ENDS, Side

Pull = Callable[[FloatArray, Sequence[bool], Sequence[Shape]], list[FloatArray]]
Reduction = Literal["mean", "sum", "none"]
REDUCTIONS = ("mean", "sum", "none")
NONLINEAR = frozenset({"Lagrangian", "NLP", "symbolic NLP"})  # families of any shape


@dataclass(frozen=True)
class Adding(Rule):
    """What an engine must solve so that a loss can be added; nothing is pulled back by it."""

    curved: bool

    def requires(self, problem: Problem) -> str:
        """The family of the program with the loss."""
        return problem.augmented if self.curved else problem.family

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """Never asked for."""
        raise NotImplementedError


@dataclass(frozen=True)
class Envelope:
    """Which envelope.

    Attributes
    ----------
    tau : float
    side : {"lower", "upper", "average"}
    rho : float
        Weight of a proximal term about the solution, which is held fixed.
    """

    tau: float
    side: Side = "lower"
    rho: float = 0.0

    def __post_init__(self) -> None:
        if not (is_number(self.tau) and 1e-300 <= self.tau < np.inf):
            raise ValueError(
                f"tau must be a positive finite number, got {self.tau!r}: an envelope is a "
                "function of it, so nothing can choose it for you"
            )
        if not (is_number(self.rho) and 0 <= self.rho < np.inf):
            raise ValueError(f"rho must be a finite number >= 0, got {self.rho!r}")
        if self.side not in tuple(ENDS):
            raise ValueError(f"side must be one of {sorted(ENDS)}, got {self.side!r}")

    @property
    def ends(self) -> tuple[tuple[float, float], ...]:
        """(t, weight) of the two values that are subtracted."""
        hi, lo = (end * self.tau for end in ENDS[self.side])
        return (hi, 1 / (hi - lo)), (lo, -1 / (hi - lo))


def check(loss: object) -> None:
    """Refuse a name that no loss has.

    Raises
    ------
    ValueError
    """
    if loss not in tuple(LOSSES):
        raise ValueError(f"loss must be one of {sorted(LOSSES)}, got {loss!r}")


def check_reduction(reduction: str) -> None:
    """Refuse a reduction that there is not.

    Raises
    ------
    ValueError
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}")


def adding(program: Program, loss: str, envelope: Envelope) -> Program:
    """A layer's call as one that solves with a loss, without a rule and what that remembers."""
    rule = Adding(curved=LOSSES[loss].curved or envelope.rho > 0)
    return replace(program, map=replace(program.map, rule=rule, memory={}))


def form(program: Program) -> Shape:
    """The shape of one x, as targets have it: that of an oracle's costs, of x in a Lagrangian.

    Raises
    ------
    StructureError
        x is no single array.
    """
    view, problem = program.view, program.problem
    if isinstance(view, SaddleView):
        if len(view.x.shapes) != 1:
            raise StructureError("a loss with a target needs an x of one tensor, not a tree")
        return view.x.shapes[0]
    return getattr(problem, "form", (problem.n,))


def fit(name: str, given: Shape, form: Shape) -> Shape:
    """Batch dimensions of a target or of weights, of which each element's have a ``form``.

    Raises
    ------
    StructureError
    """
    lead = len(given) - len(form)
    if lead < 0 or given[lead:] != form:
        listed = ", ".join(map(str, form))
        raise StructureError(f"{name} must have shape (..., {listed}), got {given}")
    return given[:lead]


def joint(batch: Shape, target: Shape, weight: Shape) -> Shape:
    """Batch dimensions of a layer's arguments, of a target and of weights, taken together.

    Raises
    ------
    StructureError
    """
    try:
        return tuple(np.broadcast_shapes(batch, target[:-1], weight[:-1]))
    except ValueError:
        raise StructureError(
            f"target and weight of shapes {target}, {weight} do not broadcast with the batch "
            f"dimensions {batch} of the layer"
        ) from None


def refuse(kind: str, family: str) -> None:
    """Refuse a loss that a family cannot add.

    Raises
    ------
    IllPosedError
    """
    affine = LOSSES[kind].affine
    if family == "oracle" and not affine:
        raise IllPosedError(
            f"an oracle minimises linear costs, to which a loss {kind!r} adds others; use "
            "'linear', or on binary vectors 'hamming', which is linear there"
        )
    if family != "oracle" and kind == "hamming":
        raise IllPosedError(
            "a Hamming loss is affine on binary vectors alone, which only oracles return; use "
            "'absolute', which is the same there and convex elsewhere"
        )
    if family in NONLINEAR and not affine:
        raise IllPosedError(
            f"a loss {kind!r} cannot be added to a problem of the family {family}, of which linear "
            "costs and a proximal term alone can be changed; use 'linear', or put the loss into "
            "the objective, with its weight among the parameters"
        )


def refuse_side(kind: str, side: Side) -> None:
    """Refuse a side of a loss that is ill posed whatever the data.

    Raises
    ------
    IllPosedError
    """
    loss = LOSSES[kind]
    if side != "lower" and not (loss.affine or loss.curved):
        raise IllPosedError(
            f"the {side} side of a loss {kind!r} subtracts a kink: a non-convex problem with "
            "several stationary points, of which no solver finds the best for sure. Use "
            "side='lower'."
        )


@dataclass(frozen=True)
class Evaluated:
    """Envelopes of a batch.

    Attributes
    ----------
    values : (*shape,) float64
        NaN where an element could not be solved.
    pull : callable
        From cotangents (*shape,), which of all inputs are wanted, and the shapes of all inputs to
        the gradients of those. Where an input was expanded its array has size 1, and its gradient
        the shape.
    solved : sequence of Forward
        The forward passes that it holds.
    """

    values: FloatArray
    pull: Pull
    solved: Sequence[Forward] = ()


@dataclass(frozen=True)
class Given:
    """A call: inputs (the program's data, target, weight), and the batch shape."""

    inputs: Sequence[np.ndarray]
    shape: Shape
    resolution: float

    @property
    def data(self) -> Sequence[np.ndarray]:
        """The program's."""
        return self.inputs[:-2]

    def loss(self, kind: type[Added], n: int) -> Added:
        """The loss of every element."""
        size = prod(self.shape)
        full = (np.broadcast_to(part, (*self.shape, n)) for part in self.inputs[-2:])
        return kind(*(np.ascontiguousarray(part).reshape(size, n) for part in full))
