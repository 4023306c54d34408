"""Earlier methods as cases of LPGD: each with a formula of its own, written out in numpy.

``tests/test_special_cases.py`` holds them against the library; ``docs/special-cases.md`` is made
from them: python -m tests.special_cases > docs/special-cases.md
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lpgd
from lpgd import rules
from lpgd.torch import OracleLayer, losses

ROOT = Path(__file__).parents[1]
B, D, K = 40, 6, 3
ALL = np.array([[i >> k & 1 for k in range(D)] for i in range(2**D)], dtype=float)
SET = ALL[ALL.sum(axis=1) == K]  # the choices of three items of six


def best(costs):
    """Minimisers over the set."""
    return SET[(costs @ SET.T).argmin(axis=-1)]


class Data:
    """Costs c, cotangents dx, true costs ct, their solutions xt, a slope and noise z."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.c, self.dx, self.ct, self.slope = rng.normal(size=(4, B, D))
        self.xt, self.pool = best(self.ct), SET[::2]


class Frozen:
    """Noise that is drawn once and for all."""

    def begin(self):
        return {}

    def draw(self, shape, memory):
        return np.random.default_rng(9).normal(size=shape)


Z = Frozen().draw((B, 8, D), {})


@dataclass(frozen=True)
class Case:
    """One method.

    Attributes
    ----------
    name, paper : str
    place : str
        Where it stands in LPGD.
    code : str
        How it is written; evaluated, with ``dx`` as its cotangent if it is a rule.
    gradient : callable
        From ``Data`` to its gradient in the costs (B, D), by a formula of its own.
    given : tuple of str
        What a loss is called with beside the costs.
    value : callable or None
        From ``Data`` to the loss (B,).
    """

    name: str
    paper: str
    place: str
    code: str
    gradient: Callable[[Data], Any]
    given: tuple[str, ...] = ()
    value: Callable[[Data], Any] | None = None

    def found(self, data: Data) -> tuple[Any, Any]:
        """The library's loss (None of a rule) and gradient."""
        c = torch.tensor(data.c, requires_grad=True)
        made = eval(self.code, {**vars(losses), **vars(NAMES), "best": best, "POOL": POOL})
        if not isinstance(made, torch.nn.Module):
            x = OracleLayer(best, made)(c)
            x.backward(torch.tensor(data.dx))
            return None, c.grad.numpy()
        made.reduction = "none"
        loss = made(c, *[torch.tensor(getattr(data, name)) for name in self.given])
        loss.sum().backward()
        return loss.detach().numpy(), c.grad.numpy()


class NAMES:
    """What the code of a case may say."""

    LPGD = lpgd.LPGD
    rules = rules
    Frozen = Frozen


POOL = torch.tensor(Data().pool)


def dot(a, b):
    return (a * b).sum(axis=-1)


def identity(d, centre, scale):
    """-P dx by differences of the projection of the costs."""
    m = np.eye(D) - (np.ones((D, D)) / D if centre else 0)

    def projected(c):
        c = c @ m
        return c / np.linalg.norm(c, axis=1, keepdims=True) if scale else c

    h, out = 1e-6, np.zeros_like(d.c)
    for k in range(D):
        step = h * np.eye(D)[k]
        out[:, k] = -dot(projected(d.c + step) - projected(d.c - step), d.dx) / (2 * h)
    return out


def noisy(d, shift=0.0):
    """Solutions of the costs with the frozen noise, and what is added to all of them."""
    return best((d.c + shift)[:, None] + 0.5 * Z)


def adaptive(d):
    tau = np.linalg.norm(d.c) / np.linalg.norm(d.dx)
    return (noisy(d, tau * d.dx) - noisy(d)).mean(axis=1) / tau


def score(d):
    x = noisy(d)
    reward = np.einsum("bsd,bd->bs", x, d.dx)
    base = (reward.sum(axis=1, keepdims=True) - reward) / (Z.shape[1] - 1)
    return np.einsum("bsd,bs->bd", Z, reward - base) / (0.5 * Z.shape[1])


def multiplied(d):
    x = best(d.c[:, None] * np.exp(0.5 * Z - 0.125))
    reward = np.einsum("bsd,bd->bs", x, d.dx)
    base = (reward.sum(axis=1, keepdims=True) - reward) / (Z.shape[1] - 1)
    return np.einsum("bsd,bs->bd", Z, reward - base) / (0.5 * Z.shape[1] * d.c)


