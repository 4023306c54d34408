"""Quadratic programs as a function."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from lpgd.core.engine import Engine
from lpgd.core.errors import EngineError, StructureError
from lpgd.core.rule import Rule
from lpgd.families.qp.qp import QP
from lpgd.frontend.arguments import present, structure
from lpgd.frontend.program import Program
from lpgd.frontend.replay import Replay
from lpgd.frontend.views import QPView
from lpgd.jax.bridge import Call, solve
from lpgd.map.report import OnFailure
from lpgd.map.solution_map import SolutionMap
from lpgd.rules.lpgd import LPGD


def solve_qp(
    P: Any,
    q: Any,
    G: Any = None,
    h: Any = None,
    A: Any = None,
    b: Any = None,
    lb: Any = None,
    ub: Any = None,
    *,
    rule: Rule | None = None,
    engine: str | Engine = "auto",
    on_failure: OnFailure = "raise",
) -> jax.Array:
    """minimise 1/2 x'Px + q'x  subject to  Gx <= h, Ax = b, lb <= x <= ub. Experimental.

    Works under ``jax.grad``, ``jit`` and ``vmap``: one host callback solves a batch, whatever it is
    nested in, and one pulls back. Leading dimensions are batch dimensions and broadcast; an
    argument without them is shared by the batch. Computed in float64, returned in the arguments'
    common dtype.

    Parameters
    ----------
    P : (..., n, n) floating
        Symmetric positive semidefinite.
    q : (..., n)
    G, h : (..., m_in, n) and (..., m_in), or both None
        An entry of h may be +inf.
    A, b : (..., m_eq, n) and (..., m_eq), or both None
    lb, ub : (..., n), or None
        May be infinite.
    rule : lpgd.LPGD or lpgd.Exact, optional
        How the solution is differentiated; by default ``lpgd.LPGD()``, which chooses tau itself.
    engine : str or Engine
        ``"auto"``, a name, or an instance with options.
    on_failure : {"raise", "nan"}
        Whether an element that cannot be solved raises, or is marked: x = NaN, zero gradients, one
        ``lpgd.SolverWarning`` a call. What is raised is JAX's error, with the text of our
        ``lpgd.SolverError`` in its message.

    Returns
    -------
    (..., n) array

    Raises
    ------
    StructureError
        Wrong shape, dtype or a missing partner; when the function is traced.
    EngineError
        The engine cannot do what the rule asks of it, or the rule keeps a memory.
    """
    given = {"P": P, "q": q, "G": G, "h": h, "A": A, "b": b, "lb": lb, "ub": ub}
    arrays = {name: _floating(name, a) for name, a in present(given, ("P", "q")).items()}
    fits = structure({name: array.shape for name, array in arrays.items()}, "q")
    problem = QP.of(fits.sizes, fits.n, {})
    solver = SolutionMap(rule or LPGD(), engine, on_failure)
    if solver.memory:
        raise EngineError(f"{solver.rule} keeps a memory, which a function cannot; use a layer")
    solver.choose(problem)  # refused when traced, not when solved
    program = Program(solver, problem, QPView(problem), tuple(arrays), fits.cores)
    batch = program.batch([array.shape for array in arrays.values()])
    replay = Replay(program, len(batch), float(jnp.finfo(arrays["P"].dtype).eps))
    widths = (fits.n, fits.sizes.get("A", 0), fits.sizes.get("G", 0), fits.n)
    call = Call(replay, batch, widths, jnp.result_type(*arrays.values()))
    data = (
        array.reshape((1,) * (len(batch) + core - array.ndim) + array.shape)
        for array, core in zip(arrays.values(), fits.cores, strict=True)
    )
    outputs: Any = solve(call, *data)
    return outputs[0]


def _floating(name: str, value: Any) -> jax.Array:
    array = jnp.asarray(value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise StructureError(f"{name} must have a real floating dtype, got {array.dtype}")
    return array
