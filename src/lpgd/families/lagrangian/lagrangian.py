"""Problems that are known by a differentiable Lagrangian: min over x, max over y of L(x, y, w).

A tilt adds t (<dx, x> + <dy, y>) + rho/2 ||x - anchor||^2, which the engine finds among the data.
The gradient in w is that of L with the points held fixed, by whatever means the model has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, final

import numpy as np

from lpgd.core.errors import EngineError
from lpgd.core.params import Param, Params, batched, flat, taken
from lpgd.core.problem import Ability, Family, Groups
from lpgd.core.solution import BoolArray, FloatArray, Solution, Status
from lpgd.core.tilt import Term, Tilt
from lpgd.families.lagrangian.linearized import Linearized
from lpgd.families.lagrangian.model import Curvature, Model
from lpgd.families.lagrangian.optimality import Conditions, judged
from lpgd.families.quadratic.structure import QUIET

INACCURATE = Status.INACCURATE
TILT = ("tilt.t", "tilt.dx", "tilt.dy", "tilt.rho", "tilt.anchor")


@final
@dataclass(frozen=True, eq=False)
class Lagrangian(Family):
    """Structure of a batch of saddle-point problems.

    Attributes
    ----------
    n, m : int
    model : Model
    names : tuple of str
        The arguments of the Lagrangian.
    nonnegative : (m,) bool
        Entries of y that are >= 0, multipliers of inequalities.
    twice : bool
        Whether the model's second derivatives may be used.
    kind : str
        What engines call the family.
    bounds : frozenset of str
        Arguments that may be infinite.
    parts : mapping from str to slice
        What the user calls parts of y.
    """

    n: int
    m: int
    model: Model
    names: tuple[str, ...]
    nonnegative: BoolArray
    twice: bool = False
    kind: str = "Lagrangian"
    bounds: frozenset[str] = field(default_factory=frozenset[str])
    parts: Mapping[str, slice] = field(default_factory=dict[str, slice])

    @property
    def family(self) -> str:
        """See ``Problem.family``."""
        return self.kind

    @property
    def costs(self) -> tuple[str, ...]:
        """Any argument may be one of the objective."""
        return self.names

    @property
    def abilities(self) -> frozenset[Ability]:
        """With second derivatives all that can be had, without them none."""
        return frozenset(Ability) - {Ability.MATRICES, Ability.EASE} if self.twice else frozenset()

    @property
    def blocks(self) -> Mapping[str, slice]:
        """The entries of y of each part."""
        return self.parts

    @property
    def twins(self) -> tuple[slice, slice] | None:
        """Rows of lower and of upper bounds, where there are both."""
        both = {"lb", "ub"} <= self.parts.keys()
        return (self.parts["lb"], self.parts["ub"]) if both else None

    @property
    def polyhedral(self) -> bool:
        """Nothing is known of the constraints."""
        return False

    def check(self, params: Params, resolution: float) -> tuple[Params, Mapping[int, str]]:
        """See ``Problem.check``."""
        unfit: dict[int, str] = {}
        for name, param in params.items():
            free = name in self.bounds
            fine = ~np.isnan(param.values) if free else np.isfinite(param.values)
            bad = ~np.logical_and.reduce(flat(fine), axis=1)
            why = f"{name} has a NaN {'' if free else 'or infinite '}entry"
            for element in np.flatnonzero(bad[param.index]):
                unfit.setdefault(int(element), why)
        return params, unfit

    def tilt(self, params: Params, tilt: Tilt) -> "tuple[Lagrangian, Params]":
        """See ``Problem.tilt``.

        Raises
        ------
        EngineError
            The tilt has a curvature of its own.
        """
        if tilt.curve is not None and tilt.curve.any():
            raise EngineError("a Lagrangian takes tilts that are linear, or have a proximal term")
        parts = (tilt.t, tilt.dx, tilt.dy, tilt.rho, tilt.anchor)
        added = {name: batched(part) for name, part in zip(TILT, parts, strict=True)}
        return self, {**taken(self._own(params), tilt.rows), **added}

    def _own(self, params: Params) -> Params:
        return {name: params[name] for name in self.names}

    def lagrangian(self, params: Params, point: Solution, tilt: Tilt) -> FloatArray:
        """See ``Problem.lagrangian``."""
        added = self.tilt(params, tilt)[1]
        own = self.value(taken(params, tilt.rows), point.x, point.y)
        return own + _loss({name: added[name] for name in TILT}, point.x, point.y)

    def value(self, params: Params, x: FloatArray, y: FloatArray) -> FloatArray:
        """The Lagrangians of data that may be tilted, shape (N,)."""
        found = self.model.value(self._own(params), x, y)
        if TILT[0] not in params:
            return found
        return found + _loss(params, x, y)

    def slopes(self, params: Params, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Their gradients in x and in y."""
        pull, push = self.model.slopes(self._own(params), x, y)
        if TILT[0] not in params:
            return pull, push
        t, dx, dy, rho, anchor = (params[name].full() for name in TILT)
        return pull + t[:, None] * dx + rho[:, None] * (x - anchor), push + t[:, None] * dy

    def curvature(self, params: Params, x: FloatArray, y: FloatArray) -> Curvature:
        """Their second derivatives."""
        found = self.model.curvature(self._own(params), x, y)
        if TILT[0] not in params:
            return found
        rho = params["tilt.rho"].full()
        return found._replace(xx=found.xx + rho[:, None, None] * np.eye(self.n))

    @QUIET
    def grad(
        self, params: Params, terms: Sequence[Term], wanted: Mapping[str, Groups]
    ) -> dict[str, FloatArray]:
        """See ``Problem.grad``."""
        shapes = {k: (len(g), *params[k].values.shape[1:]) for k, g in wanted.items()}
        live = [term for term in terms if term.weight.any()]
        if not (live and wanted):
            return {name: np.zeros(shape) for name, shape in shapes.items()}
        size = len(live[0].weight)
        rows = np.concatenate([term.tilt.rows for term in live])
        place = np.concatenate([np.arange(size)] * len(live))
        weight = np.concatenate([term.weight for term in live])
        point = reduce(Solution.join, (term.point for term in live))
        some = np.flatnonzero(weight)  # points of the others may be anything
        data = taken(self._own(params), rows[some])
        for name, groups in wanted.items():
            owner = np.zeros(size, dtype=np.intp)
            owner[groups] = np.arange(len(groups))[:, None]
            first = live[0].tilt.rows[groups[:, 0]]
            data[name] = Param(params[name].values[params[name].index[first]], owner[place[some]])
        at = point.x[some], point.y[some]
        found = self.model.gradient(data, at, weight[some], tuple(wanted))
        return {name: found[name].reshape(shape) for name, shape in shapes.items()}

    def slope(self, params: Params, x: FloatArray) -> FloatArray:
        """See ``Measured.slope``; without multipliers a Lagrangian is its objective."""
        return self.slopes(params, x, np.zeros((len(x), self.m)))[0]

    def slacks(self, params: Params, x: FloatArray) -> FloatArray:
        """See ``Measured.slacks``."""
        return -self.slopes(params, x, np.zeros((len(x), self.m)))[1]

    def strictly_convex(self, params: Params) -> BoolArray:
        """Nothing is known beforehand; see ``Measured.strictly_convex``."""
        size = len(next(iter(params.values())).index) if params else 1
        return np.zeros(size, dtype=np.bool_)

    def linearize(self, params: Params, solution: Solution, factors: Any = None) -> Linearized:
        """See ``Differentiable.linearize``."""
        if isinstance(factors, Linearized):
            return factors
        return Linearized(self, params, solution)

    def drift(
        self, params: Params, other: Params, point: Solution
    ) -> tuple[FloatArray, FloatArray]:
        """See ``Differentiable.drift``."""
        here, there = (self.slopes(data, point.x, point.y) for data in (params, other))
        return here[0] - there[0], np.where(np.isinf(here[1]), 0.0, here[1] - there[1])

    @QUIET
    def judged(self, params: Params, point: Solution) -> tuple[Solution, FloatArray]:
        """See ``Checkable.judged``; rows without a point are infinitely far."""
        accuracy, rows = np.full(len(point), np.inf), np.flatnonzero(point.status <= INACCURATE)
        if len(rows):
            some = point.take(rows)
            at = Conditions.of(self, taken(params, rows), some)
            accuracy[rows] = judged(self, at, some)
        return point, accuracy

    def refuted(self, params: Params, ray: Solution) -> FloatArray:
        """Nothing certifies that a problem of any shape has no solution."""
        return np.full(len(ray), np.inf)


def _loss(params: Params, x: FloatArray, y: FloatArray) -> FloatArray:
    """What a tilt adds, shape (N,)."""
    t, dx, dy, rho, anchor = (params[name].full() for name in TILT)
    loss = (dx * x).sum(axis=1) + (dy * y).sum(axis=1)
    return t * loss + 0.5 * rho * np.square(x - anchor).sum(axis=1)
