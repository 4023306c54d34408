"""Losses as modules, beyond the formulas of ``tests/special_cases.py``."""

import copy

import numpy as np
import pytest
import torch

import lpgd
import lpgd.losses
from lpgd import rules
from lpgd.losses.cone import mean_normal, projected
from lpgd.losses.envelope import gradient
from lpgd.torch import OracleLayer, losses
from tests.oracles import top
from tests.special_cases import SET, D, Data, best

T = torch.float64
DATA = Data(3)
C, CT, XT, SLOPE = (torch.tensor(part) for part in (DATA.c, DATA.ct, DATA.xt, DATA.slope))
POOL = torch.tensor(SET[::2])
SOLVING = {  # made from a solver; called with these beside the costs
    "SPOPlus": (losses.SPOPlus, (CT, XT)),
    "PerturbationGradient": (losses.PerturbationGradient, (CT,)),
    "Imitation": (losses.Imitation, (XT, SLOPE)),
    "StructuredHinge": (losses.StructuredHinge, (XT,)),
    "FenchelYoung": (losses.FenchelYoung, (XT,)),
    "PerturbedFenchelYoung": (losses.PerturbedFenchelYoung, (XT,)),
}


def worst(costs):
    """Maximisers."""
    return best(-costs)


@pytest.mark.parametrize("name", SOLVING)
def test_a_layer_that_maximises_is_one_that_minimises_minus_the_costs(name):
    made, given = SOLVING[name]
    signed = [-part if part is CT else part for part in given]
    if name == "PerturbedFenchelYoung":  # noise is drawn for what is minimised
        signed = given
    down = made(best)(C, *given)
    up = made(OracleLayer(worst, sense="max"))(-C, *signed)
    torch.testing.assert_close(up, down, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SOLVING)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_batches_reduce_and_have_any_dimensions(name, reduction):
    made, given = SOLVING[name]
    flat = made(best, reduction="none")(C, *given)
    deep = [part.reshape(4, 10, D) for part in (C, *given)]
    found = made(best, reduction=reduction)(*deep)
    if reduction == "none":
        assert found.shape == (4, 10)
        torch.testing.assert_close(found.reshape(-1), flat, rtol=1e-12, atol=1e-12)
    else:
        torch.testing.assert_close(found, getattr(flat, reduction)(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SOLVING)
def test_the_dtype_is_that_of_the_costs(name):
    made, given = SOLVING[name]
    c = C.float().requires_grad_()
    loss = made(best)(c, *[part.float() for part in given])
    loss.backward()
    assert loss.dtype == c.grad.dtype == torch.float32


@pytest.mark.parametrize("name", SOLVING)
def test_costs_may_have_any_shape(name):
    made, given = SOLVING[name]
    square = OracleLayer(lambda c: best(c.reshape(-1, D)).reshape(c.shape), shape=(2, 3))
    found = made(square, reduction="none")(*[part.reshape(-1, 2, 3) for part in (C, *given)])
    torch.testing.assert_close(found, made(best, reduction="none")(C, *given))


def test_instances_are_handed_on():
    counts = [k % D for k in range(len(C))]
    target = torch.tensor(top(DATA.ct, counts))
    loss = losses.SPOPlus(top)(C, CT, target, counts)
    pair = losses.PerturbationGradient(top, side="average")(C, CT, counts)
    assert loss >= 0
    assert pair.isfinite()


def test_losses_of_a_target_vanish_where_it_is_best():
    for made in (losses.SPOPlus(best), losses.FenchelYoung(best)):
        given = (CT, XT) if isinstance(made, losses.SPOPlus) else (XT,)
        assert made(CT, *given).abs() < 1e-12


def test_a_score_is_the_perturbed_optimiser_where_the_loss_is_linear():
    c = C.clone().requires_grad_()
    loss = losses.ScoreFunction(best, lambda x, g: (x * g[:, None]).sum(-1), 0.5, 20, seed=1)
    value = loss(c, SLOPE)
    (found,) = torch.autograd.grad(value, c)

    class Same:
        def begin(self):
            return {}

        def draw(self, shape, memory):
            draw = torch.Generator().manual_seed(1)
            return torch.randn(shape, generator=draw, dtype=T).numpy()

    x = OracleLayer(best, rules.Perturbed(0.5, 20, Same()))(c)
    expected = (x * SLOPE).sum(-1).mean()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(found, torch.autograd.grad(expected, c)[0])


@pytest.mark.parametrize("side", ["lower", "upper", "average"])
def test_the_gradient_of_an_envelope_is_that_of_autodiff(side):
    c = C.clone().requires_grad_()

    def solve(*costs):
        return [torch.tensor(best(part.detach().numpy())) for part in costs]

    given = SLOPE, solve, 0.7, side
    (expected,) = torch.autograd.grad(lpgd.losses.envelope(c, *given).sum(), c)
    torch.testing.assert_close(gradient(C, *given), expected, rtol=1e-12, atol=1e-12)


def test_any_loss_has_a_score():
    """E sign(z - t) of z = c + noise has the gradient of a normal distribution function."""
    c = torch.zeros(1, 1, dtype=T, requires_grad=True)

    def itself(costs):
        return costs

    loss = losses.ScoreFunction(itself, lambda x: (x[..., 0] > 0.3).double(), 1.0, 200_000)
    (found,) = torch.autograd.grad(loss(c), c)
    assert float(found) == pytest.approx(np.exp(-0.045) / np.sqrt(2 * np.pi), abs=0.01)


def test_noise_goes_on_from_a_state_or_a_copy():
    loss = losses.PerturbedFenchelYoung(best, seed=4)
    loss(C, XT)
    other, twin = losses.PerturbedFenchelYoung(best), copy.deepcopy(loss)
    other.load_state_dict(loss.state_dict())
    again = loss(C, XT)
    assert torch.equal(again, other(C, XT))
    assert torch.equal(again, twin(C, XT))


def test_a_cone_is_projected_on_exactly_or_in_a_few_steps():
    rng = np.random.default_rng(0)
    directions, normals = rng.normal(size=(6, 4)), rng.normal(size=(6, 5, 4))
    normals[:, 3:] = 0
    exact = projected(directions, normals, None)
    apart = directions - exact
    assert (np.einsum("bmd,bd->bm", normals, apart) < 1e-9).all()  # in the polar cone
    np.testing.assert_allclose((apart * exact).sum(axis=1), 0, atol=1e-9)
    pytest.importorskip("clarabel")
    np.testing.assert_allclose(projected(directions, normals, 50), exact, atol=1e-6)
    few = projected(directions, normals, 2)
    assert np.abs(few - exact).max() > 1e-4
    np.testing.assert_array_equal(projected(directions, 0 * normals, None), directions)
    unit = normals[:, :3] / np.linalg.norm(normals[:, :3], axis=2, keepdims=True)
    np.testing.assert_allclose(mean_normal(normals), unit.mean(axis=1))


def test_cave_is_zero_within_the_cone():
    normals = torch.eye(3, dtype=T).expand(2, 3, 3)
    c = -torch.tensor([[1.0, 2.0, 3.0], [1.0, -2.0, 3.0]], dtype=T)
    loss = losses.CaVE(reduction="none")(c, normals)
    assert loss[0].abs() < 1e-12
    assert loss[1] > 0.1
    turned = losses.CaVE("max", reduction="none")(-c, normals)
    torch.testing.assert_close(turned, loss)


@pytest.mark.parametrize("kind", ["pointwise", "pairwise", "listwise"])
def test_learning_to_rank_is_best_at_the_truth(kind):
    loss = losses.LearningToRank(POOL, kind)
    c = CT.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(c, CT), c)
    assert slope.abs().max() < 1e-7
    assert loss(C, CT) > loss(CT, CT)
    turned = losses.LearningToRank(POOL, kind, "max")(-C, -CT)
    torch.testing.assert_close(turned, loss(C, CT))


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: losses.SPOPlus(best, "median"), "reduction must be"),
        (lambda: losses.PerturbationGradient(best, 0.0), "tau must be"),
        (lambda: losses.StructuredHinge(best, -1.0), "tau must be"),
        (lambda: losses.FenchelYoung(OracleLayer(best), 1.0), "must have the rule"),
        (lambda: losses.PerturbedFenchelYoung(best, 0.0), "sigma must be"),
        (lambda: losses.ScoreFunction(best, sum, samples=0), "samples must be"),
        (lambda: losses.LearningToRank(POOL, "setwise"), "kind must be"),
        (lambda: losses.NoiseContrastive(POOL[0]), "pool must have shape"),
        (lambda: losses.ContrastiveMAP(POOL, "up"), "sense must be"),
        (lambda: losses.CaVE("up"), "sense must be"),
        (lambda: losses.CaVE(iterations=0), "iterations must be"),
        (lambda: losses.CaVE(np.ones(2)), "sense must be one of"),
        (lambda: losses.FenchelYoung(best, None), "weight must be"),
        (lambda: losses.FenchelYoung(best, -1.0), "weight must be"),
        (lambda: losses.PerturbedFenchelYoung(best, seed=-1), "seed must be"),
        (lambda: losses.PerturbedFenchelYoung(best, multiplicative="no"), "multiplicative must be"),
        (lambda: losses.ScoreFunction(best, sum, baseline=1), "baseline must be"),
        (lambda: losses.NoiseContrastive("no"), "pool must be numbers"),
        (lambda: losses.NoiseContrastive({}), "pool must be numbers"),
    ],
)
def test_wrong_options_are_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()


