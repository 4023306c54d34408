"""Clarabel's answer to one QP, as a cone program; for what PIQP does not solve, or cannot prove."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from math import inf

import numpy as np
from scipy import sparse

from lpgd.core.params import batched
from lpgd.core.pattern import Pattern
from lpgd.core.solution import FloatArray, Status
from lpgd.engines.cones.clarabel import ClarabelEngine
from lpgd.engines.piqp.solver import Clock
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.qp.sparse_kkt import Element

LEAST = 1e-3  # seconds that Clarabel is given where none are left: 0 is no limit

Verdict = tuple[Status, FloatArray, FloatArray]


def solve(element: Element, clock: Clock) -> Verdict | None:
    """Status, x and flat multipliers, or a ray; None where Clarabel is not installed.

    Where the costs fall for ever, rows that contradict each other are the better verdict.
    """
    if find_spec("clarabel") is None:
        return None
    found = _asked(element, clock)
    if found[0] != Status.UNBOUNDED:
        return found
    idle = replace(element, P=0 * element.P, q=np.zeros_like(element.q))
    again = _asked(idle, clock)
    return again if again[0] == Status.INFEASIBLE else found


def _asked(element: Element, clock: Clock) -> Verdict:
    eye = sparse.identity(len(element.q), format="csr")
    r = np.concatenate([element.r, -element.lb, element.ub])
    there = np.flatnonzero(np.isfinite(r))
    A = sparse.vstack([element.C, -eye, eye], format="csr")[there].tocoo()
    P, equal = element.P.tocoo(), element.equalities
    patterns = {
        name: Pattern(M.row.astype(np.intp), M.col.astype(np.intp), M.shape)
        for name, M in {"A": A, "P": P}.items()
    }
    data = {
        "q": batched(element.q[None]),
        "A": batched(A.data[None]),
        "b": batched(r[None, there]),
        "P": batched(P.data[None]),
    }
    cones = Cones(zero=equal, nonneg=len(there) - equal)
    clarabel = ClarabelEngine(time_limit=0.0 if clock.end == inf else max(clock.left, LEAST))
    answer = clarabel.solve(Conic(len(element.q), cones, patterns), data)
    found, status = answer.solution, Status(int(answer.solution.status[0]))
    if answer.ray is not None and status in (Status.INFEASIBLE, Status.UNBOUNDED):
        found = answer.ray
    y = np.zeros(len(r))
    y[there] = found.y[0]
    rows = len(element.r)
    lower, upper = np.split(y[rows:], 2)
    return status, found.x[0], element.joined(y[:rows], lower, upper)
