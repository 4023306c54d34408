"""Programs of the benchmark of truth: a layer, data in any units, and a solution from elsewhere.

A program is one structure (sizes, patterns, constants). Its data are drawn in ``Units``: variables
by ``x``, objective by ``f``. The independent solution comes from Clarabel, called directly or
through CVXPY, or from a closed form; it shares nothing with the layers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import clarabel
import cvxpy as cp
import numpy as np
import torch
from scipy import sparse

from lpgd import Cones
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer, QPLayer

Array = np.ndarray
Rng = np.random.Generator
Layer = Callable[..., Sequence[torch.Tensor]]
TIGHT = 1e-11


class Units(NamedTuple):
    """What the variables and the objective are multiplied by."""

    x: float
    f: float


@dataclass(frozen=True)
class Program:
    """One structure of a family.

    Attributes
    ----------
    layer : callable
        From a rule to ``layer(*values) -> outputs``, with ``layer.stats``.
    draw : callable
        From a generator and units to a value for each parameter.
    solve : callable
        From values to the outputs, by other means; None where they fail.
    kinds : sequence of str
        How each parameter moves: "free", "pos" (relative to itself), "sym" (symmetric) or "still".
    closed : bool
        Whether ``solve`` is a closed form, right to rounding.
    strict : bool
        Whether the objective is strictly convex in the outputs. If not, instances whose solution
        does not move at all sit at a vertex and are left out.
    quadratic : bool
        Whether the engine is one for QPs, exact to rounding.
    """

    layer: Callable[[Any], Layer]
    draw: Callable[[Rng, Units], list[Array]]
    solve: Callable[[Sequence[Array]], list[Array] | None]
    kinds: Sequence[str]
    closed: bool = False
    strict: bool = True
    quadratic: bool = False

    @property
    def sharp(self) -> bool:
        """Whether the layer's own solutions are known to be right to rounding."""
        return self.closed or self.quadratic


Build = Callable[[Rng], Program]
FAMILIES: dict[str, Build] = {}
SHARES: dict[str, float] = {}


def family(name: str, share: float = 1.0) -> Callable[[Build], Build]:
    """Enter a builder under a name, with the share of the instances that it runs (slow ones)."""

    def enter(build: Build) -> Build:
        FAMILIES[name], SHARES[name] = build, share
        return build

    return enter


def modelled(
    problem: cp.Problem,
    parameters: Mapping[cp.Parameter, str],
    variables: Sequence[Any],
    draw: Callable[[Rng, Units], Sequence[Any]],
    closed: Callable[..., Sequence[Array]] | None = None,
    **options: Any,
) -> Program:
    """A CVXPY problem: parameters with how they move; ``closed(*values)`` if there is a formula."""
    strict, gp = options.pop("strict", True), options.pop("gp", False)
    names = list(parameters)

    def layer(rule: Any) -> Layer:
        return CvxpyLayer(problem, names, list(variables), rule=rule, on_failure="nan",
                          gp=gp, **options)  # fmt: skip

    def solve(values: Sequence[Array]) -> list[Array] | None:
        if closed is not None:
            return [np.asarray(v, float) for v in closed(*values)]
        for parameter, value in zip(names, values, strict=True):
            parameter.value = value
        return _by_clarabel(problem, variables, gp=gp)

    def drawn(rng: Rng, units: Units) -> list[Array]:
        return [np.asarray(v, float) for v in draw(rng, units)]

    return Program(layer, drawn, solve, list(parameters.values()), closed is not None, strict)