POOLED = {
    "NoiseContrastive": (losses.NoiseContrastive, (XT,)),
    "ContrastiveMAP": (losses.ContrastiveMAP, (XT,)),
    "LearningToRank": (losses.LearningToRank, (CT,)),
}


@pytest.mark.parametrize("name", [*SOLVING, *POOLED])
def test_what_does_not_fit_is_refused_by_name(name):
    made, given = (SOLVING | POOLED)[name]
    loss = made(best if name in SOLVING else POOL)
    for place in range(1 + len(given)):
        wrong = [C, *given]
        for value in (None, 1.0, "no", wrong[place].tolist(), wrong[place].numpy()):
            wrong[place] = value
            with pytest.raises(lpgd.StructureError, match=r"must be a torch.Tensor, got"):
                loss(*wrong)
        wrong[place] = C[:3]
        with pytest.raises(lpgd.StructureError, match=r"dimensions do not broadcast: .*\(3,"):
            loss(*wrong)


@pytest.mark.parametrize("name", SOLVING)
def test_batch_dimensions_broadcast(name):
    made, given = SOLVING[name]
    loss, costs = made(best, reduction="none"), C[:1].expand(len(C), D)
    whole = made(best, reduction="none")(costs, *given)
    if name != "PerturbedFenchelYoung":  # its noise has the shape of the costs
        torch.testing.assert_close(loss(C[0], *given), whole)
