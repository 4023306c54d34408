"""Tilted solves that fail, and the warning where they move nothing."""

import warnings

import pytest
import torch

import lpgd
from lpgd import Status
from lpgd.torch import LPLayer, QPLayer
from tests.torch.programs import known_lp, leaves

nan = float("nan")


def one_sided(rule, **options):
    """Math page, section 2: min x_1 + x_2 over x >= 0; the lower side is unbounded at tau 1.5."""
    c = torch.ones(2, dtype=torch.float64, requires_grad=True)
    layer = LPLayer(rule, **options)
    x = layer(c, lb=torch.zeros(2, dtype=torch.float64))
    x.backward(torch.tensor([-1.0, 0.0], dtype=torch.float64))
    return layer, c.grad


TILTED = (
    "tilted solve at tau {tau}: 1 of 1 elements failed (batch index 0: unbounded). "
    "Try: a smaller tau, rho > 0, fallback=True (with side='average'), or on_failure='nan'."
)
ASK = " lpgd.diagnose(layer, ..., loss=...) looks at each element."


@pytest.mark.parametrize("engine", ["daqp", "highs"])
@pytest.mark.parametrize("side", ["lower", "average"])
class TestUnboundedSide:
    @pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")
    def test_retry(self, engine, side):
        layer, gradient = one_sided(lpgd.LPGD(1.5, side=side), engine=engine)
        assert gradient.tolist() == [0.0, 0.0]
        assert layer.stats.tau == (0.375, 0.375)
        assert layer.stats.retries == 1
        assert layer.stats.re_solves == (2 if side == "lower" else 4)  # both sides at the new tau
        assert layer.stats.failures == 0

    def test_raise(self, engine, side):
        with pytest.raises(lpgd.SolverError) as caught:
            one_sided(lpgd.LPGD(1.5, side=side, retries=0), engine=engine)
        assert str(caught.value) == f"{engine}: {TILTED.format(tau='1.5')}"
        assert caught.value.indices == (0,)
        assert caught.value.statuses == (Status.UNBOUNDED,)

    def test_nan(self, engine, side):
        rule = lpgd.LPGD(1.5, side=side, retries=0)
        with pytest.warns(lpgd.SolverWarning) as caught:
            layer, gradient = one_sided(rule, engine=engine, on_failure="nan")
        assert [str(w.message) for w in caught] == [f"{engine}: {TILTED.format(tau='1.5')}{ASK}"]
        assert gradient.tolist() == [0.0, 0.0]
        assert layer.stats.failures == 1


@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")
def test_fallback_uses_the_side_that_works():
    layer, gradient = one_sided(lpgd.LPGD(1.5, retries=0, fallback=True))
    assert gradient.tolist() == [0.0, 0.0]
    assert (layer.stats.failures, layer.stats.re_solves) == (0, 2)
    with pytest.raises(lpgd.SolverError):  # one side alone has no other to fall back on
        one_sided(lpgd.LPGD(1.5, side="lower", retries=0, fallback=True))


@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")
def test_the_upper_side_is_bounded_and_rho_bounds_the_lower_one():
    layer, gradient = one_sided(lpgd.LPGD(1.5, side="upper"))
    assert (gradient.tolist(), layer.stats.retries) == ([0.0, 0.0], 0)
    layer, gradient = one_sided(lpgd.LPGD(1.5, rho=0.5, side="lower"))
    torch.testing.assert_close(gradient, torch.tensor([2 / 3, 0.0], dtype=torch.float64))
    assert layer.stats.retries == 0


def dual_shift(rule, cotangent, **options):
    """min 1/2 ||x||^2, x_1 + x_2 = 1, 0 <= x <= 0.6: solvable for right-hand sides in [0, 1.2].

    The cotangent of y shifts the right-hand side to 1 - t * cotangent.
    """
    b = torch.ones(3, 1, dtype=torch.float64, requires_grad=True)
    eye, bound = torch.eye(2, dtype=torch.float64), torch.full((2,), 0.6, dtype=torch.float64)
    layer = QPLayer(rule, **options)
    solution = layer(
        eye, 0 * bound, A=torch.ones(1, 2, dtype=torch.float64), b=b, lb=0 * bound, ub=bound,
        return_duals=True,
    )  # fmt: skip
    solution.y.backward(torch.tensor([[0.01], [cotangent], [-0.01]], dtype=torch.float64))
    return layer, b.grad[:, 0]


def test_infeasible_under_a_dual_cotangent_retries_that_element_alone():
    """y* = -b/2, so the true gradient is -cotangent/2; tau 1 asks for b = 3 on the upper side."""
    layer, gradient = dual_shift(lpgd.LPGD(1.0), 2.0)
    want = torch.tensor([-0.005, -1.0, 0.005], dtype=torch.float64)
    torch.testing.assert_close(gradient, want)
    assert layer.stats.tau == (1 / 16, 1.0)
    assert layer.stats.retries == 2
    assert layer.stats.re_solves == 2 + 2 + 2  # the others are within reach


def test_infeasible_under_a_dual_cotangent_falls_back_where_allowed():
    # b = 0.7 on the lower side is feasible, b = 1.3 on the upper side is not
    layer, gradient = dual_shift(lpgd.LPGD(1.0, retries=0, fallback=True), 0.3)
    want = torch.tensor([-0.005, -0.15, 0.005], dtype=torch.float64)
    torch.testing.assert_close(gradient, want)
    assert layer.stats.failures == 0


