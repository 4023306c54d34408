"""tau="auto" for linear costs over a set of which nothing is known: x* is taken for a vertex.

There is no derivative to begin with. Each row is tilted by multiples of its own costs c,
tau = multiple ||c|| / ||dx||:

1. Both ends are solved at the first multiple. One whose tilt fails is tried at a quarter of it, and
   so on, for itself; where it fails for good the other end serves alone.
2. Where the end that improves the loss stays at x*, it alone goes on to larger multiples until it
   moves, and then serves alone. The other end stops at the first one: a tilt that outweighs the
   costs turns them round, and leads to what no costs like the present ones would choose.
3. Of the difference, the part along c is left out: as tau follows ||c||, the envelope is the same
   for c and 2 c, and that part is what the derivative of tau takes away (docs/tau.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from lpgd.core.rule import Pullback
from lpgd.core.solution import BoolArray, FloatArray, IntArray, Solution, Status
from lpgd.core.tilt import Term
from lpgd.rules.ends import ENDS, QUIET, Tilting, late, objective
from lpgd.rules.sizes import Sizes, dot, norm


@final
@dataclass(frozen=True)
class End:
    """One end of each row's difference, and its signed tilt: zero, at x*, if none was solved."""

    point: Solution
    t: FloatArray
    retries: int = 0

    def put(self, rows: IntArray, point: Solution, t: FloatArray) -> End:
        """This end with some rows replaced."""
        tilts = self.t.copy()
        tilts[rows] = t
        return replace(self, point=self.point.put(rows, point), t=tilts)


def vertices(tilting: Tilting, multiples: Sequence[float]) -> Pullback:
    """Pull a cotangent back to linear costs; ``multiples`` of them are tried one by one."""
    sizes, side = Sizes.of(tilting.point, tilting.tilt, tilting.backward), tilting.side
    tau = multiples[0] * sizes.large
    hi, lo = _both(tilting, tau)
    lost = (hi.t == 0) | (lo.t == 0) if side == "average" else np.zeros(len(tau), dtype=np.bool_)
    lead, other = (hi, lo) if side != "upper" else (lo, hi)
    lead, alone, stays = _enlarged(tilting, sizes, lead, multiples)
    other = other.put(alone, tilting.point.take(alone), np.zeros(len(alone)))
    most = np.maximum(np.abs(lead.t), np.abs(other.t))
    return Pullback(
        _difference(tilting, sizes, (lead, other) if side != "upper" else (other, lead)),
        np.full(len(tau), Status.OPTIMAL, dtype=np.int8),
        most,
        hi.retries + lo.retries + lead.retries,
        degenerate=sizes.primal,
        unverified=most == 0,
        stays=stays,
        one_sided=lost & (most > 0),
    )


def _both(tilting: Tilting, tau: FloatArray) -> tuple[End, End]:
    """Both ends at tau, or as near to it as can be solved; in one call of the oracle."""
    none, size = np.zeros(len(tau)), len(tau)
    used = [sign for sign in ENDS[tilting.side] if sign]
    every = np.tile(np.arange(size), len(used))
    found = _reached(tilting.take(every), np.concatenate([sign * tau for sign in used]))
    ends = {0.0: End(tilting.point, none)}
    for at, sign in enumerate(used):
        rows = np.arange(at * size, (at + 1) * size)
        ends[sign] = End(found.point.take(rows), found.t[rows], found.retries * (at == 0))
    hi, lo = (ends[sign] for sign in ENDS[tilting.side])
    return hi, lo


def _reached(tilting: Tilting, t: FloatArray) -> End:
    """Solve every row at t; where that fails at a quarter of it, and so on."""
    t, retries = t.copy(), 0
    found = tilting.backward.resolve(tilting.tilt.at(t))
    for _ in range(tilting.retries):
        again = np.flatnonzero(~found.solved & ~late(found))
        if not len(again):
            break
        t[again] /= 4
        retries += len(again)
        tilt = tilting.tilt.take(again).at(t[again])
        found = found.put(again, tilting.backward.resolve(tilt))
    failed = np.flatnonzero(~found.solved)
    found = End(found, t, retries)
    return found.put(failed, tilting.point.take(failed), np.zeros(len(failed)))


def _enlarged(
    tilting: Tilting, sizes: Sizes, lead: End, multiples: Sequence[float]
) -> tuple[End, IntArray, BoolArray]:
    """Tilt rows that stay by more and more; the end, rows that moved, and what may rightly stay.

    Beyond a tilt that was not solved as a whole nothing is tried.
    """
    moved, retries = sizes.moved(lead.point), 0
    whole = np.abs(lead.t) == multiples[0] * sizes.large
    sign, alone = (-1.0 if tilting.side == "upper" else 1.0), np.zeros_like(moved)
    for multiple in multiples[1:]:
        left = np.flatnonzero(whole & ~moved)
        if not len(left):
            break
        t = sign * multiple * sizes.large[left]
        new = _reached(tilting.take(left), t)
        moved[left], whole[left] = sizes.moved(new.point, left), new.t == t
        lead = lead.put(left, new.point, np.where(moved[left], new.t, lead.t[left]))
        alone[left], retries = moved[left], retries + new.retries
    return replace(lead, retries=retries), np.flatnonzero(alone), whole


@QUIET
def _difference(tilting: Tilting, sizes: Sizes, ends: tuple[End, End]) -> list[Term]:
    """The weighted objectives whose gradient is that of the envelope whose tau follows ||c||."""
    hi, lo = ends
    apart = hi.t - lo.t
    weight = 1 / np.where(apart > 0, apart, np.inf)
    # what moves of <c, x> is of the size of the tilt, so that units of c and tau cancel
    size = norm(sizes.linear)
    way = sizes.linear / np.where(size > 0, size, 1.0)[:, None]
    along = replace(tilting.point, x=way, y=np.zeros_like(tilting.point.y))
    part = weight * dot(way, hi.point.x - lo.point.x)
    terms = [Term(weight, hi.point, tilting.tilt), Term(-weight, lo.point, tilting.tilt)]
    return [objective(term) for term in (*terms, Term(-part, along, tilting.tilt))]
