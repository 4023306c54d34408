"""Quadratic and linear programs with equalities, inequalities and bounds.

minimise 1/2 x'Px + q'x  subject to  Ax = b, Gx <= h, lb <= x <= ub

L = 1/2 x'Px + q'x + y'(Ax - b) + z'(Gx - h) + mu_l'(lb - x) + mu_u'(x - ub)

Flat multipliers are (y, z, mu_l, mu_u), each block present only with its constraints.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from lpgd.core.params import Param, Params, batched
from lpgd.core.pattern import Pattern
from lpgd.core.problem import Ability, Family, Groups
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.core.tilt import Adjoint, Cotangent, Term, Tilt
from lpgd.families.qp import kkt as qp_kkt
from lpgd.families.quadratic import check as qp_check
from lpgd.families.quadratic.sums import augment, dot, outer, outer_on, total

# Right-hand side of each block of multipliers, and the sign with which it enters L.
SIDES = {"A": ("b", -1.0), "G": ("h", -1.0), "lb": ("lb", 1.0), "ub": ("ub", -1.0)}


@final
@dataclass(frozen=True, eq=False)
class QP(Family):
    """Structure of a batch of quadratic programs (or linear ones: ``quadratic=False``).

    Attributes
    ----------
    n : int
        Number of variables.
    blocks : mapping from str to slice
        Where the multipliers of ``A``, ``G``, ``lb`` and ``ub`` lie in the flat vector; an
        absent group has no entry.
    quadratic : bool
        Whether P is given, even if it is zero.
    patterns : mapping from str to Pattern
        Sparsity of ``A`` and ``G`` where their values are (..., nnz) arrays.
    entries : (int, int)
        See ``stored``; of dense data that were sparse once.
    """

    n: int
    blocks: Mapping[str, slice]
    quadratic: bool = True
    patterns: Mapping[str, Pattern] = field(default_factory=dict[str, Pattern])
    entries: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, sizes: Mapping[str, int], n: int, patterns: Mapping[str, Pattern]) -> "QP":
        """Lay out the multipliers. ``sizes`` has the rows of each given argument, ``P`` for P."""
        blocks: dict[str, slice] = {}
        end = 0
        for name in SIDES:
            if name in sizes:
                blocks[name] = slice(end, end + sizes[name])
                end = blocks[name].stop
        return cls(n, blocks, "P" in sizes, patterns)

    @property
    def family(self) -> str:
        """``"QP"`` or ``"LP"``."""
        return "QP" if self.quadratic else "LP"

    @property
    def m(self) -> int:
        """Length of the flat multiplier vector."""
        return max((block.stop for block in self.blocks.values()), default=0)

    @property
    def augmented(self) -> str:
        """A proximal term makes a QP of an LP."""
        return "QP"

    @property
    def stored(self) -> tuple[int, int]:
        """See ``Problem.stored``."""
        return self.entries

    @property
    def needs(self) -> frozenset[str]:
        """``"sparse"`` where a matrix is given on a sparsity pattern."""
        return frozenset({"sparse"} if self.patterns else ())

    @property
    def abilities(self) -> frozenset[Ability]:
        """See ``Problem.abilities``."""
        return frozenset({Ability.SIZES, Ability.ADJOINT})

    @property
    def polyhedral(self) -> bool:
        """Always: all constraints are linear."""
        return True

    @property
    def costs(self) -> tuple[str, ...]:
        """Arguments of the objective."""
        return ("P", "q")

    def block(self, y: FloatArray, name: str) -> FloatArray:
        """Multipliers (..., m_name) of one group; length 0 where the group is absent."""
        return y[..., self.blocks.get(name, slice(0, 0))]

    def check(self, params: Params, resolution: float) -> tuple[Params, Mapping[int, str]]:
        """Symmetrise P and name the bad value of each element that has one."""
        return qp_check.check(params, resolution)

    def adjoint(self, params: Params, point: Solution, cotangent: Cotangent, rho: float) -> Adjoint:
        """Implicit differentiation of the optimality conditions (math page, section 5, oracle)."""
        if cotangent.ds is not None:
            at = {name: param.take(cotangent.rows) for name, param in params.items()}
            folded = cotangent.dx - self.pulled(at, cotangent.ds)
            cotangent = replace(cotangent, dx=folded, ds=None)
        return Adjoint(*qp_kkt.adjoint(self, params, point, cotangent, rho))

    def tilt(self, params: Params, tilt: Tilt) -> tuple["QP", Params]:
        """Tilted data: P + rho I, q + t dx - rho anchor, right-hand sides shifted by t dy.

        A cotangent of the slacks folds into that of x (math page, section 5a).
        """
        tilted = {name: param.take(tilt.rows) for name, param in params.items()}
        t, rho = tilt.t[:, None], tilt.rho[:, None]
        dx = tilt.dx
        if tilt.ds is not None and tilt.ds.any():
            dx = dx - self.pulled(tilted, tilt.ds)
        linear = tilted["q"].full() + t * dx
        for name, block in self.blocks.items():
            rhs, sign = SIDES[name]
            if tilt.dy[:, block].any():
                tilted[rhs] = batched(tilted[rhs].full() + sign * t * tilt.dy[:, block])
        problem = self
        if rho.any():
            linear = linear - rho * tilt.anchor
            tilted["P"] = augment(tilted.get("P"), tilt.rho, np.eye(self.n))
            problem = replace(self, quadratic=True)
        tilted["q"] = batched(linear)
        return problem, tilted

    def slope(self, params: Params, x: FloatArray) -> FloatArray:
        """Gradient q + Px of the objective, (N, n); see ``Measured.slope``."""
        linear = params["q"].full()
        return linear + (params["P"].full() @ x[:, :, None])[..., 0] if self.quadratic else linear

    def slacks(self, params: Params, x: FloatArray) -> FloatArray:
        """b - Ax, h - Gx, x - lb and ub - x, shape (N, m); see ``Measured.slacks``."""
        parts = [x[:, :0]]
        for name in self.blocks:
            rhs, sign = SIDES[name]
            value = self._product(name, params[name], x) if name in self._matrices else -sign * x
            parts.append(-sign * params[rhs].full() - value)
        return np.concatenate(parts, axis=1)

    def strictly_convex(self, params: Params) -> BoolArray:
        """Elements with a positive definite P, shape (N,)."""
        if not self.quadratic:
            return np.zeros(len(params["q"].index), dtype=np.bool_)
        return qp_check.positive_definite(params["P"])

    def lagrangian(self, params: Params, point: Solution, tilt: Tilt) -> FloatArray:
        """Value of the tilted Lagrangian at each point, shape (N,)."""
        at = {name: param.take(tilt.rows) for name, param in params.items()}
        value = dot(at["q"].full(), point.x)
        if self.quadratic:
            value += 0.5 * dot((at["P"].full() @ point.x[:, :, None])[..., 0], point.x)
        for name, block in self.blocks.items():
            rhs, sign = SIDES[name]
            dual = point.y[:, block]
            # an infinite bound has multiplier zero and must not turn the sum into NaN
            value += sign * dot(np.where(dual == 0, 0.0, at[rhs].full()), dual)
            if name in ("A", "G"):
                value += dot(self._product(name, at[name], point.x), dual)
            else:
                value -= sign * dot(point.x, dual)
        loss = dot(tilt.dx, point.x) + dot(tilt.dy, point.y)
        loss += dot(tilt.ds, self.slacks(at, point.x)) if tilt.ds is not None else 0.0
        gap = point.x - tilt.anchor
        return value + tilt.t * loss + 0.5 * tilt.rho * dot(gap, gap)

    def pulled(self, params: Params, y: FloatArray) -> FloatArray:
        """A'y_A + G'y_G of every element, (N, m) to (N, n)."""
        total = np.zeros((len(y), self.n))
        for name in self._matrices:
            part, matrix = self.block(y, name), params[name]
            if name in self.patterns:
                total += self.patterns[name].transposed_product(matrix.full(), part)
            else:
                total += (part[:, None, :] @ matrix.full())[:, 0]
        return total

    @property
    def _matrices(self) -> list[str]:
        return [name for name in ("A", "G") if name in self.blocks]

    def _product(self, name: str, matrix: Param, x: FloatArray) -> FloatArray:
        if name in self.patterns:
            return self.patterns[name].product(matrix.full(), x)
        return (matrix.full() @ x[:, :, None])[..., 0]

    def grad(
        self, params: Params, terms: Sequence[Term], wanted: Mapping[str, Groups]
    ) -> dict[str, FloatArray]:
        """Gradient of the summed terms (math page, section 5b). See ``Problem.grad``."""
        weight = np.stack([term.weight for term in terms], axis=1)[..., None]
        x = np.stack([term.point.x for term in terms], axis=1)
        y = np.stack([term.multipliers for term in terms], axis=1) * weight
        return dict(self._grads(wanted, x, weight * x, y))

    def _grads(
        self, wanted: Mapping[str, Groups], x: FloatArray, wx: FloatArray, wy: FloatArray
    ) -> Iterator[tuple[str, FloatArray]]:
        # x (N, S, n): S terms a row; wx and wy carry the weights, so that every gradient is linear.
        for name, groups in wanted.items():
            if name == "P":
                yield name, 0.5 * outer(wx, x, groups)
            elif name == "q":
                yield name, total(wx, groups)
            elif name in self.patterns:
                dual, pattern = self.block(wy, name), self.patterns[name]
                yield name, outer_on(pattern, dual, x, groups)
            elif name in ("A", "G"):
                yield name, outer(self.block(wy, name), x, groups)
            else:
                owner, sign = next((o, s) for o, (rhs, s) in SIDES.items() if rhs == name)
                yield name, sign * total(self.block(wy, owner), groups)
