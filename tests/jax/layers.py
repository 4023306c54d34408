"""Every kind of layer as a function of costs (4,), and how it is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

import lpgd

jax = pytest.importorskip("jax")
jnp = jax.numpy

from lpgd.jax import (  # noqa: E402
    CvxpyLayer,
    EnvelopeLoss,
    NonlinearProgram,
    argmin,
    saddle,
    solve_conic,
    solve_lp,
    solve_nlp,
    solve_qp,
)

BOX = {"lb": -0.5 * np.ones(4), "ub": 0.5 * np.ones(4)}


box_qp = partial(solve_qp, np.eye(4), **BOX)


def budget_lp(costs):
    options = {"lb": jnp.zeros(4), "ub": jnp.ones(4), "rule": lpgd.LPGD(1.0, rho=0.1)}
    return solve_lp(costs, G=jnp.ones((1, 4)), h=2 * jnp.ones(1), **options)


def cheapest(costs):
    return argmin(lambda c: np.eye(4)[c.argmin(axis=1)], costs, rule=lpgd.LPGD(20.0))


def ball(costs):
    """The nearest point of the unit ball to minus the costs."""
    A, b = jnp.concatenate([jnp.zeros((1, 4)), -jnp.eye(4)]), jnp.eye(5)[0]
    return solve_conic(jnp.eye(4), costs, A, b, lpgd.Cones(soc=(5,)))


def modelled():
    """The nearest point of the simplex to minus the costs, as a CVXPY layer."""
    cp = pytest.importorskip("cvxpy")
    x, costs = cp.Variable(4), cp.Parameter(4)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x + costs)), [cp.sum(x) == 1, x >= 0])
    return CvxpyLayer(problem, [costs], [x])


def projected():
    """Its only variable."""
    layer = modelled()
    return lambda costs: layer(costs)[0]


def objective(x, costs):
    return 0.5 * x @ x + costs @ x + 0.1 * (x**4).sum()


def newton(params, tilt):
    """The minimiser of the objective with a tilt."""
    costs, x = tilt.cost(np.asarray(params[0], np.float64)), np.zeros(4)
    for _ in range(30):
        slope = tilt.rho * x + x + costs + 0.4 * x**3
        x = x - slope / (1 + tilt.rho + 1.2 * x**2)
    return x


def curved():
    """The same of a Lagrangian."""
    return saddle(lambda x, y, costs: objective(x, costs), newton, like=(np.zeros(4), None),
                  linearize=True)  # fmt: skip


def bounded():
    """The same within a box, as a nonlinear program."""
    program = NonlinearProgram.of_functions(objective, 4)
    return lambda costs: solve_nlp(program, costs, engine="slsqp", **BOX)


def enveloped(costs, target):
    """The envelope of the quadratic loss of a QP."""
    return EnvelopeLoss(box_qp, "quadratic", tau=0.5)(costs, target=target)


@dataclass(frozen=True)
class Kind:
    """A layer, and how it is trained.

    Attributes
    ----------
    make : callable
        Returns the layer, from costs (4,) to a solution (4,).
    steps : int
        As many as its speed allows.
    share : float
        The part of the first loss that is left of it at most.
    loss : callable or None
        Of costs and the solution that they shall have; None for the squared error.
    """

    make: Callable[[], Callable[[Any], Any]]
    steps: int = 60
    share: float = 0.01
    loss: Callable[[Any, Any], Any] | None = None

    def error(self) -> Callable[[Any, Any], Any]:
        """The loss of costs and the solution that they shall have."""
        layer = self.make()
        return self.loss or (lambda costs, target: ((layer(costs) - target) ** 2).sum())


KINDS = {
    "qp": Kind(lambda: box_qp),
    "lp": Kind(lambda: budget_lp, share=0.5),
    "conic": Kind(lambda: ball, steps=20, share=0.5),
    "cvxpy": Kind(projected, steps=20, share=0.5),
    "oracle": Kind(lambda: cheapest, share=0.5),
    "envelope": Kind(lambda: box_qp, share=0.1, loss=enveloped),
    "saddle": Kind(curved, steps=20, share=0.5),
    "nonlinear": Kind(bounded, steps=10, share=0.9),
}