def augmented(d, slope, tau):
    """The solution that is best for the task loss less the divergence."""
    values = slope @ SET.T - d.c @ SET.T / tau
    return SET[values.argmax(axis=1)]


def capped(d, weight):
    """The regularised solution: c + weight x clipped to [0, 1], its sum K, by bisection."""
    low, high = np.full(B, -99.0), np.full(B, 99.0)
    for _ in range(200):
        mid = (low + high) / 2
        more = np.clip((mid[:, None] - d.c) / weight, 0, 1).sum(axis=1) < K
        low, high = np.where(more, mid, low), np.where(more, high, mid)
    return np.clip((high[:, None] - d.c) / weight, 0, 1)


def on_face(d, weight):
    x = capped(d, weight)
    free = ((x > 1e-9) & (x < 1 - 1e-9)).astype(float)
    mean = (free * d.dx).sum(axis=1) / np.maximum(free.sum(axis=1), 1)
    return -free * (d.dx - mean[:, None]) / weight


def pool_cost(d):
    return d.c @ d.pool.T


CASES = [
    Case("Blackbox interpolation", "Pogančić et al., 2020", "lower side, tau = lambda",
         "rules.blackbox(2.0)", lambda d: (best(d.c + 2 * d.dx) - best(d.c)) / 2),
    Case("Direct loss minimisation, towards better", "Hazan et al., 2010", "lower side",
         "rules.direct_loss(0.7)", lambda d: (best(d.c + 0.7 * d.dx) - best(d.c)) / 0.7),
    Case("Direct loss minimisation, away from worse", "Song et al., 2016", "upper side",
         'rules.direct_loss(0.7, "worse")', lambda d: (best(d.c) - best(d.c - 0.7 * d.dx)) / 0.7),
    Case("Perturbation-based implicit differentiation", "Domke, 2010", "average, tau → 0",
         "rules.implicit_perturbation(0.01)",
         lambda d: (best(d.c + 0.01 * d.dx) - best(d.c - 0.01 * d.dx)) / 0.02),
    Case("Identity", "Sahoo et al., 2023", "relaxed set ℝⁿ with ½‖x‖², every tau and side",
         "rules.Identity()", lambda d: -d.dx),
    Case("Identity, plane", "Sahoo et al., 2023", "relaxed set {1ᵀx = k}, every tau and side",
         'rules.Identity("plane")', lambda d: d.dx.mean(axis=1, keepdims=True) - d.dx),
    Case("Identity, sphere", "Sahoo et al., 2023", "relaxed set ‖x‖ = 1, tau → 0",
         'rules.Identity("sphere")', lambda d: identity(d, False, True)),
    Case("Identity, plane and sphere", "Sahoo et al., 2023", "both, tau → 0",
         'rules.Identity("both")', lambda d: identity(d, True, True)),
    Case("Implicit MLE", "Niepert et al., 2021", "mean of lower sides under the same noise",
         'rules.IMLE(2.0, 0.5, 8, Frozen())',
         lambda d: (noisy(d, 2 * d.dx) - noisy(d)).mean(axis=1) / 2),
    Case("Implicit MLE, two sides", "Niepert et al., 2021", "mean of averages",
         'rules.IMLE(2.0, 0.5, 8, Frozen(), "average")',
         lambda d: (noisy(d, 2 * d.dx) - noisy(d, -2 * d.dx)).mean(axis=1) / 4),
    Case("Adaptive implicit MLE", "Minervini et al., 2023", "the same, tau = alpha ‖c‖ / ‖dx‖",
         "rules.AdaptiveIMLE(0.5, 8, Frozen())", adaptive),
    Case("Perturbed optimiser", "Berthet et al., 2020", "derivative of the mean solution",
         "rules.Perturbed(0.5, 8, Frozen())", score),
    Case("Perturbed optimiser, multiplicative", "Dalle et al., 2022", "the same",
         "rules.Perturbed(0.5, 8, Frozen(), multiplicative=True)", multiplied),
    Case("Regularised Frank-Wolfe", "Dalle et al., 2022",
         "weight/2 ‖x‖² in the forward problem, tau → 0",
         "rules.FrankWolfe(0.8)", lambda d: on_face(d, 0.8)),
    Case("SPO+", "Elmachtoub and Grigas, 2022",
         "upper envelope of regret, tau = ½, and D(x_t|c) / tau", "SPOPlus(best)",
         lambda d: 2 * (d.xt - best(2 * d.c - d.ct)), ("ct", "xt"),
         lambda d: 2 * dot(d.c, d.xt) - dot(d.ct, d.xt) - ((2 * d.c - d.ct) @ SET.T).min(axis=1)),
    Case("Perturbation gradient, one side", "Gupta and Huang, 2024",
         "upper envelope of ⟨c_t, x⟩, tau = sigma", "PerturbationGradient(best, 0.3)",
         lambda d: (best(d.c) - best(d.c - 0.3 * d.ct)) / 0.3, ("ct",),
         lambda d: ((d.c @ SET.T).min(axis=1) - ((d.c - 0.3 * d.ct) @ SET.T).min(axis=1)) / 0.3),
    Case("Perturbation gradient, two sides", "Gupta and Huang, 2024", "average envelope",
         'PerturbationGradient(best, 0.3, "average")',
         lambda d: (best(d.c + 0.3 * d.ct) - best(d.c - 0.3 * d.ct)) / 0.6, ("ct",),
         lambda d: (((d.c + 0.3 * d.ct) @ SET.T).min(axis=1)
                    - ((d.c - 0.3 * d.ct) @ SET.T).min(axis=1)) / 0.6),
    Case("Fenchel-Young, perceptron", "Blondel et al., 2020", "D(x_t|c)", "FenchelYoung(best)",
         lambda d: d.xt - best(d.c), ("xt",),
         lambda d: dot(d.c, d.xt) - (d.c @ SET.T).min(axis=1)),
    Case("Fenchel-Young, regularised", "Blondel et al., 2020", "D(x_t|c) with weight/2 ‖x‖²",
         "FenchelYoung(best, 0.8)", lambda d: d.xt - capped(d, 0.8), ("xt",),
         lambda d: dot(d.c, d.xt - capped(d, 0.8))
         + 0.4 * (dot(d.xt, d.xt) - dot(capped(d, 0.8), capped(d, 0.8)))),
    Case("Structured hinge", "Tsochantaridis et al., 2005",
         "upper envelope of Hamming loss and D(x_t|c) / tau", "StructuredHinge(best, 0.6)",
         lambda d: (d.xt - augmented(d, 1 - 2 * d.xt, 0.6)) / 0.6, ("xt",),
         lambda d: ((np.abs(SET[None] - d.xt[:, None]).sum(axis=2)
                     - d.c @ SET.T / 0.6).max(axis=1) + dot(d.c, d.xt) / 0.6)),
    Case("Imitation", "Dalle et al., 2022", "upper envelope of ⟨slope, x − x_t⟩ and D(x_t|c) / tau",
         "Imitation(best, 0.6)", lambda d: (d.xt - augmented(d, d.slope, 0.6)) / 0.6,
         ("xt", "slope"),
         lambda d: (d.slope @ SET.T - d.c @ SET.T / 0.6).max(axis=1)
         - dot(d.slope - d.c / 0.6, d.xt)),
    Case("Contrastive MAP", "Mulamba et al., 2021", "D(x_t|c) over a pool", "ContrastiveMAP(POOL)",
         lambda d: d.xt - d.pool[pool_cost(d).argmin(axis=1)], ("xt",),
         lambda d: dot(d.c, d.xt) - pool_cost(d).min(axis=1)),
    Case("Noise-contrastive estimation", "Mulamba et al., 2021",
         "no case: the mean over the pool in the place of its best", "NoiseContrastive(POOL)",
         lambda d: d.xt - d.pool.mean(axis=0), ("xt",),
         lambda d: dot(d.c, d.xt) - pool_cost(d).mean(axis=1)),
]  # fmt: skip


def page() -> str:
    """The page of special cases."""
    rows = [
        f"| {c.name} | {c.paper} | {c.place} | `{c.code.replace('best', 'oracle')}` |"
        for c in CASES
    ]
    return "\n".join([HEAD, *rows, ""])


HEAD = """# Special cases

Earlier methods for solvers of linear costs, and where they stand in LPGD (see
[Mathematics](mathematics.md)). This table is made from `tests/special_cases.py`, which holds every
line against a formula of its own, in float64, to 1e-9: gradients in the costs, and values of
losses. Rules are given to `OracleLayer(oracle, rule)` or `LPLayer(rule)`; they are in `lpgd.rules`,
losses in `lpgd.torch.losses`.

| method | paper | place in LPGD | here |
|---|---|---|---|"""

if __name__ == "__main__":
    print(page(), end="")
