"""tau="auto": the derivative where there is one that says something, else LPGD's difference.

For each row, with (a, v) the adjoint of the optimality conditions and dx the cotangent of x:

1. An LP with rho > 0 and a loss on x alone is to be smoothed: the large tilt serves all data.
2. A loss on multipliers asks for derivatives only.
3. x* *stays at a vertex* if a = 0 though the objective is not strictly convex: the derivative in
   the costs is zero and says nothing. The adjoint serves the data of the constraints, and the large
   tilt the costs alone: its Lagrangians enter without their multipliers, that is as objectives.
4. Where the conditions are regular, but for equations that depend on each other, no weakly active
   row matters and the solution is accurate, the adjoint is the derivative, and nothing is solved.
5. Other rows are tilted, by so little that x is to move by a small step. Where both ends move along
   the cotangent as the adjoint says, it is believed; else the difference itself is the gradient.
   Without curvature of the objective along the move, x* leaps across an optimal face or stays at a
   degenerate vertex, and the large tilt serves the costs, or all data if the multipliers leap.

The large tilt is c / ||dx||, c the largest of ||q||, ||Px*|| and rho ||x*||, times what the family
says, 3, 24 and 192 usually: the next one while the end that improves the loss stays; the other one
leads to what is worse. Costs that forbid count after that alone; then x* is taken for the best
point. All of this depends on the row and the user's entries alone. Oracles: see vertices.py.
"""

from dataclasses import replace

import numpy as np

from lpgd.core.params import taken
from lpgd.core.problem import Ability
from lpgd.core.rule import ROUGH, Pullback
from lpgd.core.solution import BoolArray, Status
from lpgd.core.tilt import Adjoint, Cotangent, Term
from lpgd.rules.ends import Ends, Tilting, derivative, objective, only
from lpgd.rules.sizes import Sizes

Part = tuple[Ends, BoolArray] | None
Far = tuple[Ends, BoolArray, BoolArray]


def auto(tilting: Tilting, cotangent: Cotangent) -> Pullback:
    """Pull a cotangent back by what suits each row."""
    known = _known(tilting, cotangent)
    loose = known.degenerate if known.tied is None else known.degenerate & ~known.tied
    fine = tilting.backward.accuracy[cotangent.rows] <= ROUGH
    sure = ~(loose | known.unsure) & fine
    nowhere = tilting.nowhere(np.zeros(len(tilting)))
    if (sure & known.strict).all():
        return _pulled(tilting, known, sure)
    sizes = Sizes.of(tilting.point, tilting.tilt, tilting.backward)
    smoothed, doubted = sizes.smoothed, ~(sure | sizes.smoothed)
    ends, stays = nowhere, sizes.still(known.a)
    believed = moves = alike = np.zeros_like(doubted)
    if doubted.any():
        rows, tau = np.flatnonzero(doubted), sizes.gentle(known.a)
        ends = nowhere.put(rows, tilting.take(rows).reach(tau[rows]))
        believed = doubted & sizes.agree(known, ends, tilting.side)
        moves = sizes.moved(ends.hi) | sizes.moved(ends.lo)
        # else both may leave as sqrt(t)
        alike = sizes.alike(ends, tilting.side) & (known.span is None)
        stays = np.where(doubted, ends.solved & _straight(sizes, ends, moves), stays)
    flat = smoothed | (sizes.primal & ~known.strict & stays & ~_unknown(known))
    if not (doubted | flat).any():
        return _pulled(tilting, known, sure)

    steady = sure | (~moves & sizes.steady(known, ends, tilting.side))
    idle = steady & ~smoothed & (not tilting.backward.costly)  # the large tilt would serve nobody
    far, found, whole = _far(tilting, nowhere, flat & ~idle, sizes)
    if flat.any():  # a large tilt that met curvature after all says nothing
        flat &= smoothed | ~sizes.bent(far.hi.x - far.lo.x, far.tau)
    serves = flat & (found | idle)
    costs = serves & steady & ~smoothed
    every = (serves & ~costs) | smoothed
    derived = ~every & (sure | believed | ~ends.solved & np.isfinite(known.a).all(axis=1))
    used = ends.put(np.flatnonzero(every), far.take(every)) if every.any() else ends
    pulled = _pulled(tilting, known, derived, (used, ~derived), (far, costs & ~idle))
    told = believed & ~_unknown(known) | serves | (known.degenerate & fine & ends.solved) | alike
    assert pulled.unverified is not None
    return replace(
        pulled,
        tau=np.where(serves & ~idle | smoothed, far.tau, ends.tau),
        retries=ends.retries + far.retries,
        degenerate=(flat & ~idle) | (known.degenerate & ~smoothed),
        unverified=(doubted & ~told) | pulled.unverified,
        stays=~flat | whole,
    )


