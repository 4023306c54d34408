"""Calls with one thing wrong, and what a diagnosis should say of each, for every framework.

A plant takes a kit of a framework and returns the cause, the call, the loss, and which arguments
are learned.
"""

from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

import lpgd

COSTS = np.array([-3.0, -2.0])
EYE = np.eye(3)


class Case(NamedTuple):
    """``loss(layer(*inputs, **named))`` and what is wrong with it."""

    cause: str
    layer: Any
    inputs: tuple
    loss: Any
    named: dict
    learned: str


class Torch:
    """Layers, and tensors that require a gradient where they are learned."""

    def __init__(self):
        self.np, self.layers = import_module("torch"), import_module("lpgd.torch")
        self.sigmoid = self.np.sigmoid

    def array(self, values, dtype="float64"):
        return self.np.tensor(values, dtype=getattr(self.np, dtype))

    def learned(self, values, dtype="float64"):
        return self.array(values, dtype).requires_grad_()

    def computed(self, function, values):
        return getattr(self.np, function)(self.learned(values))

    def qp(self, rule=None):
        return self.layers.QPLayer(rule)

    def lp(self, rule=None):
        return self.layers.LPLayer(rule)

    def conic(self, cones, rule=None):
        return self.layers.ConicLayer(cones, rule)

    def oracle(self, ask, rule=None):
        return self.layers.OracleLayer(ask, rule)

    def cvxpy(self, *problem, rule):
        return self.layers.CvxpyLayer(*problem, rule=rule)


class Jax:
    """Functions, and arrays."""

    def __init__(self):
        self.jax, self.own = import_module("jax"), import_module("lpgd.jax")
        self.np, self.sigmoid = self.jax.numpy, self.jax.nn.sigmoid

    def array(self, values, dtype="float64"):
        return self.np.asarray(values, dtype)

    learned = array

    def computed(self, function, values):
        return self.jax.tree_util.Partial(getattr(self.np, function), self.array(values))

    def qp(self, rule=None):
        return partial(self.own.solve_qp, rule=rule)

    def lp(self, rule=None):
        return partial(self.own.solve_lp, rule=rule)

    def conic(self, cones, rule=None):
        return partial(self.own.solve_conic, cones=cones, rule=rule)

    def oracle(self, ask, rule=None):
        return partial(self.own.argmin, ask, rule=rule)

    def cvxpy(self, *problem, rule):
        return self.own.CvxpyLayer(*problem, rule=rule)


def simplex(kit):
    """Two nonnegative numbers of a sum of at most one."""
    data = {"G": np.ones((1, 2)), "h": np.ones(1), "lb": np.zeros(2)}
    return {name: kit.array(part) for name, part in data.items()}


def first_minus_second(x):
    """Pulls from the first variable to the second; the simplex LP follows at tau = 1/2."""
    return (x[..., 0] - x[..., 1]).sum()


def squares(x):
    return (x**2).sum()


def lp_vertex(kit):
    layer, costs = kit.lp(lpgd.Exact()), kit.learned(COSTS)
    return Case("vertex", layer, (costs,), first_minus_second, simplex(kit), "c")


def fixed_tau_below_the_breakpoint(kit):
    layer, costs = kit.lp(lpgd.LPGD(0.1)), kit.learned(COSTS)
    cause = "tau below the breakpoint"
    return Case(cause, layer, (costs,), first_minus_second, simplex(kit), "c")


def tau_below_the_noise(kit):
    data = kit.array(EYE), kit.learned([-1.0, 0.5, 2.0])
    return Case("tau below the solver's noise", kit.qp(lpgd.LPGD(1e-17)), data, squares, {}, "q")


def redundant_rows(kit):
    rows = {"G": kit.array(np.ones((2, 2))), "h": kit.learned(np.ones(2))}
    rows["lb"] = kit.array(np.zeros(2))
    costs = kit.array(COSTS)
    return Case("redundant rows", kit.lp(), (costs,), first_minus_second, rows, "h")


def infeasible_tilt(kit):
    sides = {"G": np.concatenate([EYE[:1], -EYE[:1]]), "h": [0.1, 0.0]}
    named = {name: kit.array(part) for name, part in sides.items()} | {"return_duals": True}
    layer, data = kit.qp(lpgd.LPGD(10.0, retries=0)), (kit.array(EYE), kit.learned(np.ones(3)))
    return Case("infeasible tilt", layer, data, lambda found: found.z.sum(), named, "q")


