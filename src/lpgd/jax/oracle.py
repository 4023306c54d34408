"""Black boxes that minimise linear costs, as a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lpgd.core.rule import Rule
from lpgd.families.oracle.oracle import Oracle
from lpgd.frontend.oracle import Asking, OracleView, Sense, checked, form, opaque
from lpgd.jax.arguments import collect
from lpgd.jax.program import Asked, Posed, solver_of
from lpgd.jax.subject import answered
from lpgd.map.report import OnFailure


@answered
def argmin(
    oracle: Callable[..., Any],
    costs: Any,
    instances: Any = None,
    *,
    rule: Rule | None = None,
    sense: Sense = "min",
    shape: tuple[int | None, ...] | None = None,
    on_failure: OnFailure = "raise",
    n_jobs: int | None = None,
    timeout: float | None = None,
) -> Any:
    """minimise <costs, x> over x in a set that only an oracle knows. Experimental.

    Parameters
    ----------
    oracle : callable
        From a float64 numpy array of costs (B, *shape) to minimisers; see
        ``lpgd.torch.OracleLayer``. It runs on the host and must not call JAX.
    costs : (..., *shape) floating
        Leading dimensions are batch dimensions.
    instances : sequence or object array, optional
        Per-instance inputs of any kind, handed to the oracle untouched as a list of B, its second
        argument. A sequence has one for each entry of the last batch dimension; the shape of an
        array broadcasts with the batch dimensions. They are constants of a compiled function.
    rule : lpgd.LPGD, optional
        How the solution is differentiated; ``rho`` must be 0. By default ``lpgd.LPGD()``.
    sense, shape, n_jobs, timeout : optional
        As for ``lpgd.torch.OracleLayer``; ``sense="max"`` maximises.
    on_failure : {"raise", "nan"}
        As for :func:`solve_qp`.

    Returns
    -------
    (..., *shape) array

    Raises
    ------
    StructureError
        Wrong shape or dtype; when the function is traced.
    EngineError
        The rule asks for what an oracle cannot do.
    SolverError
        Elements that failed, with ``on_failure="raise"``; in backward too.
    """
    asking = Asking(sense, n_jobs, timeout)
    solver = solver_of(rule, asking.engine(oracle), on_failure)
    values = collect({"costs": costs}, "costs", ("costs",)).arrays["q"]
    own = checked(form(oracle, shape), values.shape)
    values = values.reshape(*values.shape[: values.ndim - len(own)], int(np.prod(own)))
    objects = opaque(instances, values.shape[:-1])
    for array in objects.values():  # batch dimensions of both align, also under vmap
        values = values.reshape((1,) * (array.ndim + 1 - values.ndim) + values.shape)
    n = values.shape[-1]
    arguments = collect({"costs": -values if sense == "max" else values}, "costs", ("costs",))
    posed = Posed(solver, Oracle(n, own), OracleView(), (n,), objects)
    return Asked(posed, arguments, lambda flat: flat[0].reshape(*flat[0].shape[:-1], *own))
