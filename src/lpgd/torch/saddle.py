"""Saddle points of a user's Lagrangian, found by a user's procedure, as a torch module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from lpgd.core.errors import EngineError, StructureError
from lpgd.core.options import flag
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.frontend.functional import WithLoss
from lpgd.frontend.program import Program
from lpgd.frontend.saddle import Perturbation, Procedure, SaddleView, engine, real, signed
from lpgd.frontend.trees import Layout, Tree, flatten
from lpgd.map.report import OnFailure
from lpgd.torch.arguments import Signature, common_dtype, signature
from lpgd.torch.autodiff import Autodiff, tensor
from lpgd.torch.leaves import Leaves
from lpgd.torch.program import MOST, Known, ProgramLayer
from lpgd.torch.surroundings import undisturbed

NOTHING = SaddleView(Layout.of(None), Layout.of(None))


@public("lpgd.torch")
class SaddlePoint(NamedTuple):
    """A saddle point of a Lagrangian.

    Attributes
    ----------
    x, y : Tensor or tree of Tensors
        As ``solve`` returned them, behind any batch dimensions; y is None without multipliers.
    """

    x: Any
    y: Any


def _parts(*parts: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return parts


@public("lpgd.torch")
class SaddleLayer(ProgramLayer):
    """min over x, max over y of a Lagrangian L(x, y, *params), by any procedure. Experimental.

    The gradient is that of the Lagrangian in its parameters, at fixed saddle points of it and of
    the tilted one (Paulus et al., 2024; docs/mathematics).

    Parameters
    ----------
    lagrangian : callable
        ``lagrangian(x, y, *params)``, a scalar tensor for one element without batch dimensions;
        float64 on the CPU. x, y and the parameters are tensors, or tuples, lists and dicts of them.
    solve : callable
        ``solve(params, tilt)`` returns x, or (x, y), or (x, y, value): a saddle point of the
        Lagrangian with the tilt added, in tensors or numpy arrays. ``params`` is the tuple of
        parameters of one element. ``tilt`` knows ``t``, ``dx``, ``dy``, ``rho``, ``anchor`` and
        ``start`` (the forward solution, None in the forward pass), and changes common inputs of
        solvers: ``tilt.cost(q)``, ``tilt.hessian(P)``, ``tilt.side(b)``, ``tilt.lower(lb)``,
        ``tilt.objective(f)``, ``tilt.constraint(g)``, ``tilt.lagrangian(L)``.
    rule : lpgd.LPGD or lpgd.Exact, optional
        ``lpgd.LPGD(tau)`` with a number, unless ``linearize`` is set; then by default
        ``lpgd.LPGD()``, which chooses tau itself.
    ranks : tuple of int or trees of int, optional
        How many dimensions each parameter has for one element; those in front are batch dimensions
        and broadcast. By default all are one element's; ``torch.vmap`` batches too.
    nonnegative : bool or tree like y
        Which multipliers are >= 0, those of inequalities.
    linearize : bool
        Whether second derivatives of the Lagrangian may be taken. All constraints must be in it
        then; answers that are not stationary count as inaccurate.
    check : bool
        Whether answers of ``solve`` are compared with the Lagrangian: stationarity, signs of y,
        complementarity, value. A wrong sign convention is found and named. Takes n + m gradients.
    together : bool
        Whether ``solve`` takes a whole batch, all that it gets having an axis in front.
    like : (x, y), optional
        Trees of tensors in the shapes that ``solve`` returns. Without it the first call solves
        its first element once more.
    on_failure : {"raise", "nan"}
    accept_inexact : bool
        As in :class:`QPLayer`.

    Raises
    ------
    EngineError
        The rule needs second derivatives and ``linearize`` is not set.
    """

    outputs = staticmethod(_parts)
    _users = True

    def __init__(
        self,
        lagrangian: Callable[..., Any],
        solve: Callable[..., Any],
        rule: Rule | None = None,
        *,
        ranks: Any = None,
        nonnegative: Any = False,
        linearize: bool = False,
        check: bool = False,
        together: bool = False,
        like: tuple[Any, Any] | None = None,
        on_failure: OnFailure = "raise",
        accept_inexact: bool = False,
    ) -> None:
        for name, given in {"lagrangian": lagrangian, "solve": solve}.items():
            if not callable(given):
                raise TypeError(f"{name} must be callable, got {given!r}")
        asks = engine(solve, together=together, checked=check)
        for name, given in {"linearize": linearize, "together": together, "check": check}.items():
            flag(name, given)
        super().__init__(rule, asks, on_failure, accept_inexact=accept_inexact)
        self.lagrangian, self.solve = lagrangian, solve
        self._ranks, self._nonnegative = ranks, nonnegative
        self._twice, self._together, self._check = linearize, together, check
        self._like = like
        self._views: dict[Any, SaddleView] = {}
        try:
            self._map.choose(self._family(NOTHING, Tree(), ()))
        except EngineError as error:
            raise EngineError(
                f"{error} Or let the layer take second derivatives: linearize=True."
            ) from None

    def extra_repr(self) -> str:
        """Options for ``print(model)``."""
        return f"{self.rule}, linearize={self._twice}, on_failure={self._map.on_failure!r}"

    def forward(self, *params: Any, return_duals: bool = False) -> Any:
        """Find saddle points.

        Parameters
        ----------
        *params : Tensor or tree of Tensors, floating
        return_duals : bool

        Returns
        -------
        x, or SaddlePoint
            In the parameters' dtype and device.

        Raises
        ------
        StructureError
            Wrong shape, dtype or device; x or y of another shape than before.
        SolverError
            Elements that failed, with ``on_failure="raise"``; in backward too.
        """
        flag("return_duals", return_duals)
        leaves = Leaves.of(params, self._ranks)
        parts = self._solve({"leaves": leaves}, duals=True)
        view = self._viewed(leaves)
        lead = parts[0].shape[:-1]
        shaped = [
            part.reshape((*lead, *shape))
            for part, shape in zip(parts, view.x.shapes + view.y.shapes, strict=True)
        ]
        count = len(view.x.shapes)
        x, y = view.x.tree.build(shaped[:count]), view.y.tree.build(shaped[count:])
        return SaddlePoint(x, y) if return_duals else x

    def with_loss(self, loss: Callable[..., Any], targets: Sequence[Any]) -> SaddleLayer:
        """The layer of L + t loss, of the parameters, targets and t; see ``WithLoss``."""
        if self._together:
            raise StructureError("a loss that is a function needs a solve of one element")
        added, own = WithLoss(self.lagrangian, self.solve, loss, max(1, len(targets))), self._map
        made = _WithLoss(
            added.lagrangian, added.solve, own.rule, ranks=added.ranks(self._ranks, targets),
            nonnegative=self._nonnegative, linearize=self._twice, check=self._check,
            like=self._like, on_failure=own.on_failure, accept_inexact=own.accept_inexact,
        )  # fmt: skip
        made._map.stats = own.stats
        return made

    def _family(self, view: SaddleView, tree: Tree, names: tuple[str, ...]) -> Lagrangian:
        nonnegative = self._nonnegative if view is not NOTHING else False
        model = Autodiff(self.lagrangian, view.x, view.y, tree, names)
        parts = dict(zip(view.y.tree.names("y"), view.y.slices(), strict=True))
        return Lagrangian(
            view.x.size, view.y.size, model, names, signed(nonnegative, view.y), self._twice,
            parts=parts,
        )  # fmt: skip

    def _signature(self, given: dict[str, Any]) -> tuple[Signature, list[torch.Tensor]]:
        leaves: Leaves = given["leaves"]
        key, tensors = signature(enumerate(leaves.tensors))
        return (key and (leaves.tree, *key)), tensors

    def _understood(self, given: dict[str, Any]) -> tuple[Known, list[torch.Tensor]]:
        leaves: Leaves = given["leaves"]
        leaves.check()
        tensors, names = leaves.tensors, leaves.names
        view = self._viewed(leaves)
        procedure = self._procedure(view, leaves)
        asks = engine(procedure, together=self._together, checked=self._check)
        problem = self._family(view, leaves.tree, names)
        program = Program(replace(self._map, engine=asks), problem, view, names, leaves.cores)
        dtype = common_dtype(dict(zip(names, tensors, strict=True)))
        resolution = max(torch.finfo(tensor.dtype).eps for tensor in tensors)
        return Known(program, dtype, tensors[0].device, resolution), tensors

    def _viewed(self, leaves: Leaves) -> SaddleView:
        """The shapes of x and y, which the first element tells."""
        key = leaves.tree, leaves.ends
        if key in self._views:
            return self._views[key]
        if self._like is not None:
            x, y = self._like
        else:
            pairs = zip(leaves.tensors, leaves.cores, strict=True)
            first = [_first(leaf, core) for leaf, core in pairs]
            if self._together:
                first = [array[None] for array in first]
            procedure = self._procedure(NOTHING, leaves)
            x, y, _ = undisturbed(
                lambda: procedure.answer(first, Perturbation(wrap=tensor)), functions=True
            )
        view = SaddleView(Layout.of(x), Layout.of(y))
        if self._together and self._like is None:
            view = SaddleView(view.x.single, view.y.single)
        if len(self._views) == MOST:
            self._views.pop(next(iter(self._views)), None)  # the oldest
        self._views[key] = view
        return view

    def _procedure(self, view: SaddleView, leaves: Leaves) -> Procedure:
        how = tensor, _numpy, self._together
        return Procedure(self._asked, view, leaves.tree, leaves.names, *how)

    def _asked(self, params: Any, tilt: Perturbation) -> Any:
        with torch.enable_grad():  # also within autograd's own calls
            return self.solve(params, tilt)


class _WithLoss(SaddleLayer):
    """Of the Lagrangian with a loss; calls leave t out, which is put in where values are taken."""

    def forward(self, *params: Any, return_duals: bool = False) -> Any:
        first = flatten(params)[0][0]
        return super().forward(*params, torch.zeros((), dtype=first.dtype, device=first.device),
                               return_duals=return_duals)  # fmt: skip


def _numpy(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        own = value.dtype if value.is_complex() else torch.float64
        value = value.detach().to("cpu", own).numpy(force=True)
    return real(np.asarray(value))


def _first(leaf: torch.Tensor, core: int) -> np.ndarray:
    """A parameter of the first element."""
    try:
        return _numpy(leaf[(0,) * (leaf.ndim - core)])
    except (IndexError, RuntimeError) as error:
        raise StructureError(
            "within torch.func transforms, and of empty batches, the shapes of x and y must be "
            "known: call the layer once before, or give like=(x, y)"
        ) from error
