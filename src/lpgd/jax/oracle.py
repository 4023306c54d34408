"""Black boxes that minimise linear costs, as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax

from lpgd.core.rule import Rule
from lpgd.families.oracle.oracle import Oracle
from lpgd.frontend.oracle import OracleView, engine, opaque
from lpgd.jax.arguments import collect
from lpgd.jax.program import Posed, solver_of
from lpgd.map.report import OnFailure


def argmin(
    oracle: Callable[..., Any],
    costs: Any,
    instances: Any = None,
    *,
    rule: Rule | None = None,
    on_failure: OnFailure = "raise",
) -> jax.Array:
    """minimise <costs, x> over x in a set that only an oracle knows. Experimental.

    Parameters
    ----------
    oracle : callable
        From a float64 numpy array of costs (B, d) to minimisers (B, d); see
        ``lpgd.torch.OracleLayer``. It runs on the host and must not call JAX.
    costs : (..., d) floating
        Leading dimensions are batch dimensions.
    instances : sequence or object array, optional
        Per-instance inputs of any kind, handed to the oracle untouched as a list of B, its second
        argument. A sequence has one for each entry of the last batch dimension; the shape of an
        array broadcasts with the batch dimensions. They are constants of a compiled function.
    rule : lpgd.LPGD, optional
        How the solution is differentiated; ``rho`` must be 0. By default ``lpgd.LPGD()``.
    on_failure : {"raise", "nan"}
        As for :func:`solve_qp`.

    Returns
    -------
    (..., d) array

    Raises
    ------
    StructureError
        Wrong shape or dtype; when the function is traced.
    EngineError
        The rule asks for what an oracle cannot do.
    SolverError
        Elements that failed, with ``on_failure="raise"``; in backward too.
    """
    solver = solver_of(rule, engine(oracle), on_failure)
    arguments = collect({"costs": costs}, "costs", ("costs",))
    values = arguments.arrays["q"]
    objects = opaque(instances, values.shape[:-1])
    for array in objects.values():  # batch dimensions of both align, also under vmap
        values = values.reshape((1,) * (array.ndim + 1 - values.ndim) + values.shape)
    arguments = replace(arguments, arrays={"q": values})
    n = arguments.n
    return Posed(solver, Oracle(n), OracleView(), (n,), objects)(arguments)[0]