def _known(tilting: Tilting, cotangent: Cotangent) -> Adjoint:
    """The adjoint; nothing is known of families that have none."""
    if Ability.ADJOINT in tilting.backward.problem.abilities:
        return tilting.backward.adjoint(cotangent, float(tilting.tilt.rho[0]))
    a, v = (np.full(part.shape, np.nan) for part in (cotangent.dx, cotangent.dy))
    none = np.zeros(len(tilting), dtype=np.bool_)
    return Adjoint(a, v, none, ~none, none)


def _unknown(known: Adjoint) -> BoolArray:
    """Rows where x* may be flat to any order, so that a vertex is no better guess than another."""
    return known.unsure & (known.span is not None)


def _straight(sizes: Sizes, ends: Ends, moves: BoolArray) -> BoolArray:
    """Rows whose objective may be linear where they went, or where they would go."""
    straight = np.zeros_like(moves)
    if sizes.family.polyhedral:  # else solutions move along curved constraints
        straight = moves & ~sizes.bent(ends.hi.x - ends.lo.x, ends.tau)
    still = np.flatnonzero(~moves)
    if len(still):
        straight[still] = ~sizes.family.strictly_convex(taken(sizes.params, still))
    return straight


def _far(tilting: Tilting, nowhere: Ends, rows: BoolArray, sizes: Sizes) -> Far:
    """Tilt rows by more and more until they move; of which some tilt was solved, and the last."""
    far, found, whole = nowhere, np.zeros_like(rows), np.zeros_like(rows)
    left = np.flatnonzero(rows)
    for step in sizes.ladder:
        mine = left[step[left] > 0]
        if not len(mine):
            continue
        new = tilting.take(mine).reach(step[mine])
        fresh = new.solved | ~found[mine]
        far = far.put(mine[fresh], replace(new.take(fresh), retries=new.retries))
        found[mine] |= new.solved
        end = new.lo if tilting.side == "upper" else new.hi
        whole[mine] = new.solved & (new.tau == step[mine])  # else more of it fails, too
        left = np.setdiff1d(left, mine[~whole[mine] | sizes.moved(end, mine)])
    return far, found, whole


def _pulled(
    tilting: Tilting, known: Adjoint, derived: BoolArray, every: Part = None, costs: Part = None
) -> Pullback:
    """The derivative of some rows, differences of others, and those of the costs of some."""
    terms: list[Term] = []
    none = lost = np.zeros(len(tilting), dtype=np.bool_)
    failed, zero = np.full(len(tilting), Status.OPTIMAL, dtype=np.int8), np.zeros(len(tilting))
    if derived.any():
        if not derived.all():
            a, v = (np.where(derived[:, None], part, 0.0) for part in (known.a, known.v))
            known = replace(known, a=a, v=v)
        found, lost = derivative(tilting.point, tilting.tilt, known)
        terms += only(found, derived)
    if every is not None and every[1].any():
        difference, status = tilting.difference(every[0])
        failed = np.where(every[1], status, failed)
        terms += only(difference, every[1])
    if costs is not None and costs[1].any():
        terms += only(map(objective, tilting.difference(costs[0])[0]), costs[1])
    bad = known.degenerate & derived
    return Pullback(terms, failed, zero, degenerate=bad, unverified=lost & derived, stays=~none)
