"""Hypothesis strategies: what structure shrinks, what numbers come from a seed."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from lpgd.core.tilt import Tilt
from lpgd.testing.planting import Program, Shape, plant

ARGUMENTS = ("P", "q", "A", "b", "G", "h", "lb", "ub")
BOUNDS = ((), ("lb",), ("ub",), ("lb", "ub"))
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def programs(
    draw: st.DrawFn,
    families: Iterable[str] = ("QP", "LP"),
    *,
    sparse: bool = False,
    largest: int = 5,
) -> Program:
    """Strictly feasible, non-degenerate programs with their solutions.

    Groups may be missing, bounds infinite, and each argument shared, batched or in between.

    Parameters
    ----------
    families : iterable of {"QP", "LP"}
    sparse : bool
        Whether A and G are values on a pattern.
    largest : int
        Most variables.
    """
    quadratic = draw(st.sampled_from(sorted(families))) == "QP"
    n, batch = draw(st.integers(1, largest)), draw(st.sampled_from([1, 2, 4]))
    bounds = draw(st.sampled_from(BOUNDS))
    equalities = draw(st.integers(0, n - 1))
    # an LP's vertex needs as many rows as variables
    least = 0 if quadratic or bounds else n - equalities
    inequalities = draw(st.integers(least, n + 2))
    counts = st.sampled_from([k for k in (1, 2, 4) if batch % k == 0])
    distinct = {name: draw(counts) for name in ARGUMENTS}
    shape = Shape(n, equalities, inequalities, bounds, quadratic, batch, distinct, sparse)
    return plant(shape, draw(seeds))


@st.composite
def tilts(
    draw: st.DrawFn, program: Program, *, augmented: bool = True, curved: bool = False
) -> Tilt:
    """Tilts of some of a batch's elements, in any order.

    ``augmented`` allows rho > 0, ``curved`` losses with a curvature of their own, of any sign.
    """
    rows = draw(st.lists(st.integers(0, len(program.solution) - 1), min_size=1, max_size=4))
    rng, size, problem = draw(seeds), len(rows), program.problem
    dual = draw(st.booleans())
    levels = draw(st.sampled_from([(0.0,), (0.5,), (0.0, 0.5, 2.0)] if augmented else [(0.0,)]))
    tilt = Tilt(
        np.array(rows), rng.uniform(-0.5, 0.5, size),
        rng.normal(size=(size, problem.n)), dual * rng.normal(size=(size, problem.m)),
        rng.choice(levels, size), rng.normal(size=(size, problem.n)),
    )  # fmt: skip
    if not (curved and draw(st.booleans())):
        return tilt
    curve, center = rng.normal(size=(2, size, problem.n))
    return replace(tilt, curve=curve, center=center)
