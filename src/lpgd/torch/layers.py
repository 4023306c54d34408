"""Quadratic and linear programs as torch modules."""

from typing import Any, NamedTuple

import torch

from lpgd.core.errors import StructureError
from lpgd.core.public import public
from lpgd.families.qp.qp import QP
from lpgd.frontend.views import QPView
from lpgd.torch.arguments import Arguments, collect
from lpgd.torch.program import ProgramLayer
from lpgd.torch.sparse import Sparse

Argument = torch.Tensor | Sparse | None


@public("lpgd.torch")
class DualSolution(NamedTuple):
    """Solution and multipliers of a program.

    Attributes
    ----------
    x : Tensor, (..., n)
    y : Tensor, (..., m_eq)
        Multipliers of Ax = b; length 0 without them.
    z : Tensor, (..., m_in)
        Multipliers of Gx <= h, >= 0; length 0 without them.
    z_box : Tensor, (..., n)
        Multipliers of ub minus those of lb.
    """

    x: torch.Tensor
    y: torch.Tensor
    z: torch.Tensor
    z_box: torch.Tensor


class _QuadraticLayer(ProgramLayer):
    outputs = DualSolution

    def _describe(self, given: dict[str, Any]) -> tuple[Arguments, QP, QPView]:
        cost = "q" if "P" in given else "c"
        required = ("P", "q") if "P" in given else ("c",)
        arguments = collect(given, cost, required, sparse=("P", "G", "A"))
        if "P" in arguments.patterns and not arguments.patterns["P"].symmetric:
            raise StructureError("P must store both triangles: its pattern is not symmetric")
        problem = QP.of(arguments.sizes, arguments.n, arguments.patterns)
        return arguments, problem, QPView(problem)


@public("lpgd.torch")
class QPLayer(_QuadraticLayer):
    """minimise 1/2 x'Px + q'x  subject to  Gx <= h, Ax = b, lb <= x <= ub.

    Parameters
    ----------
    rule : lpgd.LPGD or lpgd.Exact, optional
        How the solution is differentiated; by default ``lpgd.LPGD()``, which chooses tau itself.
    engine : str or Engine
        ``"auto"``, a name, or an instance with options, e.g. ``lpgd.DaqpEngine(time_limit=1.0)``.
    on_failure : {"raise", "nan"}
        Whether an element that cannot be solved raises ``lpgd.SolverError``, or is marked: x = NaN,
        zero gradients, one ``lpgd.SolverWarning`` a call.
    threads : int or None
        Most threads to use; None uses all processors where the problems are large enough.
    accept_inexact : bool
        Whether a solution that the solver calls inaccurate counts as solved.
    """

    def forward(
        self,
        P: torch.Tensor | Sparse,
        q: torch.Tensor,
        G: Argument = None,
        h: torch.Tensor | None = None,
        A: Argument = None,
        b: torch.Tensor | None = None,
        lb: torch.Tensor | None = None,
        ub: torch.Tensor | None = None,
        *,
        return_duals: bool = False,
    ) -> Any:
        """Solve a batch of quadratic programs.

        Leading dimensions are batch dimensions and broadcast as in torch; an argument without them
        is shared by the batch. Computed in float64, returned in the arguments' dtype and device.

        Parameters
        ----------
        P : (..., n, n), floating
            Symmetric positive semidefinite, both triangles. P, G and A may be :class:`Sparse` or
            a two-dimensional torch COO tensor.
        q : Tensor, (..., n)
        G, h : (..., m_in, n) and (..., m_in), or both None
            An entry of h may be +inf.
        A, b : (..., m_eq, n) and (..., m_eq), or both None
        lb, ub : Tensor, (..., n), or None
            May be infinite.
        return_duals : bool

        Returns
        -------
        Tensor, (..., n), or DualSolution

        Raises
        ------
        StructureError
            Wrong shape, dtype, device or a missing partner.
        SolverError
            Elements that failed, with ``on_failure="raise"``; in backward, if a tilted solve fails.
        EngineError
            The engine cannot do what the rule asks of it.
        """
        given = {"P": P, "q": q, "G": G, "h": h, "A": A, "b": b, "lb": lb, "ub": ub}
        return self._solve(given, duals=return_duals)


@public("lpgd.torch")
class LPLayer(_QuadraticLayer):
    """minimise c'x  subject to  Gx <= h, Ax = b, lb <= x <= ub.

    The parameters are those of :class:`QPLayer`. The derivative of x in c is zero at every vertex:
    a rule with a finite tau is what makes this layer learn.
    """

    def forward(
        self,
        c: torch.Tensor,
        G: Argument = None,
        h: torch.Tensor | None = None,
        A: Argument = None,
        b: torch.Tensor | None = None,
        lb: torch.Tensor | None = None,
        ub: torch.Tensor | None = None,
        *,
        return_duals: bool = False,
    ) -> Any:
        """Solve a batch of linear programs; see :meth:`QPLayer.forward`.

        Parameters
        ----------
        c : Tensor, (..., n), floating
        G, h : (..., m_in, n) and (..., m_in), or both None
            G may be :class:`Sparse` or a two-dimensional torch COO tensor.
        A, b : (..., m_eq, n) and (..., m_eq), or both None
            Likewise.
        lb, ub : Tensor, (..., n), or None
        return_duals : bool

        Returns
        -------
        Tensor, (..., n), or DualSolution
        """
        given = {"c": c, "G": G, "h": h, "A": A, "b": b, "lb": lb, "ub": ub}
        return self._solve(given, duals=return_duals)