def saturated_unit_before(kit):
    data = kit.array(EYE), kit.computed("tanh", [40.0, 60.0, 80.0])
    return Case("saturated unit", kit.qp(), data, lambda x: x.sum(), {}, "q")


def saturated_unit_behind(kit):
    data = kit.array(EYE), kit.learned([-30.0, -40.0, -50.0])
    loss = lambda x: kit.sigmoid(20 * x).sum()  # noqa: E731
    return Case("saturated unit", kit.qp(), data, loss, {}, "q")


def loss_on_a_dead_slack(kit):
    A, b = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([5.0, 1.0])
    data = kit.array(np.eye(2)), kit.learned(COSTS), kit.array(A), kit.array(b)
    layer = kit.conic(lpgd.Cones(nonneg=2))
    loss = lambda found: (found.s[0] - 1) ** 2  # noqa: E731
    return Case("slack that no x moves", layer, data, loss, {"return_duals": True}, "q")


def loss_on_a_fixed_sum(kit):
    data = kit.array(EYE), kit.learned([1.0, 2.0, 3.0])
    sides = {"A": kit.array(np.ones((1, 3))), "b": kit.array(np.ones(1))}
    return Case("slack that no x moves", kit.qp(), data, lambda x: (x.sum() - 3) ** 2, sides, "q")


def float32_underflow(kit):
    data = kit.array(EYE, "float32"), kit.learned([-1.0, 0.5, 2.0], "float32")
    return Case("underflow", kit.qp(), data, lambda x: ((x * 1e-30) ** 2).sum(), {}, "q")


def float32_overflow(kit):
    data = kit.array(EYE, "float32"), kit.learned([-1.0, 0.5, 2.0], "float32")
    return Case("overflow", kit.qp(), data, lambda x: kit.np.exp(100 * x).sum(), {}, "q")


def averaged_loss(kit):
    costs = kit.learned(np.tile(COSTS, (32, 1)))
    loss = lambda x: (x[:, 0] - x[:, 1]).mean()  # noqa: E731
    cause = "loss averaged over the batch"
    return Case(cause, kit.lp(lpgd.LPGD(0.8)), (costs,), loss, simplex(kit), "c")


def averaged_loss_with_targets(kit):
    costs = kit.learned(np.tile(COSTS, (32, 1)))
    targets = kit.array(np.tile([0.0, 1.0], (32, 1)))
    loss = lambda x: ((x - targets) ** 2).sum(1).mean()  # noqa: E731
    cause = "loss averaged over the batch"
    return Case(cause, kit.lp(lpgd.LPGD(0.4)), (costs,), loss, simplex(kit), "c")


def most(costs):
    """A vertex of the simplex: the one that costs most, where the least was asked for."""
    return np.eye(costs.shape[1])[costs.argmax(axis=1)]


def oracle_of_the_wrong_sense(kit):
    costs = kit.learned([[3.0, 1.0, 2.0], [0.5, 2.0, 1.0]])
    loss = lambda x: x[:, 0].sum()  # noqa: E731
    return Case("oracle of the wrong sense", kit.oracle(most), (costs,), loss, {}, "costs")


def vertex_of_a_cvxpy_problem(kit):
    cp = import_module("cvxpy")
    x, c = cp.Variable(2), cp.Parameter(2, name="prices")
    problem = cp.Problem(cp.Minimize(c @ x), [cp.sum(x) <= 1, x >= 0])
    layer = kit.cvxpy(problem, [c], [x], rule=lpgd.LPGD(0.1))
    loss = lambda found: first_minus_second(found[0])  # noqa: E731
    return Case("tau below the breakpoint", layer, (kit.learned(COSTS),), loss, {}, "prices")


def vertex_of_an_oracle(kit):
    costs = kit.learned([[3.0, 1.0, 2.0], [0.5, 2.0, 1.0]])
    layer = kit.oracle(lambda c: most(-c), lpgd.LPGD(1e-3))
    loss = lambda x: x[0, 1] + x[1, 0]  # noqa: E731
    return Case("tau below the breakpoint", layer, (costs,), loss, {}, "costs")


PLANTED = (
    lp_vertex,
    fixed_tau_below_the_breakpoint,
    tau_below_the_noise,
    redundant_rows,
    infeasible_tilt,
    saturated_unit_before,
    saturated_unit_behind,
    loss_on_a_dead_slack,
    loss_on_a_fixed_sum,
    float32_underflow,
    float32_overflow,
    averaged_loss,
    averaged_loss_with_targets,
    oracle_of_the_wrong_sense,
    vertex_of_a_cvxpy_problem,
    vertex_of_an_oracle,
)
