"""Black boxes that minimise linear costs, as a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lpgd.core.rule import Rule
from lpgd.families.oracle.oracle import Oracle
from lpgd.frontend.oracle import Asking, OracleView, Sense, checked, form, opaque
from lpgd.jax.arguments import collect
from lpgd.jax.own import Own
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
    key: Any = None,
    state: Mapping[str, Any] | None = None,
) -> Any:
    """minimise <costs, x> over x in a set that only an oracle knows. Experimental.

    Parameters
    ----------
    oracle : callable
        From a float64 numpy array of costs (B, *shape) to minimisers; see
        ``lpgd.torch.OracleLayer``. It runs on the host and must not call JAX: within a compiled
        program that might wait for ever, and is refused as a "disallowed host-to-device transfer".
    costs : (..., *shape) floating
        Leading dimensions are batch dimensions.
    instances : sequence or object array, optional
        Per-instance inputs of any kind, handed to the oracle untouched as a list of B, its second
        argument. A sequence has one for each entry of the last batch dimension; the shape of an
        array broadcasts with the batch dimensions. They are constants of a compiled function.
    rule : lpgd.LPGD, optional
        How the solution is differentiated; ``rho`` must be 0. By default ``lpgd.LPGD()``.
    key : key of jax.random or int, optional
        What a rule draws its noise from: the same key, the same answer.
    state : mapping from str to array, optional
        What a rule remembers; see :func:`initial_state`.
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
        The rule asks for what an oracle cannot do, or for a key or a state that is not given.
    SolverError
        Elements that failed, with ``on_failure="raise"``; in backward too.
    """
    asking, own = Asking(sense, n_jobs, timeout), Own(key, state)
    solver = solver_of(rule, asking.engine(oracle), on_failure, own=own)
    values = collect({"costs": costs}, "costs", ("costs",)).arrays["q"]
    one = checked(form(oracle, shape), values.shape)
    values = values.reshape(*values.shape[: values.ndim - len(one)], int(np.prod(one)))
    objects = opaque(instances, values.shape[:-1])
    for array in objects.values():  # batch dimensions of both align, also under vmap
        values = values.reshape((1,) * (array.ndim + 1 - values.ndim) + values.shape)
    n = values.shape[-1]
    arguments = collect({"costs": -values if sense == "max" else values}, "costs", ("costs",))
    posed = Posed(solver, Oracle(n, one), OracleView(), (n,), objects)
    given = posed.followed(arguments, own)
    return Asked(posed, given, lambda flat: flat[0].reshape(*flat[0].shape[:-1], *one))
