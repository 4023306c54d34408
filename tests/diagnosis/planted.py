"""Calls of layers with one thing wrong, and what a diagnosis should say of each."""

import numpy as np
import torch

import lpgd
from lpgd.torch import ConicLayer, CvxpyLayer, LPLayer, OracleLayer, QPLayer

F = torch.float64
SIMPLEX = {
    "G": torch.ones(1, 2, dtype=F),
    "h": torch.ones(1, dtype=F),
    "lb": torch.zeros(2, dtype=F),
}
COSTS = torch.tensor([-3.0, -2.0], dtype=F)
EYE = torch.eye(3, dtype=F)


def first_minus_second(x):
    """Pulls from the first variable to the second; the simplex LP follows at tau = 1/2."""
    return (x[..., 0] - x[..., 1]).sum()


def learned(values):
    return values.clone().requires_grad_()


def lp_vertex():
    layer = LPLayer(lpgd.Exact())
    return "vertex", layer, (learned(COSTS),), first_minus_second, SIMPLEX


def fixed_tau_below_the_breakpoint():
    layer = LPLayer(lpgd.LPGD(0.1))
    return "tau below the breakpoint", layer, (learned(COSTS),), first_minus_second, SIMPLEX


def tau_below_the_noise():
    q = learned(torch.tensor([-1.0, 0.5, 2.0], dtype=F))
    layer = QPLayer(lpgd.LPGD(1e-17))
    return "tau below the solver's noise", layer, (EYE, q), lambda x: (x**2).sum(), {}


def redundant_rows():
    h = learned(torch.ones(2, dtype=F))
    rows = {"G": torch.ones(2, 2, dtype=F), "h": h, "lb": torch.zeros(2, dtype=F)}
    return "redundant rows", LPLayer(), (COSTS,), first_minus_second, rows


def infeasible_tilt():
    q = learned(torch.tensor([1.0, 1.0, 1.0], dtype=F))
    sides = {"G": torch.cat([EYE[:1], -EYE[:1]]), "h": torch.tensor([0.1, 0.0], dtype=F)}
    layer = QPLayer(lpgd.LPGD(10.0, retries=0))
    loss = lambda found: found.z.sum()  # noqa: E731
    return "infeasible tilt", layer, (EYE, q), loss, {**sides, "return_duals": True}


def saturated_unit_before():
    z = learned(torch.tensor([40.0, 60.0, 80.0], dtype=F))
    q = torch.tanh(z)
    return "saturated unit", QPLayer(), (EYE, q), lambda x: x.sum(), {}


def saturated_unit_behind():
    q = learned(torch.tensor([-30.0, -40.0, -50.0], dtype=F))
    return "saturated unit", QPLayer(), (EYE, q), lambda x: torch.sigmoid(20 * x).sum(), {}


def loss_on_a_dead_slack():
    b = torch.tensor([5.0, 1.0], dtype=F)
    A = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=F)
    layer, q = ConicLayer(lpgd.Cones(nonneg=2)), learned(COSTS)
    loss = lambda found: (found.s[0] - 1) ** 2  # noqa: E731
    P = torch.eye(2, dtype=F)
    return "slack that no x moves", layer, (P, q, A, b), loss, {"return_duals": True}


def loss_on_a_fixed_sum():
    q = learned(torch.tensor([1.0, 2.0, 3.0], dtype=F))
    sides = {"A": torch.ones(1, 3, dtype=F), "b": torch.ones(1, dtype=F)}
    return "slack that no x moves", QPLayer(), (EYE, q), lambda x: (x.sum() - 3) ** 2, sides


def float32_underflow():
    q = learned(torch.tensor([-1.0, 0.5, 2.0]))
    loss = lambda x: ((x * 1e-30) ** 2).sum()  # noqa: E731
    return "underflow", QPLayer(), (EYE.float(), q), loss, {}


def float32_overflow():
    q = learned(torch.tensor([-1.0, 0.5, 2.0]))
    return "overflow", QPLayer(), (EYE.float(), q), lambda x: torch.exp(100 * x).sum(), {}


def averaged_loss():
    c = learned(COSTS.expand(32, 2))
    loss = lambda x: (x[:, 0] - x[:, 1]).mean()  # noqa: E731
    return "loss averaged over the batch", LPLayer(lpgd.LPGD(0.8)), (c,), loss, SIMPLEX


def averaged_loss_with_targets():
    c = learned(COSTS.expand(32, 2))
    targets = torch.tensor([0.0, 1.0], dtype=F).repeat(32, 1)
    loss = lambda x: ((x - targets) ** 2).sum(1).mean()  # noqa: E731
    return "loss averaged over the batch", LPLayer(lpgd.LPGD(0.4)), (c,), loss, SIMPLEX


def most(costs):
    """A vertex of the simplex: the one that costs most, where the least was asked for."""
    return np.eye(costs.shape[1])[costs.argmax(axis=1)]


def oracle_of_the_wrong_sense():
    costs = learned(torch.tensor([[3.0, 1.0, 2.0], [0.5, 2.0, 1.0]], dtype=F))
    return "oracle of the wrong sense", OracleLayer(most), (costs,), lambda x: x[:, 0].sum(), {}


def vertex_of_a_cvxpy_problem():
    import cvxpy as cp

    x, c = cp.Variable(2), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(c @ x), [cp.sum(x) <= 1, x >= 0])
    layer = CvxpyLayer(problem, [c], [x], rule=lpgd.LPGD(0.1))
    loss = lambda found: first_minus_second(found[0])  # noqa: E731
    return "tau below the breakpoint", layer, (learned(COSTS),), loss, {}


def vertex_of_an_oracle():
    costs = learned(torch.tensor([[3.0, 1.0, 2.0], [0.5, 2.0, 1.0]], dtype=F))
    layer = OracleLayer(lambda c: most(-c), lpgd.LPGD(1e-3))
    return "tau below the breakpoint", layer, (costs,), lambda x: x[0, 1] + x[1, 0], {}


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