def test_infeasible_under_a_dual_cotangent_raises():
    message = r"tilted solve at tau [0-9.e-]+: 1 of 3 elements failed \(batch index 1: infeasible\)"
    with pytest.raises(lpgd.SolverError, match=message) as caught:
        dual_shift(lpgd.LPGD(1.0, retries=1), 2.0)
    assert caught.value.indices == (1,)
    assert caught.value.statuses == (Status.INFEASIBLE,)


def test_infeasible_under_a_dual_cotangent_is_zeroed():
    with pytest.warns(lpgd.SolverWarning, match="1 of 3 elements failed") as caught:
        layer, gradient = dual_shift(lpgd.LPGD(1.0, retries=1), 2.0, on_failure="nan")
    assert len(caught) == 1
    want = torch.tensor([-0.005, 0.0, 0.005], dtype=torch.float64)
    torch.testing.assert_close(gradient, want)
    assert layer.stats.failures == 1


def stuck_lp(*needs, size=3):
    """Costs (1, 2) over x >= 0: a cotangent of size one moves nothing at tau 0.1."""
    data = {
        "c": torch.tensor([1.0, 2.0], dtype=torch.float64).repeat(size, 1),
        "lb": torch.zeros(size, 2, dtype=torch.float64),
        "ub": torch.ones(size, 2, dtype=torch.float64),
    }
    return {name: value.requires_grad_(name in needs) for name, value in data.items()}


def warned(function):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [w.category for w in caught]


@pytest.mark.parametrize("side", ["lower", "upper", "average"])
@pytest.mark.parametrize("engine", ["daqp", "highs"])
def test_the_stuck_warning_comes_once_per_layer(side, engine):
    layer = LPLayer(lpgd.LPGD(0.1, side=side), engine)
    with pytest.warns(lpgd.StuckWarning, match="no element moved under its tilt.*larger tau"):
        layer(**stuck_lp("c")).sum().backward()
    assert warned(lambda: layer(**stuck_lp("c")).sum().backward()) == []
    other = LPLayer(lpgd.LPGD(0.1, side=side), engine)
    assert warned(lambda: other(**stuck_lp("c")).sum().backward()) == [lpgd.StuckWarning]


def test_the_stuck_warning_comes_for_a_QP_at_a_vertex_too():
    lp = stuck_lp("c")
    layer = QPLayer(lpgd.LPGD(0.1))
    P = 0.01 * torch.eye(2, dtype=torch.float64)
    pushed = warned(lambda: layer(P, lp["c"], lb=lp["lb"], ub=lp["ub"]).sum().backward())
    assert pushed == [lpgd.StuckWarning]


def backward_of(layer, cotangent=1.0, needs="c", **changes):
    x = layer(**(stuck_lp(*needs.split()) | changes))
    x.backward(torch.full_like(x, cotangent) if isinstance(cotangent, float) else cotangent)


def some(row):
    cotangent = torch.zeros(3, 2, dtype=torch.float64)
    cotangent[row] = 1.0
    return cotangent


@pytest.mark.parametrize(
    "rule, case",
    [
        (lpgd.LPGD(0.1), {"cotangent": 0.0}),
        (lpgd.LPGD(0.1), {"needs": "lb ub"}),  # nobody asks for the gradient of the costs
        (lpgd.Exact(), {}),
        (lpgd.LPGD(5.0, side="upper"), {}),  # everything moved
        (lpgd.LPGD(1.5, side="upper"), {}),  # one variable of each element moved
        (lpgd.LPGD(0.1, rho=0.5), {"c": torch.zeros(3, 2, dtype=torch.float64)}),
        (lpgd.LPGD(0.1), {"cotangent": nan}),
    ],
    ids=["zero cotangent", "no cost", "Exact", "moved", "partly moved", "rho moves", "NaN"],
)
def test_no_stuck_warning(rule, case):
    case = dict(case)
    if "c" in case:
        case["c"].requires_grad_()
    assert warned(lambda: backward_of(LPLayer(rule), **case)) == []


def test_one_element_that_moves_is_enough():
    c = stuck_lp()["c"]
    c[2] = 0.01
    layer = LPLayer(lpgd.LPGD(0.1, side="upper"))
    assert warned(lambda: backward_of(layer, c=c.clone().requires_grad_())) == []
    # but it has to be one that was pushed
    pushed = warned(lambda: backward_of(layer, some(0), c=c.clone().requires_grad_()))
    assert pushed == [lpgd.StuckWarning]


def test_no_stuck_warning_for_dual_cotangents_alone():
    data, _ = known_lp(3)
    data = leaves(data)
    layer = LPLayer(lpgd.LPGD(1e-3))
    solution = layer(**data, return_duals=True)
    assert warned(lambda: (solution.z.sum() + solution.y.sum()).backward()) == []
    assert layer.stats.re_solves == 0


def test_no_stuck_warning_where_a_tilted_solve_failed():
    rule = lpgd.LPGD(1.5, side="lower", retries=0)
    assert warned(lambda: one_sided(rule, on_failure="nan")) == [lpgd.SolverWarning]
