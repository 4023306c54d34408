"""Linear costs over any set: minimise <c, x> over x in X, where only an oracle knows X.

L = <c, x>

There are no multipliers: how X depends on data, if it does, is nobody's business but the oracle's.
A tilt adds t dx to the costs, and the gradient of the costs is x. The argument is called ``q``, as
linear costs are in all families.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from lpgd.core.errors import EngineError
from lpgd.core.params import Params, batched, taken
from lpgd.core.problem import Ability, Family, Groups
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.core.tilt import Term, Tilt

COST = "q"


@final
@dataclass(frozen=True)
class Oracle(Family):
    """Structure of a batch of linear costs over sets.

    Attributes
    ----------
    n : int
        Number of costs.
    shape : tuple of int
        Of one cost, as the oracle gets it; by default (n,).
    """

    n: int
    shape: tuple[int, ...] = ()

    tilts = (0.6, 4.8, 38.4, 307.2)  # docs/tau.md, on oracles

    @property
    def form(self) -> tuple[int, ...]:
        """Shape of one cost."""
        return self.shape or (self.n,)

    @property
    def family(self) -> str:
        """See ``Problem.family``."""
        return "oracle"

    @property
    def m(self) -> int:
        """There are no multipliers."""
        return 0

    @property
    def costs(self) -> tuple[str, ...]:
        """See ``Problem.costs``."""
        return (COST,)

    @property
    def abilities(self) -> frozenset[Ability]:
        """Sizes, so that ``tau="auto"`` works."""
        return frozenset({Ability.SIZES})

    @property
    def polyhedral(self) -> bool:
        """Each element is taken for an LP over the convex hull of its set, at a vertex."""
        return True

    @property
    def linear(self) -> bool:
        """All costs are."""
        return True

    @property
    def augmented(self) -> str:
        """None: an oracle minimises linear costs.

        Raises
        ------
        EngineError
        """
        raise EngineError(
            "an oracle minimises linear costs, to which a proximal term (rho > 0) adds a quadratic "
            "one; use rho = 0"
        )

    def refusal(self, families: frozenset[str]) -> str:
        """See ``Problem.refusal``."""
        return f"is no oracle: it solves {' or '.join(sorted(families)) or 'nothing'}"

    def check(self, params: Params, resolution: float) -> tuple[Params, Mapping[int, str]]:
        """See ``Problem.check``; other arguments are the oracle's own."""
        costs = params[COST]
        bad = ~np.logical_and.reduce(np.isfinite(costs.values), axis=1)
        why = "costs have a NaN or infinite entry"
        return params, {int(element): why for element in np.flatnonzero(bad[costs.index])}

    def tilt(self, params: Params, tilt: Tilt) -> "tuple[Oracle, Params]":
        """See ``Problem.tilt``.

        Raises
        ------
        EngineError
            The tilt has a term that is not linear.
        """
        if tilt.rho.any() or (tilt.curve is not None and tilt.curve.any()):
            raise EngineError("an oracle takes linear tilts only: no proximal term, no curvature")
        at = taken(params, tilt.rows)
        return self, {**at, COST: batched(at[COST].full() + tilt.t[:, None] * tilt.dx)}

    def lagrangian(self, params: Params, point: Solution, tilt: Tilt) -> FloatArray:
        """See ``Problem.lagrangian``."""
        costs = self.tilt(params, tilt)[1][COST].full()
        return np.einsum("ni,ni->n", costs, point.x)

    def grad(
        self, params: Params, terms: Sequence[Term], wanted: Mapping[str, Groups]
    ) -> dict[str, FloatArray]:
        """See ``Problem.grad``."""
        if COST not in wanted:
            return {}
        groups = wanted[COST]
        if not terms:
            return {COST: np.zeros((len(groups), self.n))}
        total = sum(term.weight[:, None] * term.point.x for term in terms)
        return {COST: np.asarray(total)[groups].sum(axis=1)}

    def slope(self, params: Params, x: FloatArray) -> FloatArray:
        """See ``Measured.slope``."""
        return np.array(params[COST].full())

    def slacks(self, params: Params, x: FloatArray) -> FloatArray:
        """None; see ``Measured.slacks``."""
        return np.zeros((len(x), 0))

    def strictly_convex(self, params: Params) -> BoolArray:
        """No element is; see ``Measured.strictly_convex``."""
        return np.zeros(len(params[COST].index), dtype=np.bool_)
