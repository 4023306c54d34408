"""Programs with variables that rows of equality define."""

import numpy as np

from lpgd import Cones
from lpgd.core.params import batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.solution import Solution, Status
from lpgd.families.conic import newton
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.reduction import Reduction


def residuals(seed, batch=3, n=3, k=4):
    """minimise 1/2 ||r||^2 + 1/2 ||x||^2 + q'x  with  r = Fx - g, ||x|| <= 1: r is defined."""
    rng = np.random.default_rng(seed)
    A = np.zeros((batch, k + 1 + n, n + k))
    A[:, :k, :n], A[:, :k, n:] = -rng.normal(size=(batch, k, n)), 2 * np.eye(k)
    A[:, k + 1 :, :n] = -np.eye(n)
    b = np.concatenate([rng.normal(size=(batch, k)), np.ones((batch, 1)), np.zeros((batch, n))], 1)
    q = np.concatenate([3 * rng.normal(size=(batch, n)), np.zeros((batch, k))], 1)
    rows, cols = np.nonzero(A[0])
    order = rng.permutation(len(rows))
    pattern = Pattern(rows[order], cols[order], A.shape[1:])
    every = np.arange(n + k)
    params = {
        "P": shared(np.ones(n + k), batch),
        "q": batched(q),
        "A": batched(A[:, pattern.rows, pattern.cols]),
        "b": batched(b),
    }
    patterns = {"P": Pattern(every, every, (n + k, n + k)), "A": pattern}
    return Conic(n + k, Cones(zero=k, soc=(n + 1,)), patterns), params


def solved(conic, params):
    """By Newton's method on the whole program, from the centre."""
    plan = Reduction.of(Conic(conic.n, conic.cones))
    dense = {k: p.full() for k, p in params.items()}
    for name, pattern in conic.patterns.items():
        dense[name] = pattern.dense(dense[name])
    size = len(dense["q"])
    blank = Solution.blank(size, conic.n, conic.m)
    whole = plan.matrices({k: batched(v) for k, v in dense.items()})
    linear = dense["q"], dense["b"]
    data = plan.data(whole, linear)
    first = plan.enter(whole, blank, dense["b"])
    found = newton.solve(plan.layout, data, first, None, 50)
    assert found.error.max() < newton.FINE
    status = np.full(size, Status.OPTIMAL, dtype=np.int8)
    return Solution(*plan.leave(whole, linear, found.x, found.y), status)
