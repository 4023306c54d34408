"""Shared by the tests of the solution map: small programs, a solve and a pullback."""

import numpy as np

from lpgd.core.params import batched, shared
from lpgd.families.qp.qp import QP
from tests.support import cotangent, groups

BOX = QP.of({"lb": 2, "ub": 2}, 2, {})


def boxes(*costs):
    """LPs on the unit square; the solution is zero where the cost is positive, else one."""
    size = len(costs)
    box = {"lb": shared(np.zeros(2), size), "ub": shared(np.ones(2), size)}
    return {"q": batched(np.array(costs, dtype=float)), **box}


def forward(found, problem, params, keep=True):
    size = len(params["q"].index)
    return found.solve(problem, params, (size,), keep=keep)


def pull(found, problem, params, dx, dy=None, wanted=None):
    solved = forward(found, problem, params)
    chosen = {k: g for k, g in groups(params).items() if wanted is None or k in wanted}
    return found.pullback(solved, cotangent(dx, dy, problem.m), chosen)
