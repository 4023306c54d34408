"""Envelopes of losses that are added to a problem in whole, as functions of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lpgd.core.public import public
from lpgd.frontend import envelope as shared
from lpgd.frontend.adding import evaluate
from lpgd.frontend.batches import Shape
from lpgd.frontend.envelope import Envelope, Evaluated, Given, Reduction
from lpgd.frontend.functional import Functional
from lpgd.frontend.stated import Stated
from lpgd.frontend.valued import Valued
from lpgd.jax.arguments import floating
from lpgd.jax.bridge import Call, solve
from lpgd.jax.cvxpy import CvxpyLayer
from lpgd.jax.host import HOST
from lpgd.jax.saddle import saddle
from lpgd.jax.subject import asked, check
from lpgd.rules.ends import Side


@public("lpgd.jax")
class EnvelopeLoss:
    """Value of an envelope of a loss of a solution, with its exact gradient.

    See ``lpgd.torch.EnvelopeLoss`` for what it is. It holds no arrays, and works under all
    transformations; forward mode is the derivative of the envelope.

    Parameters
    ----------
    function : callable
        ``solve_qp``, ``solve_lp``, ``solve_conic``, ``argmin`` or another function of this package,
        a ``functools.partial`` of one, or a ``CvxpyLayer``. Its rule is not used.
    loss : {"quadratic", "absolute", "linear", "hamming"}, cvxpy.Expression or callable
        As in ``lpgd.torch.EnvelopeLoss``; an expression for a ``CvxpyLayer``, a function
        ``loss(x, *targets)`` for a ``saddle``.
    tau : float
        How far the value may look from the solution, > 0, in objective units per loss unit.
    side : {"lower", "upper", "average"}
    rho : float
        Weight of a proximal term about the solution, >= 0, that is held fixed; 0 for expressions.
    targets : sequence of cvxpy.Parameter, or of int
        Of an expression, in the order of the arrays of a call; of a function how many dimensions
        each target has for one element.
    reduction : {"mean", "sum", "none"}
        Over the elements that were solved; "none" returns one value an element.

    Raises
    ------
    TypeError
        The function is none of this package's.
    IllPosedError
        The side is a non-convex problem whatever the data. What the family cannot add is refused
        when the function is traced.
    StructureError
        An expression is not convex, or has other variables or parameters than those named.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        loss: Any,
        tau: float,
        side: Side = "lower",
        *,
        rho: float = 0.0,
        targets: Sequence[Any] = (),
        reduction: Reduction = "mean",
    ) -> None:
        check(function)
        shared.check_reduction(reduction)
        self._function, self._loss, self._reduction = function, loss, reduction
        self._envelope = Envelope(tau, side, rho)
        self._stated: Stated | Functional | None = None
        if isinstance(function, CvxpyLayer):
            self._stated = Stated.of(function, loss, self._envelope, targets)
        elif isinstance(function, saddle) and callable(loss):
            self._stated = Functional.of(function, loss, self._envelope, targets)
        else:
            shared.check(loss)
            shared.refuse_side(loss, side)

    def __repr__(self) -> str:
        own = self._envelope
        return f"EnvelopeLoss({self._loss}, tau={own.tau}, side={own.side!r}, rho={own.rho})"

    def __call__(self, *inputs: Any, target: Any, weight: Any = None, **named: Any) -> jax.Array:
        """The envelope of the loss at the function's arguments.

        Parameters
        ----------
        *inputs, **named
            Arguments of the function.
        target : array, (..., n); for expressions an array for each of ``targets``, or the only one
            Leading dimensions are batch dimensions and broadcast with those of the arguments. Of an
            oracle (..., *shape), as its costs.
        weight : array, (..., n) or (), optional
            >= 0, 1 if not given. The mean-squared error is "quadratic" with weight 2 / n. Not for
            expressions.

        Returns
        -------
        array, (), or with ``reduction="none"`` (...)
            NaN, or with a reduction left out, where an element could not be solved and
            ``on_failure`` is "nan".

        Raises
        ------
        StructureError, SolverError, EngineError
            As the function.
        IllPosedError
            The family cannot add the loss; or the upper side is a non-convex problem for some
            element.
        """
        if self._stated is not None:
            values = self._whole(self._stated, inputs, target, weight)
        else:
            values = self._named(inputs, named, target, weight)
        if self._reduction == "none":
            return values
        return jnp.nanmean(values) if self._reduction == "mean" else jnp.nansum(values)

    def _whole(
        self, stated: Stated | Functional, inputs: tuple[Any, ...], target: Any, weight: Any
    ) -> jax.Array:
        every = [layer.ask(*given) for layer, given in stated.calls(inputs, target, weight)]
        seen, programs = stated.whole(every), [own.program for own in every]
        own, program = seen.arguments, seen.program

        def run(data: Sequence[np.ndarray], shape: Shape) -> Evaluated:
            return stated.evaluate(programs, data, shape, own.resolution)

        valued = Valued(run, program.batch, program.cores, HOST.store)
        return _solved(Call(valued, own.dtype, seen.posed.asked), own.arrays.values())

    def _named(
        self, inputs: tuple[Any, ...], named: dict[str, Any], target: Any, weight: Any
    ) -> jax.Array:
        seen, envelope, loss = asked(self._function, inputs, named), self._envelope, self._loss
        own = replace(seen.arguments, own={})  # of the function's rule, which is another one's here
        program = seen.posed.program(own)
        shared.refuse(loss, program.problem.family)
        program = shared.adding(program, loss, envelope)
        program.map.choose(program.problem)  # refused when traced, not when solved
        n, form = program.problem.n, shared.form(program)
        weight = jnp.ones((), own.dtype) if weight is None else floating("weight", weight)
        wide = jnp.broadcast_to(weight, (n,)) if not weight.ndim else _flat("weight", weight, form)
        arrays = [*own.arrays.values(), _flat("target", floating("target", target), form), wide]

        def batch(shapes: Sequence[Shape]) -> Shape:
            return shared.joint(program.batch(shapes[:-2]), shapes[-2], shapes[-1])

        def run(data: Sequence[np.ndarray], shape: Shape) -> Evaluated:
            return evaluate(program, envelope, loss, Given(data, shape, own.resolution))

        valued = Valued(run, batch, (*program.cores, 1, 1), HOST.store)
        return _solved(Call(valued, jnp.result_type(*arrays), seen.posed.asked), arrays)


def _flat(name: str, array: jax.Array, form: Shape) -> jax.Array:
    """An array (..., *form) as (..., n)."""
    return array.reshape(*shared.fit(name, array.shape, form), math.prod(form))


def _solved(call: Call, arrays: Iterable[jax.Array]) -> jax.Array:
    return solve(call, list(arrays))[0][..., 0]
