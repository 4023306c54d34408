"""Saddle points of a user's Lagrangian, found by a user's procedure, as a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lpgd.core.errors import EngineError, StructureError
from lpgd.core.options import flag
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.core.stats import Stats
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.frontend.functional import WithLoss
from lpgd.frontend.saddle import Procedure, SaddleView, engine, signed
from lpgd.frontend.subject import Subject
from lpgd.frontend.trees import Layout
from lpgd.jax.derivatives import Derived, Stated
from lpgd.jax.procedures import Compiled, Guarded, numbers
from lpgd.jax.program import Asked, Posed, solver_of
from lpgd.jax.pytrees import Leaves, Pytree
from lpgd.jax.subject import subject
from lpgd.jax.traced import Traced
from lpgd.map.report import OnFailure

MOST = 64  # structures that a saddle remembers


@public("lpgd.jax")
class SaddlePoint(NamedTuple):
    """A saddle point of a Lagrangian.

    Attributes
    ----------
    x, y : array or pytree of arrays
        Like ``like``, behind any batch dimensions.
    """

    x: Any
    y: Any


@public("lpgd.jax")
class saddle:  # noqa: N801 - it is called like the functions of this package
    """min over x, max over y of a Lagrangian L(x, y, *params), by any procedure. Experimental.

    A function of the parameters, for all transformations of JAX; see ``lpgd.torch.SaddleLayer`` for
    the mathematics. Make it once, outside of what is compiled: it holds no arrays.

    Parameters
    ----------
    lagrangian : callable
        ``lagrangian(x, y, *params)``, a scalar for one element without batch dimensions, in
        float64, by functions of JAX. x, y and the parameters are any pytrees of arrays.
    solve : callable
        ``solve(params, tilt)`` returns x, or (x, y), or (x, y, value): a saddle point of the
        Lagrangian with the tilt added. It gets numpy arrays, runs on the host, and must not call
        JAX within compiled programs, unless ``traced``. ``tilt`` as in ``lpgd.torch.SaddleLayer``.
    rule : lpgd.LPGD or lpgd.Exact, optional
        ``lpgd.LPGD(tau)`` with a number, unless ``linearize`` is set; then by default
        ``lpgd.LPGD()``, which chooses tau itself.
    like : (x, y)
        Pytrees of arrays, or of ``jax.ShapeDtypeStruct``, in the shapes that ``solve`` returns for
        one element; y is None without multipliers.
    ranks : pytree of int like the tuple of parameters, optional
        How many dimensions each parameter has for one element; those in front are batch dimensions
        and broadcast. By default all are one element's; ``jax.vmap`` batches too.
    nonnegative : bool or pytree like y
        Which multipliers are >= 0, those of inequalities.
    linearize : bool
        Whether second derivatives of the Lagrangian may be taken. All constraints must be in it
        then; answers that are not stationary count as inaccurate.
    check : bool
        Whether answers of ``solve`` are compared with the Lagrangian: stationarity, signs of y,
        complementarity, value. A wrong sign convention is found and named.
    together : bool
        Whether ``solve`` takes a whole batch, all that it gets having an axis in front.
    traced : bool
        Whether ``solve`` is written in JAX throughout, and compiled with what calls it; then it
        gets arrays of JAX, float64, and NaN is how it fails.
    on_failure, accept_inexact
        As for :func:`solve_qp`.

    Raises
    ------
    EngineError
        The rule needs second derivatives and ``linearize`` is not set, or it needs a key
        or a state.
    TypeError
        The Lagrangian or ``solve`` cannot be called, or ``like`` is no pair.
    """

    def __init__(
        self,
        lagrangian: Callable[..., Any],
        solve: Callable[..., Any],
        rule: Rule | None = None,
        *,
        like: tuple[Any, Any],
        ranks: Any = None,
        nonnegative: Any = False,
        linearize: bool = False,
        check: bool = False,
        together: bool = False,
        traced: bool = False,
        on_failure: OnFailure = "raise",
        accept_inexact: bool = False,
    ) -> None:
        for name, given in {"lagrangian": lagrangian, "solve": solve}.items():
            if not callable(given):
                raise TypeError(f"{name} must be callable, got {given!r}")
        options = {"linearize": linearize, "together": together, "check": check, "traced": traced}
        for name, given in options.items():
            flag(name, given)
        if traced and together:
            raise ValueError("a traced solve takes one element, and is mapped over a batch")
        self._options = {"together": together or traced, "checked": check}
        self._traced = traced
        asks = engine(solve, **self._options)
        self._map = solver_of(rule, asks, on_failure, accept_inexact=accept_inexact)
        self.lagrangian, self.solve = lagrangian, solve
        if not (isinstance(like, (tuple, list)) and len(like) == 2):
            raise TypeError(f"like must be a pair (x, y), y None without multipliers, got {like!r}")
        x, y = like
        self._view = SaddleView(Layout.of(x, Pytree.of), Layout.of(y, Pytree.of))
        self._nonnegative, self._signs = nonnegative, signed(nonnegative, self._view.y)
        self._ranks, self._twice = ranks, linearize
        self._known: dict[tuple[Layout, tuple[str, ...]], tuple[Lagrangian, Traced, Any]] = {}
        try:
            self._map.choose(self._family(Derived(Traced(0, {}), 0, ()), ()))
        except EngineError as error:
            raise EngineError(
                f"{error} Or let second derivatives be taken: linearize=True."
            ) from None

    def __repr__(self) -> str:
        return f"lpgd.jax.saddle({self.lagrangian!r}, {self.solve!r}, {self.rule})"

    @property
    def rule(self) -> Rule:
        """How the saddle point is differentiated."""
        return self._map.rule

    @property
    def stats(self) -> Stats:
        """What was done so far."""
        return self._map.stats

    def __call__(self, *params: Any, return_duals: bool = False) -> Any:
        """Find saddle points.

        Parameters
        ----------
        *params : array or pytree of arrays, floating
        return_duals : bool

        Returns
        -------
        x, or SaddlePoint
            In the parameters' common dtype.

        Raises
        ------
        StructureError
            Wrong shape or dtype, or a Lagrangian that is no scalar; when the call is traced.
        SolverError
            Elements that failed, with ``on_failure="raise"``; in backward too.
        """
        return self.ask(*params, return_duals=return_duals).answer()

    def ask(self, *params: Any, return_duals: bool = False) -> Asked:
        """A call that is not solved yet."""
        flag("return_duals", return_duals)
        leaves, view = Leaves.of(params, self._ranks, {}), self._view
        problem, traced, asked = self._stated(leaves)
        solver = replace(self._map, engine=engine(asked, **self._options))
        widths = (*view.x.sizes, *view.y.sizes)
        posed = Posed(solver, problem, view, widths, asked=traced)

        def present(parts: Sequence[jax.Array]) -> Any:
            shaped = [
                part.reshape((*part.shape[:-1], *shape))
                for part, shape in zip(parts, view.x.shapes + view.y.shapes, strict=True)
            ]
            count = len(view.x.shapes)
            x, y = view.x.tree.build(shaped[:count]), view.y.tree.build(shaped[count:])
            return SaddlePoint(x, y) if return_duals else x

        return Asked(posed, leaves.arguments, present)

    def with_loss(self, loss: Callable[..., Any], targets: Sequence[Any]) -> saddle:
        """The saddle points of L + t loss, of the parameters, targets and t; see ``WithLoss``."""
        added = WithLoss(self.lagrangian, self.solve, loss, max(1, len(targets)), self._traced)
        own, view = self._map, self._view
        check, together = self._options["checked"], self._options["together"] and not self._traced
        if together:
            raise StructureError("a loss that is a function needs a solve of one element")
        x, y = (part.tree.build([np.zeros(s) for s in part.shapes]) for part in (view.x, view.y))
        made = _WithLoss(
            added.lagrangian, added.solve, own.rule, like=(x, y),
            ranks=added.ranks(self._ranks, targets), nonnegative=self._nonnegative,
            linearize=self._twice, check=check, traced=self._traced, on_failure=own.on_failure,
            accept_inexact=own.accept_inexact,
        )  # fmt: skip
        made._map.stats = own.stats
        return made

    def subject(self, inputs: tuple[Any, ...], named: Mapping[str, Any], loss: Any) -> Subject:
        """A call and a loss of what it returns, as ``lpgd.diagnose`` takes it."""
        return subject(type(self).__name__, self.ask, inputs, named, loss)

    def _stated(self, leaves: Leaves) -> tuple[Lagrangian, Traced, Any]:
        """The problem of these parameters, the functions that it asks for, and who solves it."""
        key = leaves.params, leaves.names
        if key not in self._known:
            view, params, names = self._view, leaves.params, leaves.names
            stated = Stated(self.lagrangian, view.x, view.y, params)
            own = Compiled(self.solve, view, params, names)
            solves = own.functions if self._traced else {}
            width = max(stated.width, own.width) if self._traced else stated.width
            traced = Traced(width, {**stated.functions(self._needed), **solves})
            problem = self._family(Derived(traced, view.x.size, names), names)
            asked: Any = own.asking(traced)
            if not self._traced:
                alike = view, params.tree, names, np.asarray, numbers, self._options["together"]
                asked = Procedure(Guarded(self.solve), *alike)
            if len(self._known) == MOST:
                self._known.pop(next(iter(self._known)), None)  # the oldest
            self._known[key] = problem, traced, asked
        return self._known[key]

    @property
    def _needed(self) -> list[str]:
        """The derivatives that may be asked for: first ones for envelopes and diagnoses, too."""
        return ["gradient", "first", *["curvature"] * self._twice]

    def _family(self, model: Derived, names: tuple[str, ...]) -> Lagrangian:
        x, y = self._view.x, self._view.y
        parts = dict(zip(y.tree.names("y"), y.slices(), strict=True))
        return Lagrangian(x.size, y.size, model, names, self._signs, self._twice, parts=parts)


class _WithLoss(saddle):
    """Of the Lagrangian with a loss; calls leave t out, which is put in where values are taken."""

    def ask(self, *params: Any, return_duals: bool = False) -> Asked:
        t = jnp.zeros((), jnp.result_type(*jax.tree_util.tree_leaves(params), jnp.float16))
        return super().ask(*params, t, return_duals=return_duals)