def _by_clarabel(problem: cp.Problem, variables: Sequence[Any], **how: bool) -> list[Array] | None:
    options = dict.fromkeys(
        ("tol_gap_abs", "tol_gap_rel", "tol_feas", "tol_ktratio", "tol_infeas_abs"), TIGHT
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem.solve(solver="CLARABEL", **options, **how)
    except cp.error.SolverError:
        return None
    if problem.status not in ("optimal", "optimal_inaccurate"):
        return None
    return [np.asarray(v.value, float) for v in variables]


def by_clarabel(
    P: Array | None, q: Array, A: Array, b: Array, cones: Cones
) -> tuple[Array, Array] | None:
    """Solution and multipliers of min 1/2 x'Px + q'x, Ax + s = b, s in the cones."""
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = TIGHT
    kinds = [clarabel.ZeroConeT(cones.zero), clarabel.NonnegativeConeT(cones.nonneg)]
    kinds += [clarabel.SecondOrderConeT(k) for k in cones.soc]
    kinds += [clarabel.PSDTriangleConeT(k) for k in cones.psd]
    kinds += [clarabel.ExponentialConeT()] * cones.exp
    kinds += [clarabel.PowerConeT(a) for a in cones.power]
    own = np.zeros((len(q), len(q))) if P is None else P
    upper = sparse.csc_matrix(np.triu(own))
    solver = clarabel.DefaultSolver(upper, q, sparse.csc_matrix(A), b, kinds, settings)
    found = solver.solve()
    if str(found.status) not in ("Solved", "AlmostSolved", "InsufficientProgress"):
        return None
    return np.array(found.x), np.array(found.z)


def quadratic(
    names: Sequence[str],
    kinds: Sequence[str],
    draw: Callable[[Rng, Units], Sequence[Array]],
    *,
    duals: bool = False,
) -> Program:
    """A QPLayer, or an LPLayer where there is no P, on the arguments of these names."""
    made = QPLayer if "P" in names else LPLayer

    def layer(rule: Any) -> Layer:
        return _named(made(rule, on_failure="nan"), names, duals=duals)

    def solve(values: Sequence[Array]) -> list[Array] | None:
        return _rows(dict(zip(names, values, strict=True)), duals=duals)

    def drawn(rng: Rng, units: Units) -> list[Array]:
        return [np.asarray(v, float) for v in draw(rng, units)]

    return Program(layer, drawn, solve, kinds, strict="P" in names, quadratic=True)


def _named(inner: Any, names: Sequence[str], *, duals: bool) -> Layer:
    def call(*values: torch.Tensor) -> Sequence[torch.Tensor]:
        given = dict(zip(names, values, strict=True))
        found = inner(**given, return_duals=True)
        pairs = [(found.y, "b"), (found.z, "h")]
        return [found.x] + [part for part, name in pairs if duals and name in given]

    call.stats = inner.stats
    return call


def _rows(d: Mapping[str, Array], *, duals: bool) -> list[Array] | None:
    q = d["q"] if "q" in d else d["c"]
    eye, none = np.eye(len(q)), (np.zeros((0, len(q))), np.zeros(0))
    parts = [(d["A"], d["b"]) if "A" in d else none, (d["G"], d["h"]) if "G" in d else none]
    parts += [(-eye, -d["lb"])] if "lb" in d else []
    parts += [(eye, d["ub"])] if "ub" in d else []
    A, b = np.vstack([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    equal, unequal = (len(p[1]) for p in parts[:2])
    found = by_clarabel(d.get("P"), q, A, b, Cones(equal, len(b) - equal))
    if found is None:
        return None
    x, z = found
    blocks = [z[:equal]] * ("A" in d) + [z[equal : equal + unequal]] * ("G" in d)
    return [x, *blocks] if duals else [x]


def conic(
    cones: Cones,
    kinds: Sequence[str],
    draw: Callable[[Rng, Units], Sequence[Array]],
    *,
    strict: bool = True,
    duals: bool = False,
) -> Program:
    """A ConicLayer on P, q, A, b (or q, A, b where there are three kinds)."""
    names = ("P", "q", "A", "b")[-len(kinds) :]

    def layer(rule: Any) -> Layer:
        inner = ConicLayer(cones, rule, on_failure="nan")

        def call(*values: torch.Tensor) -> Sequence[torch.Tensor]:
            found = inner(**{"P": None, **dict(zip(names, values, strict=True))}, return_duals=True)
            return [found.x, found.y] if duals else [found.x]

        call.stats = inner.stats
        return call

    def solve(values: Sequence[Array]) -> list[Array] | None:
        d = dict(zip(names, values, strict=True))
        found = by_clarabel(d.get("P"), d["q"], d["A"], d["b"], cones)
        return None if found is None else list(found[: 1 + duals])

    def drawn(rng: Rng, units: Units) -> list[Array]:
        return [np.asarray(v, float) for v in draw(rng, units)]

    return Program(layer, drawn, solve, kinds, strict=strict)
