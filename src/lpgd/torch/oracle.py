"""Black boxes that minimise linear costs, as torch modules. Experimental."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from lpgd.core.errors import StructureError
from lpgd.core.options import array
from lpgd.core.public import public
from lpgd.core.rule import Rule
from lpgd.families.oracle.oracle import Oracle
from lpgd.frontend.oracle import Asking, OracleView, Sense, checked, fitting, form, opaque, pooled
from lpgd.losses.linear import fitting as fitting_batches
from lpgd.map.report import OnFailure
from lpgd.torch.arguments import (
    Arguments,
    Signature,
    check_kind,
    check_numbers,
    collect,
    signature,
)
from lpgd.torch.program import ProgramLayer


class _Minimisers(NamedTuple):
    x: torch.Tensor


@public("lpgd.torch")
class OracleLayer(ProgramLayer):
    """minimise or maximise <costs, x> over x in a set that only an oracle knows. Experimental.

    Parameters
    ----------
    oracle : callable
        From a float64 array of costs (B, *shape) to solutions: a shortest path, an assignment, an
        integer program, anybody's code; ``lpgd.oracles`` has many, and ``lpgd.oracles.each`` makes
        one of a function of one cost. It is called with any B, for the tilted costs of the
        backward pass too, which may have other signs. It may return an ``lpgd.oracles.Reply``.
        Attributes that it may have: ``shape`` and ``sense`` as below, if they are its own;
        ``gap``, the suboptimality of its answers relative to max|c| sum|x|; ``feasible``, a
        function that tells of points (B, *shape) which are in the set.
    rule : lpgd.LPGD, optional
        How the solution is differentiated; ``rho`` must be 0. By default ``lpgd.LPGD()``, which
        takes each element for a vertex and tilts by multiples of its costs until it moves.
        ``lpgd.LPGD(tau, side="lower")`` is blackbox differentiation (Pogančić et al., 2020) with
        lambda = tau.
    sense : {"min", "max"}
        Whether the layer returns minimisers or maximisers. An oracle without a ``sense`` of its own
        has to do the same; those of ``lpgd.oracles`` minimise, and are handed negated costs.
    on_failure : {"raise", "nan"}
        Whether an element of which the oracle raises, or returns a wrong shape or a NaN, raises
        ``lpgd.SolverError``, or is marked: x = NaN, zero gradient, one warning a call.
    n_jobs : int, optional
        Spreads every batch over so many workers by joblib: processes of this machine, or what
        ``joblib.parallel_config`` says (threads, Dask, Ray); -1 takes all processors.
    timeout : float, optional
        Seconds for an element, after which its process is ended; for back ends of processes.
    shape : tuple of int or None, optional
        Shape of one cost; None is any size. By default the oracle's ``shape``, else one dimension.
    features : callable, optional
        Where the oracle returns objects: from one of them to its vector x (*shape).
    offset : callable, optional
        From an object to what the objective adds to <costs, x>; see ``objective``.
    solve_ratio : float
        Share of the elements of training calls that are solved; the others get the best solution
        seen so far, and their answers then depend on earlier calls. 1 solves all.
    pool : (K, *shape) array
        Solutions with which it begins.
    cache : int
        Bytes for solutions of costs that may come again; 0 keeps none.
    seed : int
        Of the draws for ``solve_ratio``.

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
        sense: Sense = "min",
        on_failure: OnFailure = "raise",
        n_jobs: int | None = None,
        *,
        timeout: float | None = None,
        shape: tuple[int | None, ...] | int | None = None,
        features: Callable[[Any], Any] | None = None,
        offset: Callable[[Any], float] | None = None,
        solve_ratio: float = 1.0,
        pool: Any = (),
        cache: int = 0,
        seed: int = 0,
    ) -> None:
        pool = array("pool", pool)
        for name, function in (("features", features), ("offset", offset)):
            if not (function is None or callable(function)):
                raise TypeError(f"{name} must be a callable, got {function!r}")
        asking = Asking(sense, n_jobs, timeout, features, cache, solve_ratio, pool, seed)
        super().__init__(rule, asking.engine(oracle), on_failure)
        self.oracle, self.sense, self.n_jobs = oracle, sense, n_jobs
        self._form, self._features, self._offset = form(oracle, shape), features, offset
        fitting(pool, self._form)
        self._map.choose(Oracle(1))  # refuses what no oracle can do, whatever the size

    def extra_repr(self) -> str:
        """Options for ``print(model)``."""
        more = f", n_jobs={self.n_jobs}" if self.n_jobs is not None else ""
        told = f"{self.rule}, sense={self.sense!r}, on_failure={self._map.on_failure!r}{more}"
        return f"{self.oracle!r}, {told}" if hasattr(self.oracle, "reply") else told

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002
        """As ``torch.nn.Module``'s; a pool of solutions answers in training only."""
        found = super().train(mode)
        kept = pooled(self._map.engine)
        if kept is not None:
            kept.active = mode
        return found

    def forward(self, costs: torch.Tensor, instances: Any = None, *, objects: bool = False) -> Any:
        """Solve a batch of linear costs.

        Parameters
        ----------
        costs : Tensor, (..., *shape), floating
            Leading dimensions are batch dimensions.
        instances : sequence or object array, optional
            Per-instance inputs of any kind (graphs, capacities), handed to the oracle untouched as
            a list of B, its second argument. A sequence has one for each entry of the last batch
            dimension; the shape of an array broadcasts with the batch dimensions.
        objects : bool
            Whether to return what the oracle did as well; needs ``features``.

        Returns
        -------
        Tensor, (..., *shape); with ``objects`` a pair of it and an array (...) of objects

        Raises
        ------
        StructureError
            Wrong shape or dtype.
        SolverError
            Elements that failed, with ``on_failure="raise"``; in backward too.
        """
        own: tuple[int, ...] = (1,)
        if isinstance(costs, torch.Tensor):
            check_numbers("costs", costs, costs, "costs")
            check_kind("costs", costs, costs, "costs")
            own = checked(self._form, tuple(costs.shape))
            costs = costs.reshape(*costs.shape[: costs.ndim - len(own)], int(np.prod(own)))
            costs = -costs if self.sense == "max" else costs
        given = {"costs": costs, "instances": instances, "form": own}
        if not objects:
            x = self._solve(given, duals=False)
            return x.reshape(*x.shape[:-1], *own)
        if self._features is None:
            raise ValueError("objects=True needs features: from an object to its vector")
        solution, call = self._called(given)
        assert call.forward is not None
        solved = call.forward.solution.objects
        assert solved is not None
        return solution.x.reshape(*solution.x.shape[:-1], *own), solved.reshape(call.forward.shape)

    def objective(self, costs: torch.Tensor, x: torch.Tensor, objects: Any = None) -> torch.Tensor:
        """<costs, x> of each element, plus the ``offset`` of its object; shape (...).

        Costs and x are (..., *shape) each, and their batch dimensions broadcast.
        x counts as constant, so that the gradient with respect to the costs is x: that of the
        optimal value, if x is optimal.

        Raises
        ------
        StructureError
            Wrong shape, or no tensors; not one object for each element.
        """
        for name, part in (("costs", costs), ("x", x)):
            check_numbers(name, part, costs, "costs")
        own = checked(self._form, tuple(costs.shape))
        if tuple(x.shape[max(x.ndim - len(own), 0) :]) != own:
            raise StructureError(f"x must end in the shape {own} of one cost, got {tuple(x.shape)}")
        fitting_batches(own, costs=costs, x=x)
        value = costs * x.detach()
        value = value.flatten(value.ndim - len(own)).sum(-1)
        if objects is None or self._offset is None:
            return value
        each = [float(self._offset(found)) for found in np.asarray(objects, dtype=object).flat]
        if len(each) != value.numel():
            raise StructureError(f"{value.numel()} objects are needed, got {len(each)}")
        return value + torch.tensor(each, dtype=value.dtype, device=value.device).view(value.shape)

    def _signature(self, given: dict[str, Any]) -> tuple[Signature, list[torch.Tensor]]:
        key, tensors = signature((name, given[name]) for name in ("costs", "instances"))
        return (*key, given["form"]) if key else (), tensors

    def _describe(self, given: dict[str, Any]) -> tuple[Arguments, Oracle, OracleView]:
        arguments = collect({"costs": given["costs"]}, "costs", ("costs",), sparse=())
        costs = arguments.tensors["q"]
        objects = opaque(given["instances"], tuple(costs.shape[:-1]))
        for inputs in objects.values():  # batch dimensions of both align, also under vmap
            costs = costs.reshape((1,) * (inputs.ndim + 1 - costs.ndim) + costs.shape)
        arguments = replace(arguments, tensors={"q": costs}, opaque=objects)
        return arguments, Oracle(arguments.n, given["form"]), OracleView()
