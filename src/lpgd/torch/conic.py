"""Cone programs as a torch module."""

from typing import Any, NamedTuple, cast

import torch

from lpgd.core.engine import Engine
from lpgd.core.errors import StructureError
from lpgd.core.problem import Problem
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import Polyhedral, forms
from lpgd.frontend.views import ConicView
from lpgd.map.choose import refuse
from lpgd.map.report import OnFailure
from lpgd.torch.arguments import Arguments, collect
from lpgd.torch.program import ProgramLayer
from lpgd.torch.sparse import Sparse


@public("lpgd.torch")
class ConicSolution(NamedTuple):
    """Solution, multipliers and slacks of a cone program.

    Attributes
    ----------
    x : Tensor, (..., n)
    y : Tensor, (..., m)
        Multipliers, in the dual cone.
    s : Tensor, (..., m)
        b - Ax, in the cone up to the engine's tolerance.
    """

    x: torch.Tensor
    y: torch.Tensor
    s: torch.Tensor


@public("lpgd.torch")
class ConicLayer(ProgramLayer):
    """minimise 1/2 x'Px + q'x  subject to  Ax + s = b, s in a product of cones.

    Programs with zero and nonnegative rows alone are handed to the engines for QPs and LPs where
    that is faster. Small programs are solved to rounding. On large or degenerate ones engines
    answer to a tolerance: keep tau times the incoming gradient well above it, or the difference of
    two solutions is noise.

    Parameters
    ----------
    cones : lpgd.Cones
        The cones of the rows of A, in their order.
    rule : lpgd.LPGD or lpgd.Exact, optional
        How the solution is differentiated; by default ``lpgd.LPGD()``, which chooses tau itself.
    engine : str or Engine
        ``"auto"``, ``"moreau"``, ``"clarabel"``, ``"scs"``; for zero and nonnegative rows
        ``"daqp"`` and, with a linear objective, ``"highs"``; or an instance with options.
    on_failure : {"raise", "nan"}
        As for ``QPLayer``.
    threads : int or None
        Most threads to use.
    accept_inexact : bool
        Whether a solution that the solver calls inaccurate counts as solved.
    """

    outputs = ConicSolution

    def __init__(
        self,
        cones: Cones,
        rule: Rule | None = None,
        engine: str | Engine = "auto",
        on_failure: OnFailure = "raise",
        threads: int | None = None,
        *,
        accept_inexact: bool = False,
    ) -> None:
        super().__init__(rule, engine, on_failure, threads, accept_inexact=accept_inexact)
        if not isinstance(cones, Cones):
            raise TypeError(f"cones must be lpgd.Cones(...), got {cones!r}")
        self._cones = cones
        refuse(forms(Conic(1, cones, quadratic=False)), engine)

    @property
    def cones(self) -> Cones:
        """The cones of the rows of A."""
        return self._cones

    def extra_repr(self) -> str:
        """Options for ``print(model)``."""
        return f"{self.cones}, {super().extra_repr()}"

    def forward(
        self,
        P: torch.Tensor | Sparse | None,
        q: torch.Tensor,
        A: torch.Tensor | Sparse,
        b: torch.Tensor,
        *,
        return_duals: bool = False,
    ) -> Any:
        """Solve a batch of cone programs; see ``QPLayer.forward`` for batches and dtypes.

        Parameters
        ----------
        P : (..., n, n) or None
            Symmetric positive semidefinite, both triangles; None for a linear objective. P and A
            may be ``Sparse`` or a two-dimensional torch COO tensor.
        q : Tensor, (..., n), floating
        A : (..., m, n)
        b : Tensor, (..., m)
        return_duals : bool

        Returns
        -------
        Tensor, (..., n), or ConicSolution

        Raises
        ------
        StructureError, SolverError, EngineError
            As ``QPLayer.forward``.
        MissingExtraError
            The engine's solver is not installed.
        """
        return self._solve({"P": P, "q": q, "A": A, "b": b}, duals=return_duals)

    def _describe(self, given: dict[str, Any]) -> tuple[Arguments, Problem, ConicView]:
        arguments = collect(given, "q", required=("q", "A", "b"), sparse=("P", "A"))
        if arguments.sizes["A"] != self.cones.m:
            raise StructureError(
                f"A must have {self.cones.m} rows, one for each row of the cones, "
                f"got {arguments.sizes['A']}"
            )
        if "P" in arguments.patterns and not arguments.patterns["P"].symmetric:
            raise StructureError("P must store both triangles: its pattern is not symmetric")
        conic = Conic(arguments.n, self.cones, arguments.patterns, "P" in arguments.tensors)
        problem = self._map.choose(*forms(conic)).problem
        return arguments, problem, ConicView(cast(Conic | Polyhedral, problem))
