"""Nonlinear programs as torch modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from lpgd.core.engine import Engine
from lpgd.core.errors import StructureError
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.frontend.nlp import check, functional, symbolic
from lpgd.frontend.program import Program
from lpgd.frontend.trees import Layout
from lpgd.frontend.views import QPView
from lpgd.map.report import OnFailure
from lpgd.torch.arguments import Signature, check_kind, common_dtype, signature
from lpgd.torch.autodiff import Autodiff
from lpgd.torch.functions import TorchFunctions
from lpgd.torch.layers import DualSolution
from lpgd.torch.leaves import Leaves
from lpgd.torch.program import Known, ProgramLayer


@public("lpgd.torch")
class NLPLayer(ProgramLayer):
    """minimise f(x, w)  subject to  g(x, w) <= 0, h(x, w) = 0, lb <= x <= ub. Experimental.

    Finds a local solution near ``start``; a backward pass stays in its basin (docs/nlp).

    Parameters
    ----------
    f : callable
        ``f(x, *params)``, a scalar tensor for one element; float64 on the CPU, without batch
        dimensions. Parameters are tensors, or tuples, lists and dicts of them.
    n : int
        Number of variables.
    g, h : callable, optional
        ``g(x, *params)`` and ``h(x, *params)``, one-dimensional.
    rule : lpgd.LPGD or lpgd.Exact, optional
        By default ``lpgd.LPGD()``, which chooses tau itself.
    engine : str or Engine
        ``"auto"`` is ``"pounce"``, or where that is not installed ``"slsqp"`` of SciPy; for
        expressions of CasADi ``"ipopt"``.
    on_failure : {"raise", "nan"}
        As in :class:`QPLayer`.
    ranks : tuple of int or trees of int, optional
        How many dimensions each parameter has for one element; those in front are batch dimensions
        and broadcast. By default all are one element's; ``torch.vmap`` batches too.
    accept_inexact : bool
        As in :class:`QPLayer`.

    Raises
    ------
    TypeError, ValueError
        f, g or h is no function, or n no number of variables.
    """

    outputs = DualSolution
    _users = True

    def __init__(
        self,
        f: Callable[..., Any],
        n: int,
        g: Callable[..., Any] | None = None,
        h: Callable[..., Any] | None = None,
        rule: Rule | None = None,
        engine: str | Engine = "auto",
        on_failure: OnFailure = "raise",
        *,
        ranks: Any = None,
        accept_inexact: bool = False,
    ) -> None:
        super().__init__(rule, engine, on_failure, accept_inexact=accept_inexact)
        check(n, f, g, h)
        self.n, self._ranks, self._functions = n, ranks, (f, h, g)
        self._symbolic: Any = None

    @classmethod
    def from_casadi(
        cls,
        x: Any,
        params: Any,
        f: Any,
        g: Any = None,
        h: Any = None,
        rule: Rule | None = None,
        engine: str | Engine = "auto",
        on_failure: OnFailure = "raise",
        *,
        accept_inexact: bool = False,
    ) -> NLPLayer:
        """The layer of CasADi expressions (extra ``nlp``), solved by IPOPT.

        Parameters
        ----------
        x : casadi.SX or casadi.MX, (n, 1)
            Symbols of the variables.
        params : symbol, or sequence of symbols
            One for each argument of a call: a scalar one for a tensor (...,), a column (k, 1) for
            (..., k), a matrix for (..., k, l).
        f, g, h : expression
        rule, engine, on_failure, accept_inexact
            As above.
        """
        symbols = list(params) if isinstance(params, (list, tuple)) else [params]
        made = symbolic(x, symbols, f, g, h)
        layer = cls(_none, made.n, None, None, rule, engine, on_failure,
                    ranks=tuple(map(len, made.shapes)), accept_inexact=accept_inexact)  # fmt: skip
        layer._symbolic = made
        return layer

    def forward(
        self,
        *params: Any,
        lb: torch.Tensor | None = None,
        ub: torch.Tensor | None = None,
        start: torch.Tensor | None = None,
        return_duals: bool = False,
    ) -> Any:
        """Solve a batch of nonlinear programs.

        Parameters
        ----------
        *params : Tensor or tree of Tensors, floating
        lb, ub : Tensor, (..., n), or None
            May be infinite.
        start : Tensor, (..., n), or None
            Where to start, by default at zero; it has no gradient.
        return_duals : bool

        Returns
        -------
        Tensor, (..., n), or DualSolution
            ``y`` of h = 0, ``z`` of g <= 0, ``z_box`` of ub minus those of lb.

        Raises
        ------
        StructureError
            Wrong shape, dtype or device.
        SolverError
            Elements that failed, with ``on_failure="raise"``; in backward, if a tilted solve fails.
        """
        leaves = Leaves.of(params, self._ranks)
        if start is None:
            first = leaves.tensors[0]
            check_kind(leaves.names[0], first, first, "the first parameter")
            start = torch.zeros(self.n, dtype=first.dtype, device=first.device)
        boxes = {"lb": lb, "ub": ub, "start": start}
        boxes = {name: value for name, value in boxes.items() if value is not None}
        return self._solve({"leaves": leaves, "boxes": boxes}, duals=return_duals)

    def _signature(self, given: dict[str, Any]) -> tuple[Signature, list[torch.Tensor]]:
        leaves: Leaves = given["leaves"]
        key, tensors = signature([*enumerate(leaves.tensors), *given["boxes"].items()])
        return (key and (leaves.tree, *key)), tensors

    def _understood(self, given: dict[str, Any]) -> tuple[Known, list[torch.Tensor]]:
        leaves: Leaves = given["leaves"]
        rest: dict[str, Any] = given["boxes"]
        leaves.check([(name, value, 1) for name, value in rest.items()])
        for name, value in rest.items():
            if value.shape[-1] != self.n:
                shape = tuple(value.shape)
                raise StructureError(f"{name} must have shape (..., {self.n}), got {shape}")
        names = (*leaves.names, *rest)
        tensors = [*leaves.tensors, *rest.values()]
        problem = self._problem(leaves, names)
        chosen = self._map.choose(problem)
        cores = (*leaves.cores, *(1 for _ in rest))
        program = Program(self._map, chosen.problem, QPView(problem), names, cores)
        dtype = common_dtype(dict(zip(names, tensors, strict=True)))
        resolution = max(torch.finfo(tensor.dtype).eps for tensor in tensors)
        return Known(program, dtype, tensors[0].device, resolution), tensors

    def _problem(self, leaves: Leaves, names: tuple[str, ...]) -> Lagrangian:
        bounds = tuple(name for name in ("lb", "ub") if name in names)
        made = self._symbolic
        if made is not None:
            if leaves.ends != made.shapes:
                raise StructureError(f"params must have shapes {made.shapes}, got {leaves.ends}")
            return made.problem(names, bounds)
        f, h, g = self._functions
        functions = TorchFunctions(f, h, g, leaves.tree, leaves.names)
        ones = leaves.tree.build([torch.from_numpy(np.ones(shape)) for shape in leaves.ends])
        x = torch.from_numpy(np.ones(self.n))  # on the CPU, whatever the default device
        first, rest = (_length(k, part, x, ones) for k, part in (("h", h), ("g", g)))
        y = Layout.of(np.ones(first + rest))
        model = Autodiff(functions.lagrangian, Layout.of(x), y, leaves.tree, leaves.names)
        return functional(model, functions, (self.n, first, rest), names, bounds)


def _none(*_: Any) -> torch.Tensor:
    raise NotImplementedError


def _length(
    name: str, part: Callable[..., Any] | None, x: torch.Tensor, params: Sequence[Any]
) -> int:
    """Rows of a constraint."""
    if part is None:
        return 0
    with torch.no_grad():
        found = part(x, *params)
    if not isinstance(found, torch.Tensor) or found.ndim > 1:
        given = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise StructureError(f"{name} must return a one-dimensional tensor, got {given}")
    return found.numel()
