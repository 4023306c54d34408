"""tau="auto": how far LPGD tilts each element.

Only tau times the cotangent enters a solver, so a tau has a meaning only beside the data of its
element. With c the largest of ||q||, ||Px*|| and rho ||x*||, w = |q|'|x*| + |Px*|'|x*|, and dx the
cotangent of x,

    small = sqrt(accuracy) min(c / ||dx||, w / |dx|'|x*|)   first tilt, for every element
    large = LARGE c / ||dx||                                of an element that is like an LP

where accuracy is the relative error of the solution. The second ratio does not depend on
the units of single variables. A cotangent dy of the multipliers is measured by the right-hand
sides, which it shifts, and the smaller tau counts. The first tilt yields the derivative, to about
sqrt(accuracy).

An element is *like an LP* if the objective has no curvature along its move. Its solution stays at
a vertex, where the derivative in the costs is zero, or leaps across an optimal face, where it is
infinite. No small tau serves it. It is tilted again by ``large``, and by GROWTH times as much while
the end that improves the loss stays where it is: until then there is nothing to be learned, for
the other end only leads away from what is worse than x*. After ROUNDS tilts x* is taken for the
best point of its feasible set. A strictly convex element keeps its derivative, also where that is
zero.

At a vertex with unique multipliers x* does depend on the constraints, smoothly, and the first tilt
has found that derivative. It is kept for the data of the constraints, and the large tilt serves
the costs alone: its Lagrangians enter without their multipliers, that is as objectives. With
rho > 0 the caller asks for a smoothed problem, so the large tilt then serves all data; so it does
where the multipliers leap, which means that they are not unique and x* has no such derivative.

All of this depends on the element alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from lpgd.core.rule import Backward
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution
from lpgd.core.tilt import Term, Tilt
from lpgd.rules.sizes import Sizes

LARGE = 3.0  # tilt of an element that is like an LP, relative to its costs
GROWTH, ROUNDS = 8.0, 3  # 3, 24 and 192 times the costs


@final
@dataclass(frozen=True)
class Ends:
    """The two ends of each row's difference, and the tau that it used."""

    hi: Solution
    lo: Solution
    tau: FloatArray
    retries: int = 0

    @property
    def solved(self) -> BoolArray:
        """Rows of which both ends are known."""
        return self.hi.solved & self.lo.solved

    def put(self, rows: IntArray, other: "Ends") -> "Ends":
        """These ends with some rows replaced, and the retries of both."""
        tau = self.tau.copy()
        tau[rows] = other.tau
        hi, lo = self.hi.put(rows, other.hi), self.lo.put(rows, other.lo)
        return Ends(hi, lo, tau, self.retries + other.retries)

    def take(self, rows: IntArray | BoolArray) -> "Ends":
        """The ends of some rows, without their retries."""
        return Ends(self.hi.take(rows), self.lo.take(rows), self.tau[rows])


Reach = Callable[[IntArray, FloatArray], Ends]
"""Solves the tilted problems of some rows, at a tau each."""


@final
@dataclass(frozen=True)
class Choice:
    """What the gradient is made of.

    Attributes
    ----------
    ends : Ends
        For all data.
    extra : Ends or None
        For the costs, in addition; both ends at x* where there is nothing to add.
    like_lp : (N,) bool
        Rows that are like an LP.
    stuck : (N,) bool
        Those among them of which no large tilt could be solved.
    tau : (N,) float64
        The largest that each row used.
    retries : int
    """

    ends: Ends
    extra: Ends | None
    like_lp: BoolArray
    stuck: BoolArray
    tau: FloatArray
    retries: int


def auto(
    reach: Reach, point: Solution, tilt: Tilt, backward: Backward, lead: Literal["hi", "lo"]
) -> Choice:
    """Ends at a tau that suits each row.

    Parameters
    ----------
    reach : callable
    point : Solution
        Forward solutions.
    tilt : Tilt
        The cotangents, with t = 0.
    backward : Backward
    lead : {"hi", "lo"}
        The end that must move: the one that improves the loss, where the rule solves for it.
    """
    sizes = Sizes.of(point, tilt, backward)
    smoothed, large = sizes.smoothed, LARGE * sizes.large
    nowhere = Ends(point, point, large)
    first = np.flatnonzero(~smoothed)
    ends = nowhere.put(first, reach(first, sizes.small[first])) if len(first) else nowhere
    moved = sizes.moved(ends.hi) | sizes.moved(ends.lo)
    like_lp = smoothed | (sizes.primal & ends.solved & _straight(sizes, ends, moved))
    rows = np.flatnonzero(like_lp)
    if not len(rows):
        return Choice(ends, None, like_lp, like_lp, ends.tau, ends.retries)

    far, found = _far(reach, nowhere.take(rows), rows, sizes, lead)
    stuck = like_lp.copy()
    stuck[rows] = ~found
    far = nowhere.put(rows, far)
    like_lp &= ~sizes.bent(far.hi.x - far.lo.x, far.tau)
    use = like_lp & ~stuck
    alone = use & ~moved & ~smoothed & sizes.steady(ends.hi, ends.lo)
    extra = nowhere.put(np.flatnonzero(alone), far.take(alone)) if alone.any() else None
    here = np.flatnonzero((use & ~alone) | smoothed)  # of smoothed rows there is nothing else
    tau = np.where(use | smoothed, far.tau, ends.tau)
    retries = ends.retries + far.retries
    return Choice(ends.put(here, far.take(here)), extra, like_lp, stuck & like_lp, tau, retries)


def objective(term: Term) -> Term:
    """The term without its constraints: at y = 0 a Lagrangian is the objective."""
    none, tilt = np.zeros_like(term.weight), term.tilt
    ds = None if tilt.ds is None else np.zeros_like(tilt.ds)
    point = replace(term.point, y=np.zeros_like(term.point.y))
    return Term(term.weight, point, replace(tilt, t=none, ds=ds))


def _straight(sizes: Sizes, ends: Ends, moved: BoolArray) -> BoolArray:
    """Rows whose objective may be linear where they went, or where they would go."""
    straight = np.zeros_like(moved)
    if sizes.family.polyhedral:  # else solutions move along curved constraints
        straight = moved & ~sizes.bent(ends.hi.x - ends.lo.x, ends.tau)
    still = np.flatnonzero(~moved)
    if len(still):
        params = {name: param.take(still) for name, param in sizes.params.items()}
        straight[still] = ~sizes.family.strictly_convex(params)
    return straight


def _far(
    reach: Reach, far: Ends, rows: IntArray, sizes: Sizes, lead: Literal["hi", "lo"]
) -> tuple[Ends, BoolArray]:
    """Tilt rows by more and more until they move, and tell of which a tilt was solved."""
    found = np.zeros(len(rows), dtype=np.bool_)
    left, tau = np.arange(len(rows)), far.tau
    for _ in range(ROUNDS):
        new = reach(rows[left], tau[left])
        fresh = new.solved | ~found[left]
        far = far.put(left[fresh], replace(new.take(fresh), retries=new.retries))
        found[left] |= new.solved
        end = new.hi if lead == "hi" else new.lo
        left = left[new.solved & ~sizes.moved(end, rows[left])]
        if not len(left):
            break
        tau = tau * GROWTH
    return far, found
