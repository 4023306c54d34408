"""Gradients against finite differences of the layer, and the worked examples of the method."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lpgd
from lpgd.torch import DualSolution, LPLayer, QPLayer
from tests.torch.programs import cotangents, differences, inf, known_lp, known_qp, leaves

seeds = st.integers(0, 2**31)
rules = pytest.mark.parametrize("rule", [lpgd.LPGD(1e-5), lpgd.Exact()], ids=["LPGD", "Exact"])


def close(got, want, scale):
    return (got - want).abs().max() <= 1e-5 * scale


@rules
@given(seed=seeds)
def test_gradients_of_all_qp_data_match_finite_differences(rule, seed):
    data, _ = known_qp(seed)
    layer, data = QPLayer(rule), leaves(data)
    solution = layer(**data, return_duals=True)
    weights = cotangents(seed, solution)
    gradients = torch.autograd.grad(solution, list(data.values()), weights)
    expected = {name: differences(layer, data, name, weights) for name in data}
    scale = max(e.abs().max() for e in expected.values())
    for name, gradient in zip(data, gradients, strict=True):
        assert close(gradient, expected[name], scale), name


@rules
@pytest.mark.parametrize("output", range(4), ids=DualSolution._fields)
def test_gradients_of_one_output_alone(rule, output):
    data, _ = known_qp(7)
    layer, data = QPLayer(rule), leaves(data)
    solution = layer(**data, return_duals=True)
    weights = [w * (k == output) for k, w in enumerate(cotangents(1, solution))]
    gradients = torch.autograd.grad(solution[output], list(data.values()), weights[output])
    for name, gradient in zip(data, gradients, strict=True):
        expected = differences(layer, data, name, weights)
        assert close(gradient, expected, 1 + expected.abs().max()), name


@rules
@pytest.mark.parametrize("engine", ["daqp", "highs"])
@given(seed=seeds)
def test_gradients_of_all_lp_data_match_finite_differences(rule, engine, seed):
    data, known = known_lp(seed)
    layer, data = LPLayer(rule, engine), leaves(data)
    solution = layer(**data, return_duals=True)
    for got, want in zip(solution, known, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-7)
    weights = cotangents(seed, solution)
    gradients = torch.autograd.grad(solution, list(data.values()), weights)
    expected = {name: differences(layer, data, name, weights) for name in data}
    scale = max(e.abs().max() for e in expected.values())
    for name, gradient in zip(data, gradients, strict=True):
        assert close(gradient, expected[name], scale), name


@given(seed=seeds)
def test_solution_and_signs_of_the_multipliers(seed):
    data, known = known_qp(seed)
    solution = QPLayer(lpgd.Exact())(**data, return_duals=True)
    for got, want in zip(solution, known, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-8)


def test_gradient_of_P_is_symmetric_and_infinite_bounds_get_none():
    data, _ = known_qp(3)
    data = leaves(data)
    QPLayer(lpgd.LPGD(0.1))(**data).square().sum().backward()
    torch.testing.assert_close(data["P"].grad, data["P"].grad.T, rtol=1e-12, atol=1e-15)
    assert data["P"].grad.abs().max() > 1e-3
    assert data["lb"].grad[2] == 0
    assert data["ub"].grad[3] == 0
    assert data["lb"].grad[0] != 0
    assert data["ub"].grad[1] != 0


# Worked examples: rule -> gradients of (c, G, h, lb) with the cotangent (1, -1).
LP_EXAMPLES = {
    lpgd.LPGD(2.0, side="lower"): ([-0.5, 0.5], [-1.5, 2.0], -0.5, [1.5, -0.5]),
    lpgd.LPGD(2.0, side="upper"): ([0.0, 0.0], [-1.0, 0.0], 1.0, [0.0, -2.0]),
    lpgd.LPGD(2.0): ([-0.25, 0.25], [-1.25, 1.0], 0.25, [0.75, -1.25]),
    lpgd.LPGD(2.0, 4.0, "lower"): ([-3 / 16, 3 / 16], [-23 / 32, 15 / 32], 0.25, [0.0, -0.5]),
    lpgd.LPGD(0.25, side="lower"): ([0.0, 0.0], [-1.0, 0.0], 1.0, [0.0, -2.0]),
    lpgd.LPGD(0.25, side="upper"): ([0.0, 0.0], [-1.0, 0.0], 1.0, [0.0, -2.0]),
    lpgd.LPGD(0.25): ([0.0, 0.0], [-1.0, 0.0], 1.0, [0.0, -2.0]),
    lpgd.Exact(): ([0.0, 0.0], [-1.0, 0.0], 1.0, [0.0, -2.0]),
}


@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")
@pytest.mark.parametrize(
    "rule, engine",
    [(rule, "daqp") for rule in LP_EXAMPLES]
    + [(rule, "highs") for rule in LP_EXAMPLES if not rule.rho],
    ids=str,
)
def test_worked_lp(rule, engine):
    data = leaves(
        {
            "c": torch.tensor([-3.0, -2.0], dtype=torch.float64),
            "G": torch.ones(1, 2, dtype=torch.float64),
            "h": torch.ones(1, dtype=torch.float64),
            "lb": torch.zeros(2, dtype=torch.float64),
        }
    )
    x, y, z, z_box = LPLayer(rule, engine)(**data, return_duals=True)
    for got, want in ((x, [1, 0]), (y, []), (z, [3]), (z_box, [0, -1])):
        torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float64))
    x.backward(torch.tensor([1.0, -1.0], dtype=torch.float64))
    dc, dG, dh, dl = LP_EXAMPLES[rule]
    for name, want in {"c": dc, "G": [dG], "h": [dh], "lb": dl}.items():
        expected = torch.tensor(want, dtype=torch.float64)
        torch.testing.assert_close(data[name].grad, expected, rtol=0, atol=1e-9, msg=name)


# rule -> gradients (q, b, A, upper triangle 11, 12, 22 of P, lb_3) with the cotangent (2, -1, 1).
QP_EXAMPLES = {
    lpgd.LPGD(0.5, 0.0, "lower"): ([-1, 1, 0], 1, [-0.5, -3.5, 0], [-2.75, 0.75, 1.25], 0),
    lpgd.LPGD(0.5, 0.0, "upper"): ([-1, 1, 0], 1, [-1.5, -2.5, 0], [-3.25, 1.25, 0.75], 0),
    lpgd.LPGD(0.5): ([-1, 1, 0], 1, [-1, -3, 0], [-3, 1, 1], 0),
    lpgd.LPGD(4.0): ([-1, 1, 0], 1, [-1, -3, 0], [-3, 1, 1], 0),
    lpgd.Exact(): ([-1, 1, 0], 1, [-1, -3, 0], [-3, 1, 1], 0),
    lpgd.LPGD(0.5, 1.0, "lower"): (
        [-0.6, 0.6, 0], 0.8, [-0.96, -2.24, 0], [-1.71, 0.51, 0.69], 0.2,
    ),
    lpgd.LPGD(0.5, 1.0, "upper"): (
        [-0.6, 0.6, 0], 0.8, [-1.44, -1.76, 0], [-1.89, 0.69, 0.51], 0.2,
    ),
    lpgd.LPGD(0.5, 1.0): ([-0.6, 0.6, 0], 0.8, [-1.2, -2, 0], [-1.8, 0.6, 0.6], 0.2),
}  # fmt: skip


def worked_qp():
    return leaves(
        {
            "P": torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)),
            "q": torch.tensor([-1.0, 0.0, 3.0], dtype=torch.float64),
            "A": torch.ones(1, 3, dtype=torch.float64),
            "b": torch.tensor([4.0], dtype=torch.float64),
            "lb": torch.tensor([-inf, -inf, 0.0], dtype=torch.float64),
        }
    )


def check_worked_qp(data, dq, db, dA, dP, dl):
    p11, p12, p22 = dP
    wanted = {
        "q": dq, "b": [db], "A": [dA], "lb": [0, 0, dl],
        "P": [[p11, p12, 0], [p12, p22, 0], [0, 0, 0]],
    }  # fmt: skip
    for name, want in wanted.items():
        expected = torch.tensor(want, dtype=torch.float64)
        torch.testing.assert_close(data[name].grad, expected, rtol=0, atol=1e-9, msg=name)


@pytest.mark.parametrize("rule", QP_EXAMPLES, ids=str)
def test_worked_qp(rule):
    data = worked_qp()
    x, y, z, z_box = QPLayer(rule)(**data, return_duals=True)
    for got, want in ((x, [3, 1, 0]), (y, [-2]), (z, []), (z_box, [0, 0, -1])):
        torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float64))
    x.backward(torch.tensor([2.0, -1.0, 1.0], dtype=torch.float64))
    check_worked_qp(data, *QP_EXAMPLES[rule])


def test_worked_qp_with_a_dual_cotangent():
    data = worked_qp()
    solution = QPLayer(lpgd.LPGD(0.5))(**data, return_duals=True)
    loss = solution.x @ torch.tensor([2.0, -1.0, 1.0], dtype=torch.float64) + 0.5 * solution.y[0]
    loss.backward()
    wanted = {"q": [-4 / 3, 5 / 6, 0], "b": [2 / 3], "A": [[2 / 3, -7 / 3, 0]], "lb": [0, 0, 1 / 3]}
    for name, want in wanted.items():
        expected = torch.tensor(want, dtype=torch.float64)
        torch.testing.assert_close(data[name].grad, expected, rtol=0, atol=1e-9, msg=name)
