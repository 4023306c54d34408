"""Cone programs in CVXPY, and references from separate solves of perturbed problems.

Nothing is differentiated here: derivatives are central differences of what CVXPY and a solver at
tight tolerance answer. The gradient of a parameter has as many entries as the parameter, so each
row is judged by the slope of the loss along one random direction per parameter and element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cvxpy as cp
import numpy as np
import torch

Array = np.ndarray
Draw = Callable[[np.random.Generator], dict[str, Array]]
STEP = 2e-4
AGREEMENT = 1e-5  # of slopes at STEP and 2·STEP; elements at a kink are drawn again
# of CVXPY's solvers SCS comes closest to the answer, on every cone
REFERENCE = {"solver": cp.SCS, "eps": 1e-11, "max_iters": 100_000}


@dataclass(frozen=True)
class Family:
    """A parametrised problem, and how to draw its parameters."""

    variable: cp.Variable
    cost: cp.Expression
    constraints: list[cp.Constraint]
    parameters: dict[str, cp.Parameter]
    draw: Draw

    def problem(self) -> cp.Problem:
        """What the layers are given."""
        return cp.Problem(cp.Minimize(self.cost), self.constraints)


def second_order(n: int) -> Family:
    """½‖x‖²/10 + q'x over three ellipsoids ‖F x + g‖ ≤ 1, the rows of F shared out among them."""
    x, q = cp.Variable(n), cp.Parameter(n)
    F, g = cp.Parameter((n, n)), cp.Parameter(n)
    thirds = np.array_split(np.arange(n), 3)
    balls = [cp.norm(F[rows] @ x + g[rows]) <= 1 for rows in thirds]
    cost = 0.05 * cp.sum_squares(x) + q @ x

    def draw(rng: np.random.Generator) -> dict[str, Array]:
        F = rng.normal(size=(n, n)) / np.sqrt(n)
        return {"q": rng.normal(size=n), "F": F, "g": 0.3 * rng.normal(size=n) / np.sqrt(n)}

    return Family(x, cost, balls, {"q": q, "F": F, "g": g}, draw)


def entropy(n: int) -> Family:
    """q'x + Σ x log x subject to Ax = b, with n/3 equations: n exponential cones."""
    m = n // 3
    x, q, A, b = cp.Variable(n), cp.Parameter(n), cp.Parameter((m, n)), cp.Parameter(m)

    def draw(rng: np.random.Generator) -> dict[str, Array]:
        A = rng.normal(size=(m, n)) / np.sqrt(n)
        return {"q": rng.normal(size=n), "A": A, "b": A @ rng.uniform(0.2, 1.0, size=n)}

    cost = q @ x - cp.sum(cp.entr(x))
    return Family(x, cost, [A @ x == b], {"q": q, "A": A, "b": b}, draw)


def semidefinite(n: int) -> Family:
    """½‖X‖² + ⟨C, X⟩ subject to X ⪰ −I/10 and three equations on X.

    The bound is not 0 because cvxpylayers with cvxpy 1.9.3 and Moreau drops ``X >> 0``.
    """
    X, C = cp.Variable((n, n), symmetric=True), cp.Parameter((n, n), symmetric=True)
    b = cp.Parameter(3)
    fixed = np.random.default_rng(0).normal(size=(3, n, n))
    fixed = fixed + fixed.transpose(0, 2, 1)
    fixed[0] = np.eye(n)
    equations = [cp.trace(F @ X) == b[i] for i, F in enumerate(fixed)]

    def draw(rng: np.random.Generator) -> dict[str, Array]:
        C, root = rng.normal(size=(n, n)) / 4, rng.normal(size=(n, n)) / np.sqrt(n)
        inside = root @ root.T
        return {"C": C + C.T, "b": np.array([np.trace(F @ inside) for F in fixed])}

    cost = 0.5 * cp.sum_squares(X) + cp.trace(C @ X)
    constraints = [X + 0.1 * np.eye(n) >> 0, *equations]
    return Family(X, cost, constraints, {"C": C, "b": b}, draw)


@dataclass
class ConeInstance:
    """A batch of parameters and a direction for each; and the references, by quantity."""

    family: Family
    values: dict[str, Array]
    directions: dict[str, Array]
    references: dict[str, dict[str, Array]] = field(default_factory=dict)


