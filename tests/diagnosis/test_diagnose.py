"""``lpgd.diagnose`` names what was planted, and changes nothing of what it looks at."""

import pytest
import torch

import lpgd
from lpgd.torch import LPLayer, QPLayer
from tests.diagnosis import planted
from tests.diagnosis.planted import PLANTED, first_minus_second

F = torch.float64
KIT = planted.Torch()
SIMPLEX = planted.simplex(KIT)
COSTS, EYE = torch.from_numpy(planted.COSTS), torch.from_numpy(planted.EYE)


def learned(values):
    return values.clone().requires_grad_()


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_the_cause_is_named(plant):
    cause, layer, inputs, loss, named, own = plant(KIT)
    found = lpgd.diagnose(layer, *inputs, loss=loss, **named)
    assert found.cause == cause, str(found)
    assert found.gradients.keys() == {own}
    finding = found.findings[0]
    assert len(finding.elements)
    text = str(found)
    assert f"cause: {cause}" in text
    assert " ".join(finding.advice.split()[:2]) in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_healthy_layer_is_called_so():
    q = learned(torch.tensor([[-1.0, 0.5, 2.0], [0.2, -2.0, 3.0]], dtype=F))
    found = lpgd.diagnose(QPLayer(), EYE, q, loss=lambda x: (x**2).sum(), lb=-0.6 * EYE.sum(0))
    assert found.cause == "no fault found"
    assert found.findings == []
    assert "cause: no fault found" in str(found)


def test_breakpoints_of_the_worked_example():
    """Section 7 of the math page: the vertex holds for t in (-inf, 1/2)."""
    found = lpgd.diagnose(LPLayer(), learned(COSTS), loss=first_minus_second, **SIMPLEX)
    upper, lower = found.elements.breakpoints[0]
    assert upper == float("inf")
    assert lower == pytest.approx(0.5, rel=1e-8)
    assert found.elements.vertex.all()
    assert found.sweep is not None
    moved = dict(zip(found.sweep.tau, found.sweep.moved[:, 0], strict=True))
    assert all(gone == (tau > 0.5) for tau, gone in moved.items())


def test_breakpoints_of_oracles_are_found_by_bisection():
    _, layer, inputs, loss, named, _ = planted.vertex_of_an_oracle(KIT)
    found = lpgd.diagnose(layer, *inputs, loss=loss, **named)
    assert found.elements.breakpoints[:, 1] == pytest.approx([1.0, 0.5], rel=0.01)
    assert found.elements.breakpoints[:, 0].tolist() == [float("inf")] * 2


def test_the_gradients_are_those_of_the_layer():
    q = learned(torch.randn(5, 3, dtype=F, generator=torch.Generator().manual_seed(1)))
    layer = QPLayer(lpgd.LPGD(0.3, rho=0.1, side="lower"))
    loss = lambda x: (x**3).sum()  # noqa: E731
    found = lpgd.diagnose(layer, EYE, q, loss=loss, lb=-EYE[0] / 4)
    loss(layer(EYE, q, lb=-EYE[0] / 4)).backward()
    assert found.gradients["q"] == pytest.approx(q.grad.norm().item(), rel=1e-12)
    assert found.elements.gradient == pytest.approx(q.grad.norm(dim=1).numpy(), rel=1e-12)
    assert found.line is not None
    assert found.line.loss[0] == pytest.approx(found.loss)
    assert found.line.loss[1] < found.line.loss[0]
    slope = (found.line.envelope[1] - found.line.envelope[0]) / (
        1e-3 * q.detach().norm() / q.grad.norm()
    )
    assert slope.item() == pytest.approx(-(q.grad.norm() ** 2).item(), rel=0.02)


def test_nothing_of_the_layer_changes():
    layer = LPLayer(lpgd.LPGD(0.1))
    c = learned(COSTS)
    layer(c, **SIMPLEX)
    before = {**vars(layer.stats)}
    lpgd.diagnose(layer, c, loss=first_minus_second, **SIMPLEX)
    assert vars(layer.stats) == before
    assert c.grad is None
    with pytest.warns(lpgd.StuckWarning, match="lpgd.diagnose"):
        layer(c, **SIMPLEX).backward(torch.tensor([1.0, -1.0], dtype=F))


def test_failed_elements_are_told_and_do_not_hide_the_others():
    c = COSTS.repeat(3, 1)
    c[1] = float("nan")
    found = lpgd.diagnose(
        LPLayer(lpgd.LPGD(0.1)),
        learned(c),
        loss=lambda x: first_minus_second(x[[0, 2]]),
        **SIMPLEX,
    )
    names = [finding.name for finding in found.findings]
    assert names == ["not solved", "tau below the breakpoint"]
    assert found.findings[0].elements.tolist() == [1]
    assert found.findings[1].elements.tolist() == [0, 2]


def test_a_loss_that_is_at_its_least_or_blind():
    q = learned(torch.ones(3, dtype=F))
    least = lpgd.diagnose(QPLayer(), EYE, q, loss=lambda x: ((x + 1) ** 2).sum())
    assert least.cause == "loss at its least"
    blind = lpgd.diagnose(QPLayer(), EYE, q, loss=lambda x: x.detach().sum() * 0 + q.sum())
    assert blind.cause == "loss without the layer"


