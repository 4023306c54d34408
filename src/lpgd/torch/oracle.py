"""Black boxes that minimise linear costs, as torch modules. Experimental."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.families.oracle.oracle import Oracle
from lpgd.frontend.oracle import OracleView, engine, opaque
from lpgd.map.report import OnFailure
from lpgd.torch.arguments import Arguments, collect
from lpgd.torch.program import ProgramLayer


class _Minimisers(NamedTuple):
    x: torch.Tensor


@public("lpgd.torch")
class OracleLayer(ProgramLayer):
    """minimise <costs, x> over x in a set that only an oracle knows. Experimental.

    Parameters
    ----------
    oracle : callable
        From a float64 array of costs (B, d) to minimisers (B, d): a shortest path, an assignment,
        an integer program, anybody's code. It is called with any B, for the tilted costs of the
        backward pass too, which may have other signs.
    rule : lpgd.LPGD, optional
        How the solution is differentiated; ``rho`` must be 0. By default ``lpgd.LPGD()``, which
        takes each element for a vertex: tilts of 3, 24 and 192 times its costs, until it moves.
        ``lpgd.LPGD(tau, side="lower")`` is blackbox differentiation (Pogančić et al., 2020) with
        lambda = tau.
    on_failure : {"raise", "nan"}
        Whether an element of which the oracle raises, or returns a wrong shape or a NaN, raises
        ``lpgd.SolverError``, or is marked: x = NaN, zero gradient, one warning a call.

    Raises
    ------
    EngineError
        The rule asks for what an oracle cannot do.
    """

    outputs = _Minimisers

    def __init__(
        self,
        oracle: Callable[..., Any],
        rule: Rule | None = None,
        on_failure: OnFailure = "raise",
    ) -> None:
        super().__init__(rule, engine(oracle), on_failure)
        self._map.choose(Oracle(1))  # refuses what no oracle can do, whatever the size

    def extra_repr(self) -> str:
        """Options for ``print(model)``."""
        return f"{self.rule}, on_failure={self._map.on_failure!r}"

    def forward(self, costs: torch.Tensor, instances: Any = None) -> torch.Tensor:
        """Minimise a batch of linear costs.

        Parameters
        ----------
        costs : Tensor, (..., d), floating
            Leading dimensions are batch dimensions.
        instances : sequence or object array, optional
            Per-instance inputs of any kind (graphs, capacities), handed to the oracle untouched as
            a list of B, its second argument. A sequence has one for each entry of the last batch
            dimension; the shape of an array broadcasts with the batch dimensions.

        Returns
        -------
        Tensor, (..., d)

        Raises
        ------
        StructureError
            Wrong shape or dtype.
        SolverError
            Elements that failed, with ``on_failure="raise"``; in backward too.
        """
        return self._solve({"costs": costs, "instances": instances}, duals=False)

    def _describe(self, given: dict[str, Any]) -> tuple[Arguments, Oracle, OracleView]:
        arguments = collect({"costs": given["costs"]}, "costs", ("costs",), sparse=())
        costs = arguments.tensors["q"]
        objects = opaque(given["instances"], tuple(costs.shape[:-1]))
        for array in objects.values():  # batch dimensions of both align, also under vmap
            costs = costs.reshape((1,) * (array.ndim + 1 - costs.ndim) + costs.shape)
        arguments = replace(arguments, tensors={"q": costs}, opaque=objects)
        return arguments, Oracle(arguments.n), OracleView()
