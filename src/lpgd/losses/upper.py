"""Upper sides of quadratic losses: where they are well posed, and programs that engines take.

On the null space N of the equalities the tilted Hessian P + rho I - tau W must be positive definite
(math page, section 2). Where it is so there alone, sigma A'A is added with the costs that make it
vanish where Ax = b: the same points and the same multipliers, and a Hessian that is definite.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from lpgd.core.blas import ONE_THREAD
from lpgd.core.errors import IllPosedError
from lpgd.core.params import Param, Params, batched
from lpgd.core.solution import BoolArray, FloatArray
from lpgd.families.quadratic.structure import Structure

MARGIN = 1e-9  # least eigenvalue that is positive, relative to the Hessian's entries
GROWTH, TRIES = 8.0, 40


def well_posed(problem: Structure, params: Params) -> tuple[Structure, Params]:
    """The tilted program as one with a definite Hessian; ``params`` hold N elements.

    Raises
    ------
    IllPosedError
        Some element's envelope is a non-convex problem.
    """
    definite = problem.strictly_convex(params)
    if definite.all():
        return problem, params
    hessian, rows, sides = _dense(problem, params)
    least, scale = _least(hessian, rows), np.abs(hessian).max(axis=(1, 2), initial=0.0)
    bad = ~definite & ~(least > MARGIN * scale)
    if bad.any():
        raise IllPosedError(_why(bad, least))
    if problem.patterns:
        raise IllPosedError(
            "the tilted Hessian P + rho I - tau W of a sparse program is positive definite on the "
            "null space of the equalities alone, which engines for sparse programs do not take. "
            "Pass dense matrices, a smaller tau, a larger rho, or use side='lower'."
        )
    q = np.array(params["q"].full())
    for row in np.flatnonzero(~definite):
        sigma = _convexifier(hessian[row], rows[row], scale[row])
        hessian[row] += sigma * rows[row].T @ rows[row]
        q[row] -= sigma * rows[row].T @ sides[row]
    changed = cast(Any, replace)
    return changed(problem, quadratic=True), {**params, "P": batched(hessian), "q": batched(q)}


def _dense(problem: Structure, params: Params) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Hessians (N, n, n), equalities (N, k, n) and their right-hand sides (N, k)."""
    k, size = problem.cones.zero, len(params["q"].index)
    hessian = np.array(_full(problem, "P", params["P"]))
    if not k:
        return hessian, np.zeros((size, 0, problem.n)), np.zeros((size, 0))
    return hessian, _full(problem, "A", params["A"])[:, :k], params["b"].full()[:, :k]


def _full(problem: Structure, name: str, param: Param) -> FloatArray:
    values, pattern = param.full(), problem.patterns.get(name)
    return values if pattern is None else pattern.dense(values)


@ONE_THREAD
def _least(hessian: FloatArray, rows: FloatArray) -> FloatArray:
    """Least eigenvalue of each Hessian on the null space of its rows; infinite on nothing."""
    least = np.full(len(hessian), np.inf)
    for place, (own, equalities) in enumerate(zip(hessian, rows, strict=True)):
        space = np.eye(len(own))
        if len(equalities):
            _, sizes, basis = np.linalg.svd(equalities, full_matrices=True)
            rank = int((sizes > MARGIN * sizes.max(initial=0.0)).sum())
            space = basis[rank:].T
        if space.shape[1]:
            least[place] = np.linalg.eigvalsh(space.T @ own @ space)[0]
    return least


@ONE_THREAD
def _convexifier(hessian: FloatArray, rows: FloatArray, scale: float) -> float:
    """A weight of A'A that makes the Hessian definite: one exists (Finsler's lemma)."""
    gram = rows.T @ rows
    sigma = scale / max(np.abs(gram).max(initial=0.0), 1e-300)
    for _ in range(TRIES):
        if np.linalg.eigvalsh(hessian + sigma * gram)[0] > MARGIN * scale:
            return 2 * sigma
        sigma *= GROWTH
    raise IllPosedError(
        "the tilted Hessian is positive definite on the null space of the equalities by rounding "
        "only; use a smaller tau, a larger rho, or side='lower'"
    )


def _why(bad: BoolArray, least: FloatArray) -> str:
    rows = np.flatnonzero(bad)
    listed = ", ".join(f"{row}: {least[row]:.3g}" for row in rows[:5])
    more = ", ..." if len(rows) > 5 else ""
    return (
        "the upper envelope of a quadratic loss asks for the maximum of loss - D / tau, which is a "
        "non-convex problem unless P + rho I - tau W is positive definite on the null space of the "
        f"equalities. Its least eigenvalue there is not, in {len(rows)} of {len(bad)} elements "
        f"({listed}{more}). Use a smaller tau, a rho that is larger by more than "
        f"{-least[rows].min():.3g}, or side='lower'."
    )