def test_what_is_learned_can_be_said():
    c, h = COSTS.clone(), torch.ones(1, dtype=F)
    given = {**SIMPLEX, "h": h}
    found = lpgd.diagnose(LPLayer(), c, loss=first_minus_second, learned=("c", "h"), **given)
    assert found.gradients.keys() == {"c", "h"}
    c.requires_grad_()
    found = lpgd.diagnose(LPLayer(), c, loss=first_minus_second, learned="lb", **SIMPLEX)
    assert found.gradients.keys() == {"lb"}
    with pytest.raises(ValueError, match="learned must name some of c, G, h, lb, got 'q'"):
        lpgd.diagnose(LPLayer(), c, loss=first_minus_second, learned="q", **SIMPLEX)


def test_a_loss_that_is_written_for_float32_alone():
    """A network behind the layer does not take float64, in which others are looked at."""
    torch.manual_seed(0)
    network, q = torch.nn.Linear(3, 1), learned(torch.tensor([-1.0, 0.5, 2.0]))
    found = lpgd.diagnose(QPLayer(), EYE.float(), q, loss=lambda x: network(x).square().sum())
    assert found.cause == "no fault found"
    assert found.line.loss[1] < found.line.loss[0]


def test_what_is_no_layer_or_no_scalar_is_refused():
    with pytest.raises(TypeError, match=r"one of lpgd\.torch"):
        lpgd.diagnose(torch.nn.Linear(2, 2), COSTS, loss=torch.sum)
    with pytest.raises(lpgd.StructureError, match=r"one entry, got shape \(2,\)"):
        lpgd.diagnose(LPLayer(), COSTS, loss=lambda x: x, **SIMPLEX)


@pytest.mark.parametrize("plant", PLANTED[:6], ids=lambda plant: plant.__name__)
def test_the_figure_has_three_panels(plant):
    pytest.importorskip("matplotlib")
    _, layer, inputs, loss, named, _ = plant(KIT)
    figure = lpgd.diagnose(layer, *inputs, loss=loss, **named).figure()
    assert len(figure.axes) == 3
    figure.canvas.draw()


def _cvxpy():
    cp = pytest.importorskip("cvxpy")
    x, c = cp.Variable(3), cp.Parameter(3, name="prices")
    problem = cp.Problem(cp.Minimize(c @ x + cp.norm(x)), [x >= -1, x <= 1])
    layer = lpgd.torch.CvxpyLayer(problem, [c], [x])
    return layer, (learned(2 * EYE),), lambda found: (found[0] ** 2).sum(), {}


def _sparse():
    entries = torch.eye(3, dtype=F).to_sparse()
    q = learned(torch.tensor([-2.0, 0.3, 1.0], dtype=F))
    return QPLayer(), (entries, q, entries, EYE[0]), lambda x: (x**2).sum(), {}


def _second_order():
    A = torch.cat([torch.zeros(1, 3, dtype=F), -EYE])
    b = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=F)
    q = learned(torch.tensor([[-2.0, 0.3, 1.0], [0.2, 0.1, 0.0]], dtype=F))
    layer = lpgd.torch.ConicLayer(lpgd.Cones(soc=(4,)))
    return layer, (EYE, q, A, b), lambda x: (x[..., 0] - x[..., 1]).sum(), {}


@pytest.mark.parametrize("make", [_cvxpy, _sparse, _second_order])
def test_every_layer_can_be_looked_at(make):
    layer, inputs, loss, named = make()
    found = lpgd.diagnose(layer, *inputs, loss=loss, **named)
    value = loss(layer(*inputs, **named))
    assert found.loss == pytest.approx(value.item())
    (own,) = [g for g in inputs if isinstance(g, torch.Tensor) and g.requires_grad]
    (gradient,) = torch.autograd.grad(value, own)
    label = "prices" if make is _cvxpy else "q"
    assert found.gradients == {label: pytest.approx(gradient.norm().item(), rel=1e-9)}
    assert len(found.elements) == (own.shape[0] if own.ndim > 1 else 1)
    assert str(found)
    if make is _second_order:
        assert found.cause == "no fault found"
        assert found.elements.active.tolist() == [1, 0]


@pytest.mark.parametrize("engine", ["scs", "clarabel"])
def test_a_tau_below_the_noise_of_cone_engines(engine):
    layer, inputs, loss, named = _second_order()
    for tau, cause in ((1e-3, "no fault found"), (1e-16, "tau below the solver's noise")):
        layer = lpgd.torch.ConicLayer(lpgd.Cones(soc=(4,)), lpgd.LPGD(tau), engine=engine)
        assert lpgd.diagnose(layer, *inputs, loss=loss, **named).cause == cause


def test_a_rule_that_samples_is_looked_at_without_its_samples():
    """The diagnosis asks the rule for the gradient, and the problem itself for all else."""
    from tests.map.test_smooth import Perturbed

    q = learned(torch.tensor([[-1.0, 0.5], [1.0, 2.0]], dtype=F))
    layer = QPLayer(Perturbed(count=20))
    found = lpgd.diagnose(layer, torch.eye(2, dtype=F), q, loss=lambda x: (x**2).sum())
    assert found.cause == "no fault found"
    assert found.sweep is None
    assert found.elements.status.tolist() == [0, 0]
