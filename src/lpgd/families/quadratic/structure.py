"""Quadratic objectives with linear rows: the formulas that QPs and cone programs share.

minimise 1/2 x'Px + q'x  subject to  Cx + s = r, s in K

L = 1/2 x'Px + q'x + y'(Cx - r), y in the dual cone of K

``products`` says what C and r are.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self, cast

import numpy as np

from lpgd.core.params import Param, Params, batched, taken
from lpgd.core.pattern import Pattern
from lpgd.core.problem import Ability, Family, Groups
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.core.tilt import Cotangent, Term, Tilt
from lpgd.families.conic.cones import Cones
from lpgd.families.quadratic import check, optimality, priced
from lpgd.families.quadratic.products import SIDES, Values
from lpgd.families.quadratic.sums import WHOLE, Weighted, augment, dot, shifted

OWNERS = {rhs: (name, sign) for name, (rhs, sign) in SIDES.items()}
# What overflows is not finite, and judged by whoever asked; nothing here warns of it.
QUIET = np.errstate(all="ignore")


class Structure(Family):
    """Structure of a batch of programs; final classes say which blocks and cones there are.

    Attributes
    ----------
    n : int
        Number of variables.
    cones : Cones
        K; equalities first.
    blocks : mapping from str to slice
        Rows of ``A``, ``G``, ``lb`` and ``ub``, in this order; an absent group has no entry.
    patterns : mapping from str to Pattern
        Places of the values of matrices (of both triangles of ``P``); one without is dense.
    quadratic : bool
        Whether P is given, even if it is zero.
    fixed : (nnz,) bool or None
        Entries of A that are known to be constant and not zero.
    own : (n,) bool and (m,) bool, or None
        See ``Problem.own``.
    derived : dict
        What is worked out of the structure once and for all.
    """

    n: int
    cones: Cones
    blocks: Mapping[str, slice]
    patterns: Mapping[str, Pattern]
    quadratic: bool
    fixed: BoolArray | None = None
    own: tuple[BoolArray, BoolArray] | None = None
    derived: dict[type, Any]

    cost: ClassVar[str | None] = None
    """What users call q, where it is not ``q`` with a P and ``c`` without."""

    @property
    @abstractmethod
    def puts_on_pattern(self) -> bool:
        """Whether a P that only a tilt brings is sparse."""

    @property
    def m(self) -> int:
        """Length of the flat multiplier vector."""
        return self.cones.m

    @property
    def abilities(self) -> frozenset[Ability]:
        """See ``Problem.abilities``."""
        return frozenset(Ability)

    @property
    def polyhedral(self) -> bool:
        """Whether all constraints are linear."""
        return self.cones.zero + self.cones.nonneg == self.cones.m

    @property
    def linear(self) -> bool:
        """Whether there is no P."""
        return not self.quadratic

    @property
    def costs(self) -> tuple[str, ...]:
        """Arguments of the objective."""
        return ("P", "q")

    def block(self, y: FloatArray, name: str) -> FloatArray:
        """Multipliers (..., m_name) of one group; length 0 where the group is absent."""
        return y[..., self.blocks.get(name, slice(0, 0))]

    def check(self, params: Params, resolution: float) -> tuple[Params, Mapping[int, str]]:
        """Symmetrise P and name the bad value of each element that has one."""
        return check.check(params, resolution, self.patterns, self.cost)

    @QUIET
    def curve(self, params: Params, x: FloatArray) -> FloatArray:
        """P x of every element, (N, n)."""
        return Values(self, params).curve(x)

    @QUIET
    def product(self, params: Params, x: FloatArray) -> FloatArray:
        """C x of every element, (N, n) to (N, m)."""
        return Values(self, params).product(x)

    @QUIET
    def transposed_product(self, params: Params, y: FloatArray) -> FloatArray:
        """C'y of every element, (N, m) to (N, n)."""
        return Values(self, params).transposed_product(y)

    def sides(self, params: Params) -> FloatArray:
        """r of every element, (N, m)."""
        return Values(self, params).sides()

    @QUIET
    def slacks(self, params: Params, x: FloatArray) -> FloatArray:
        """s = r - Cx of every element, (N, m); see ``Measured.slacks``."""
        return self.sides(params) - self.product(params, x)

    @QUIET
    def slope(self, params: Params, x: FloatArray) -> FloatArray:
        """Gradient q + Px of the objective, (N, n); see ``Measured.slope``."""
        linear = params["q"].full()
        return linear + self.curve(params, x) if self.quadratic else linear

    @QUIET
    def drift(
        self, params: Params, other: Params, point: Solution
    ) -> tuple[FloatArray, FloatArray]:
        """See ``Differentiable.drift``."""
        x, y = point.x, point.y
        slopes = [self.slope(p, x) + self.transposed_product(p, y) for p in (params, other)]
        fall = self.slacks(other, x) - self.slacks(params, x)
        return slopes[0] - slopes[1], np.where(np.isnan(fall), 0.0, fall)  # infinite bounds stay

    @QUIET
    def strictly_convex(self, params: Params) -> BoolArray:
        """Elements with a P that is positive definite, shape (N,)."""
        if not self.quadratic:
            return np.zeros(len(params["q"].index), dtype=np.bool_)
        return check.positive_definite(params["P"], self.patterns.get("P"))

    @QUIET
    def judged(self, params: Params, point: Solution) -> tuple[Solution, FloatArray]:
        """See ``Checkable.judged``."""
        return optimality.judged(self, params, point)

    @QUIET
    def residual(self, params: Params, point: Solution) -> FloatArray:
        """How far each point is from optimality; see ``Checkable.judged``."""
        return optimality.residual(self, params, point)

    @QUIET
    def refuted(self, params: Params, ray: Solution) -> FloatArray:
        """See ``Checkable.refuted``."""
        return optimality.refuted(self, params, ray)

    @QUIET
    def inside(self, params: Params, point: Solution) -> Solution:
        """The points of believed answers, moved onto simple bounds that they are beyond."""
        return optimality.within(self, params, point)

    @QUIET
    def eased(
        self, params: Params, firm: BoolArray | None = None
    ) -> tuple[Params, BoolArray | None]:
        """See ``Easing.eased``."""
        return priced.eased(self, params, firm)

    @QUIET
    def held(self, given: Params, params: Params, point: Solution) -> BoolArray:
        """See ``Easing.held``."""
        return priced.held(self, given, params, point)

    @QUIET
    def paid(self, given: Params, params: Params, point: Solution) -> Solution:
        """See ``Easing.paid``."""
        return priced.paid(self, given, params, point)

    @QUIET
    def unpaid(self, given: Params, params: Params, point: Solution) -> Solution:
        """See ``Easing.unpaid``."""
        return priced.unpaid(self, given, params, point)

    @QUIET
    def settled(self, params: Params, point: Solution) -> tuple[Params, Solution]:
        """See ``Easing.settled``."""
        return priced.settled(self, params, point)

    @QUIET
    def folded(self, params: Params, cotangent: Cotangent) -> Cotangent:
        """The cotangent without slacks, which folds into that of x (math page, section 5a).

        ``params`` hold the data of its rows. What is left of terms that cancel is zero.
        """
        ds = cotangent.ds
        if ds is None:
            return cotangent
        return replace(cotangent, dx=Values(self, params).folded(cotangent.dx, ds), ds=None)

    @QUIET
    def tilt(self, params: Params, tilt: Tilt) -> tuple[Self, Params]:
        """Tilted data: q + t (dx - curve center) - rho anchor, P + rho I + t curve, shifted r.

        A cotangent of the slacks folds into that of x.
        """
        tilted = taken(params, tilt.rows)
        t, rho, dx = tilt.t[:, None], tilt.rho[:, None], tilt.dx
        if tilt.ds is not None and tilt.ds.any():
            dx = dx - self.transposed_product(tilted, tilt.ds)
        for name, block in self.blocks.items():
            rhs, sign = SIDES[name]
            if tilt.dy[:, block].any():
                tilted[rhs] = batched(tilted[rhs].full() + sign * t * tilt.dy[:, block])
        linear, problem = tilted["q"].full() + t * dx, self
        added: FloatArray | None = None
        if rho.any():
            linear, added = linear - rho * tilt.anchor, rho
        if tilt.curve is not None and tilt.center is not None:
            bend = t * tilt.curve
            linear, added = linear - bend * tilt.center, bend if added is None else bend + added
        if added is not None:
            problem, tilted["P"] = self._augmented(tilted.get("P"), added)
        tilted["q"] = batched(linear)
        return problem, tilted

    def _augmented(self, hessian: Param | None, added: FloatArray) -> tuple[Self, Param]:
        """P with a diagonal (N, n) or (N, 1) added, and the structure that it then has."""
        changed = cast(Any, replace)
        if "P" not in self.patterns and not (hessian is None and self.puts_on_pattern):
            problem = self if self.quadratic else changed(self, quadratic=True)
            return problem, augment(hessian, added, self.n)
        pattern, places, hessian = shifted(self.patterns.get("P", Pattern.empty(self.n)), hessian)
        patterns = {**self.patterns, "P": pattern}
        return changed(self, patterns=patterns, quadratic=True), augment(hessian, added, places)

    @QUIET
    def lagrangian(self, params: Params, point: Solution, tilt: Tilt) -> FloatArray:
        """Value of the tilted Lagrangian at each point, shape (N,)."""
        at, x, y = taken(params, tilt.rows), point.x, point.y
        slacks = self.slacks(at, x)
        value = dot(at["q"].full(), x) + 0.5 * dot(self.curve(at, x), x)
        # an infinite bound has multiplier zero and must not turn the sum into NaN
        value -= dot(y, np.where(y == 0, 0.0, slacks))
        loss = dot(tilt.dx, x) + dot(tilt.dy, y)
        if tilt.ds is not None:
            loss += dot(tilt.ds, slacks)
        if tilt.curve is not None and tilt.center is not None:
            loss += 0.5 * dot(tilt.curve, (x - tilt.center) ** 2)
        gap = x - tilt.anchor
        return value + tilt.t * loss + 0.5 * tilt.rho * dot(gap, gap)

    @QUIET
    def grad(
        self, params: Params, terms: Sequence[Term], wanted: Mapping[str, Groups]
    ) -> dict[str, FloatArray]:
        """Gradient of the summed terms (math page, section 5). See ``Problem.grad``."""
        weighted, gradients = Weighted(terms), dict[str, FloatArray]()
        for name, groups in wanted.items():
            if name == "q":
                gradients[name] = weighted.x.total(WHOLE, groups)
            elif name in OWNERS:
                owner, sign = OWNERS[name]
                gradients[name] = sign * weighted.y.total(self.blocks[owner], groups)
            else:
                left = (weighted.x, WHOLE) if name == "P" else (weighted.y, self.blocks[name])
                pattern = self.patterns.get(name)
                gradients[name] = left[0].outer(left[1], weighted.x, groups, pattern)
        if "P" in gradients:
            gradients["P"] = 0.5 * gradients["P"]
        return gradients
