"""Programs and tilts for the tests of DAQP."""

import numpy as np

from lpgd import DaqpEngine
from lpgd.core.tilt import Tilt
from lpgd.testing import Shape, plant
from lpgd.testing.optimality import untilted

ENGINE = DaqpEngine()


def qps(size, distinct, seed=0, n=6):
    shape = Shape(n, 1, 6, ("lb", "ub"), batch=size, distinct=distinct)
    return plant(shape, np.random.default_rng(seed))


def small_tilt(case, seed=0, rho=0.0):
    rng, size = np.random.default_rng(seed), len(case.solution)
    tilt = untilted(size, case.problem.n, case.problem.m)
    return Tilt(
        tilt.rows, np.full(size, 0.1), rng.normal(size=tilt.dx.shape), tilt.dy,
        np.full(size, rho), case.solution.x,
    )  # fmt: skip


def solve(case, **options):
    return ENGINE.solve(case.problem, case.params, **options)