class Tilted:
    """The family with a linear term added to its cost, solved by CVXPY."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.tilt = cp.Parameter(family.variable.shape)
        cost = family.cost + cp.sum(cp.multiply(self.tilt, family.variable))
        self.problem = cp.Problem(cp.Minimize(cost), family.constraints)

    def solve(self, values: dict[str, Array], tilt: Array) -> tuple[Array, float]:
        """Solution and optimal value."""
        for name, parameter in self.family.parameters.items():
            parameter.value = values[name]
        self.tilt.value = tilt
        self.problem.solve(**REFERENCE)
        if self.problem.status != cp.OPTIMAL:
            raise RuntimeError(f"the reference solver says {self.problem.status}")
        return np.array(self.family.variable.value), float(self.problem.value)


def cone_programs(family: Family, batch: int, tau: float, seed: int) -> ConeInstance:
    """Draw ``batch`` elements away from kinks, and compute their references."""
    rng = np.random.default_rng(seed)
    tilted = Tilted(family)
    drawn: list[tuple[dict[str, Array], dict[str, Array], dict[str, dict[str, Array]]]] = []
    while len(drawn) < batch:
        values = family.draw(rng)
        directions = {name: _direction(p, rng) for name, p in family.parameters.items()}
        found = _references(tilted, values, directions, tau)
        if found is not None:
            drawn.append((values, directions, found))
    stack = {
        quantity: {k: np.stack([d[2][quantity][k] for d in drawn]) for k in slopes}
        for quantity, slopes in drawn[0][2].items()
    }
    return ConeInstance(
        family,
        {name: np.stack([d[0][name] for d in drawn]) for name in family.parameters},
        {name: np.stack([d[1][name] for d in drawn]) for name in family.parameters},
        stack,
    )


def _direction(parameter: cp.Parameter, rng: np.random.Generator) -> Array:
    direction = rng.normal(size=parameter.shape)
    if parameter.ndim == 2 and parameter.is_symmetric():
        direction = direction + direction.T
    return direction / np.linalg.norm(direction)


def _references(tilted: Tilted, values, directions, tau: float):
    """x, and slopes of the loss and of both envelopes; None at a kink.

    The slope of an envelope is the difference of the slopes of two optimal values (math page,
    section 8): that is what LPGD's gradient with finite tau is the gradient of.
    """
    none = np.zeros(tilted.tilt.shape)
    x, _ = tilted.solve(values, none)
    found = {quantity: {"x": x} for quantity in ("exact", "lower", "average")}
    for name, direction in directions.items():

        def at(step: float, t: float, name=name, direction=direction) -> tuple[Array, float]:
            moved = {**values, name: values[name] + step * direction}
            return tilted.solve(moved, t * x)

        losses = {k: 0.5 * float((at(k * STEP, 0.0)[0] ** 2).sum()) for k in (-2, -1, 1, 2)}
        near, far = (losses[1] - losses[-1]) / (2 * STEP), (losses[2] - losses[-2]) / (4 * STEP)
        if abs(near - far) > AGREEMENT * (1 + abs(near)):
            return None
        zero, plus, minus = (
            (at(STEP, t)[1] - at(-STEP, t)[1]) / (2 * STEP) for t in (0.0, tau, -tau)
        )
        found["exact"][name] = np.array((4 * near - far) / 3)
        found["lower"][name] = np.array((plus - zero) / tau)
        found["average"][name] = np.array((plus - minus) / (2 * tau))
    return found


class ConeRunner:
    """Run a layer on a batch and pull x itself back, the cotangent of ½‖x‖²."""

    def __init__(self, instance: ConeInstance, make: Callable) -> None:
        family = instance.family
        parameters = list(family.parameters.values())
        self.layer = make(family.problem(), parameters, [family.variable])
        self.data = {k: torch.tensor(v).requires_grad_() for k, v in instance.values.items()}
        self.directions = instance.directions

    def forward(self) -> None:
        """Solve, keeping what the backward pass needs."""
        for tensor in self.data.values():
            tensor.grad = None
        (self.x,) = self.layer(*self.data.values())

    def backward(self) -> None:
        """Write the gradients of the parameters."""
        self.x.backward(self.x.detach())

    def answers(self) -> dict[str, Array]:
        """x, and the slope along each parameter's direction."""
        slopes = {
            name: (self.data[name].grad.numpy() * direction).reshape(len(direction), -1).sum(1)
            for name, direction in self.directions.items()
        }
        return {"x": self.x.detach().numpy(), **slopes}
