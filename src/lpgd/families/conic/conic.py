"""Cone programs.

minimise 1/2 x'Px + q'x  subject to  Ax + s = b, s in K

L = 1/2 x'Px + q'x + y'(Ax - b), y in the dual cone of K
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, final

import numpy as np

from lpgd.core.params import Param, Params, batched
from lpgd.core.pattern import Pattern
from lpgd.core.problem import Ability, Family, Groups
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent, Term, Tilt
from lpgd.families.conic import adjoint as conic_dense
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.reduction import Reduction
from lpgd.families.quadratic import check as qp_check
from lpgd.families.quadratic.sums import augment, dot, outer, outer_on, total


@final
@dataclass(frozen=True, eq=False)
class Conic(Family):
    """Structure of a batch of cone programs.

    Attributes
    ----------
    n : int
        Number of variables.
    cones : Cones
    patterns : mapping from str to Pattern
        Places of the values of ``P`` (both triangles) and ``A``; a matrix without one is dense.
    quadratic : bool
        Whether P is given.
    fixed : (nnz,) bool or None
        Entries of A that are known to be constant and not zero.
    """

    family: ClassVar[str] = "conic"  # pyright: ignore[reportIncompatibleVariableOverride]

    n: int
    cones: Cones
    patterns: Mapping[str, Pattern] = field(default_factory=dict[str, Pattern])
    quadratic: bool = True
    fixed: BoolArray | None = None

    @property
    def polyhedral(self) -> bool:
        """Whether all cones are zero or nonnegative ones."""
        return self.cones.zero + self.cones.nonneg == self.cones.m

    @cached_property
    def reduction(self) -> Reduction:
        """Which variables a row of equality defines."""
        return Reduction.of(self)

    @property
    def m(self) -> int:
        """Number of rows of A."""
        return self.cones.m

    @property
    def needs(self) -> frozenset[str]:
        """The kinds of cones, and ``"sparse"`` where a matrix is given on a pattern."""
        return self.cones.kinds | ({"sparse"} if self.patterns else set())

    def refusal(self, families: frozenset[str]) -> str:
        """Engines for QPs and LPs take linear rows only, and those for LPs no P."""
        linear = frozenset({"nonneg", "zero"})
        if self.cones.kinds <= linear:
            return "solves LPs only, but P is given"
        rows, others = (", ".join(sorted(k)) for k in (linear, self.cones.kinds - linear))
        return f"takes cone programs with {rows} rows only, not with {others} rows"

    @property
    def abilities(self) -> frozenset[Ability]:
        """See ``Problem.abilities``."""
        return frozenset({Ability.SIZES, Ability.ADJOINT})

    @property
    def dense(self) -> int:
        """Entries of P and A as dense matrices."""
        return self.n * (self.m + (self.n if self.quadratic else 0))

    @property
    def stored(self) -> tuple[int, int]:
        """Entries of P and A, and of both as dense matrices."""
        sizes = {"A": self.m * self.n, "P": self.n**2 if self.quadratic else 0}
        given = (
            len(self.patterns[name].rows) if name in self.patterns else size
            for name, size in sizes.items()
        )
        return sum(given), self.dense

    @property
    def costs(self) -> tuple[str, ...]:
        """Arguments of the objective."""
        return ("P", "q")

    def check(self, params: Params, resolution: float) -> tuple[Params, Mapping[int, str]]:
        """Symmetrise P and name the bad value of each element that has one."""
        return qp_check.check(params, resolution, self.patterns.get("P"), cost="q")

    def product(self, params: Params, x: FloatArray) -> FloatArray:
        """A x of every element, (N, n) to (N, m)."""
        A = params["A"]
        if "A" not in self.patterns:
            return (A.full() @ x[:, :, None])[..., 0]
        return self.patterns["A"].product(A.full(), x)

    def transposed_product(self, params: Params, y: FloatArray) -> FloatArray:
        """A'y of every element, (N, m) to (N, n)."""
        A = params["A"]
        if "A" not in self.patterns:
            return (y[:, None, :] @ A.full())[:, 0]
        return self.patterns["A"].transposed_product(A.full(), y)

    def slacks(self, params: Params, x: FloatArray) -> FloatArray:
        """s = b - Ax of every element, shape (N, m)."""
        return params["b"].full() - self.product(params, x)

    def adjoint(self, params: Params, point: Solution, cotangent: Cotangent, rho: float) -> Adjoint:
        """Implicit differentiation of the optimality conditions, with dense matrices."""
        return conic_dense.adjoint(self, params, point, cotangent, rho)

    def tilt(self, params: Params, tilt: Tilt) -> tuple["Conic", Params]:
        """Tilted data: a cotangent of s folds into that of x (math page, section 5a)."""
        tilted = {name: param.take(tilt.rows) for name, param in params.items()}
        t, rho = tilt.t[:, None], tilt.rho[:, None]
        dx = tilt.dx
        if tilt.ds is not None and tilt.ds.any():
            dx = dx - self.transposed_product(tilted, tilt.ds)
        linear = tilted["q"].full() + t * dx
        if tilt.dy.any():
            tilted["b"] = batched(tilted["b"].full() - t * tilt.dy)
        problem: Conic = self
        if rho.any():
            linear = linear - rho * tilt.anchor
            problem, tilted["P"] = self._augmented(tilted.get("P"), tilt.rho)
        tilted["q"] = batched(linear)
        return problem, tilted

    def _augmented(self, hessian: Param | None, rho: FloatArray) -> tuple["Conic", Param]:
        if hessian is not None and "P" not in self.patterns:
            return self, augment(hessian, rho, np.eye(self.n))
        pattern = self.patterns.get("P", Pattern.empty(self.n))
        missing = np.setdiff1d(np.arange(self.n), pattern.rows[pattern.rows == pattern.cols])
        rows, cols = (np.concatenate([side, missing]) for side in (pattern.rows, pattern.cols))
        if hessian is not None:
            room = np.zeros((len(hessian.values), len(missing)))
            hessian = Param(np.concatenate([hessian.values, room], axis=1), hessian.index)
        patterns = {**self.patterns, "P": Pattern(rows, cols, (self.n, self.n))}
        problem = replace(self, patterns=patterns, quadratic=True)
        return problem, augment(hessian, rho, (rows == cols).astype(np.float64))

    def slope(self, params: Params, x: FloatArray) -> FloatArray:
        """Gradient q + Px of the objective, (N, n); see ``Measured.slope``."""
        linear = params["q"].full()
        return linear + self._curve(params["P"], x) if self.quadratic else linear

    def strictly_convex(self, params: Params) -> BoolArray:
        """Elements with a P that is dense and positive definite, shape (N,)."""
        if not self.quadratic or "P" in self.patterns:
            return np.zeros(len(params["q"].index), dtype=np.bool_)
        return qp_check.positive_definite(params["P"])

    def lagrangian(self, params: Params, point: Solution, tilt: Tilt) -> FloatArray:
        """Value of the tilted Lagrangian at each point, shape (N,)."""
        at = {name: param.take(tilt.rows) for name, param in params.items()}
        slacks = self.slacks(at, point.x)
        value = dot(at["q"].full(), point.x) - dot(point.y, slacks)
        if self.quadratic:
            value += 0.5 * dot(self._curve(at["P"], point.x), point.x)
        loss = dot(tilt.dx, point.x) + dot(tilt.dy, point.y)
        loss += dot(tilt.ds, slacks) if tilt.ds is not None else 0.0
        gap = point.x - tilt.anchor
        return value + tilt.t * loss + 0.5 * tilt.rho * dot(gap, gap)

    def _curve(self, hessian: Param, x: FloatArray) -> FloatArray:
        if "P" not in self.patterns:
            return (hessian.full() @ x[:, :, None])[..., 0]
        return self.patterns["P"].product(hessian.full(), x)

    def grad(
        self, params: Params, terms: Sequence[Term], wanted: Mapping[str, Groups]
    ) -> dict[str, FloatArray]:
        """Gradient of the summed terms (math page, section 5a). See ``Problem.grad``."""
        weight = np.stack([term.weight for term in terms], axis=1)[..., None]
        x = np.stack([term.point.x for term in terms], axis=1)
        y = np.stack([term.multipliers for term in terms], axis=1) * weight
        gradients: dict[str, FloatArray] = {}
        for name, groups in wanted.items():
            if name == "q":
                gradients[name] = total(weight * x, groups)
            elif name == "b":
                gradients[name] = -total(y, groups)
            else:
                left = 0.5 * weight * x if name == "P" else y
                pattern = self.patterns.get(name)
                gradients[name] = (
                    outer(left, x, groups) if pattern is None
                    else outer_on(pattern, left, x, groups)
                )  # fmt: skip
        return gradients
