"""Implicit maximum likelihood: LPGD under noise, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from lpgd.core.options import number
from lpgd.core.params import Params
from lpgd.core.problem import Problem
from lpgd.core.public import public
from lpgd.core.rule import Backward, Memory, Pullback, Rule, Samples
from lpgd.core.solution import BoolArray, Solution, Status
from lpgd.core.tilt import Cotangent, Term
from lpgd.rules.ends import Side
from lpgd.rules.linear import COST, refuse_curved
from lpgd.rules.lpgd import LPGD
from lpgd.rules.noise import Noise, SumOfGamma, known
from lpgd.rules.perturbation import Perturbation, found

SEEN = 1e-8  # entries of a gradient above this are not zero
DECAY = 0.9  # of the running mean of the share of entries that are not zero


@public("lpgd.rules")
@final
@dataclass(frozen=True)
class IMLE(Rule):
    """Implicit maximum likelihood estimation (Niepert et al., NeurIPS 2021).

    The solution is the mean x*(c + sigma z) over noise z; its gradient that of ``lpgd.LPGD`` with
    the same noise in the forward and the tilted solve, averaged (math page, section 6):
    E[x*(c + sigma z + tau dx) - x*(c + sigma z)] / tau.

    Parameters
    ----------
    tau : float
        Their lambda, > 0.
    sigma : float
        Size of the noise, > 0, in units of the costs.
    samples : int
        Perturbed problems for each element, >= 1.
    noise : Noise
    side : {"lower", "average", "upper"}
    fixed : tuple of int
        Entries of the costs that have no noise.
    """

    tau: float = 10.0
    sigma: float = 1.0
    samples: int = 10
    noise: Noise = field(default_factory=SumOfGamma)
    side: Side = "lower"
    fixed: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        LPGD(self.tau, side=self.side)
        known(self.noise)
        self._perturbation()

    def _perturbation(self) -> Perturbation:
        return Perturbation(self.sigma, self.samples, self.noise, self.fixed)

    def requires(self, problem: Problem) -> str:
        """Family of the tilted problem."""
        refuse_curved(problem, "IMLE")
        return problem.family

    def begin(self) -> Memory:
        """What the noise remembers."""
        return self.noise.begin()

    @property
    def keyed(self) -> bool:
        """See ``Rule.keyed``."""
        return self._perturbation().keyed

    def sample(self, problem: Problem, params: Params, memory: Memory) -> Samples:
        """See ``Rule.sample``."""
        return self._perturbation().sample(params, memory)

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """LPGD's, averaged over the noise; see ``Rule.pullback``."""
        return averaged(LPGD(self.tau, side=self.side), cotangent, backward)


@public("lpgd.rules")
@final
@dataclass(frozen=True)
class AdaptiveIMLE(Rule):
    """Adaptive implicit maximum likelihood (Minervini et al., AAAI 2023).

    ``IMLE`` with tau = alpha ||c|| / ||dx||, both norms over the whole batch. Each backward pass
    raises alpha, 1 at first, while fewer than all entries of the gradient are not zero, in
    a running mean, and else lowers it. The step so follows batch and history: the one rule of which
    elements are not independent. What it has learnt is in a layer's ``state_dict``: ``alpha`` and
    the mean ``share``.

    Parameters
    ----------
    sigma, samples, noise, side, fixed
        See ``IMLE``.
    step : float
        By which alpha is raised or lowered, >= 0.
    """

    sigma: float = 1.0
    samples: int = 10
    noise: Noise = field(default_factory=SumOfGamma)
    side: Side = "lower"
    fixed: tuple[int, ...] = ()
    step: float = 1e-3

    def __post_init__(self) -> None:
        LPGD(1.0, side=self.side)
        number("step", self.step)
        known(self.noise)
        self._perturbation()

    def _perturbation(self) -> Perturbation:
        return Perturbation(self.sigma, self.samples, self.noise, self.fixed)

    def requires(self, problem: Problem) -> str:
        """Family of the tilted problem."""
        refuse_curved(problem, "AdaptiveIMLE")
        return problem.family

    def begin(self) -> Memory:
        """alpha, the mean share of entries that are not zero, and what the noise remembers."""
        return {**self.noise.begin(), "alpha": np.ones(1), "share": np.ones(1)}

    @property
    def keyed(self) -> bool:
        """See ``Rule.keyed``."""
        return self._perturbation().keyed

    def sample(self, problem: Problem, params: Params, memory: Memory) -> Samples:
        """See ``Rule.sample``."""
        return self._perturbation().sample(params, memory)

    def pullback(self, point: Solution, cotangent: Cotangent, backward: Backward) -> Pullback:
        """LPGD's with this batch's tau, averaged; then alpha is adapted."""
        memory, assured = backward.memory, backward.samples
        assert assured is not None
        noisy, noise = backward.params[COST].full(), assured[0].noise["z"]
        costs = (noisy - self.sigma * noise)[:: self.samples]
        tau = memory["alpha"][0] * np.linalg.norm(costs) / np.linalg.norm(cotangent.dx)
        made = averaged(LPGD(float(max(tau, SEEN)), side=self.side), cotangent, backward)
        gradient = sum(term.weight[:, None] * term.point.x for term in made.terms)
        share = (np.abs(gradient) > SEEN).sum() / costs.size
        memory["share"] = DECAY * memory["share"] + (1 - DECAY) * share
        step = self.step if memory["share"][0] < 1 else -self.step
        memory["alpha"] = np.maximum(memory["alpha"] + step, 0.0)
        return made


def averaged(rule: Rule, cotangent: Cotangent, backward: Backward) -> Pullback:
    """The pullback of another rule at each perturbed problem, averaged over those of an element."""
    _, solved, rows = found(cotangent, backward)
    count, flat = rows.shape[1], rows.ravel()
    dx, dy = (np.repeat(part, count, axis=0) for part in (cotangent.dx, cotangent.dy))
    pulled = rule.pullback(solved.take(flat), Cotangent(flat, dx, dy), backward)
    failed = pulled.failed.reshape(-1, count).max(axis=1)
    fine = failed == Status.OPTIMAL
    mean = _merged if not solved.y.shape[1] else _each
    terms = mean(pulled.terms, cotangent, fine, count)
    tau = None if pulled.tau is None else pulled.tau.reshape(-1, count).max(axis=1)
    return Pullback(terms, failed, tau, pulled.retries)


def _merged(terms: Sequence[Term], cotangent: Cotangent, fine: BoolArray, count: int) -> list[Term]:
    """Lagrangians without multipliers are linear in x: the mean of the points will do."""
    made: list[Term] = []
    for term in terms:
        x = (term.weight[:, None] * term.point.x).reshape(len(fine), count, -1).mean(axis=1)
        first = np.arange(len(fine)) * count
        tilt = replace(term.tilt.take(first), rows=cotangent.rows)
        made.append(Term(fine.astype(float), replace(term.point.take(first), x=x), tilt))
    return made


def _each(terms: Sequence[Term], cotangent: Cotangent, fine: BoolArray, count: int) -> list[Term]:
    made: list[Term] = []
    for term in terms:
        for sample in range(count):
            rows = np.arange(len(fine)) * count + sample
            tilt = replace(term.tilt.take(rows), rows=cotangent.rows)
            weight = np.where(fine, term.weight[rows] / count, 0.0)
            made.append(Term(weight, term.point.take(rows), tilt))
    return made
