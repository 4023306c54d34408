"""Rules under the names of earlier methods, beyond the formulas of ``tests/special_cases.py``."""

import warnings

import numpy as np
import pytest
import torch

import lpgd
from lpgd import rules
from lpgd.oracles import TopK
from lpgd.torch import LPLayer, OracleLayer, QPLayer
from tests.special_cases import SET, D, Data, Frozen, K, best

T = torch.float64
RULES = [
    rules.blackbox(2.0),
    rules.direct_loss(0.7, "worse"),
    rules.Identity("both"),
    rules.Perturbed(0.5, 8, Frozen()),
    rules.IMLE(2.0, 0.5, 8, Frozen()),
    rules.AdaptiveIMLE(0.5, 8, Frozen()),
    rules.FrankWolfe(0.8),
]
CURVED = [rule for rule in RULES if not isinstance(rule, lpgd.LPGD)]
pytestmark = pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")


def hull(c):
    """The set of ``best`` as the bounds and the row of an LP."""
    one = torch.ones(D, dtype=T)
    return {
        "c": c,
        "A": one[None],
        "b": torch.tensor([float(K)], dtype=T),
        "lb": 0 * one,
        "ub": one,
    }


def gradient(x, c, dx):
    (found,) = torch.autograd.grad(x, c, torch.tensor(dx))
    return found.numpy()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_rules_are_the_same_on_an_lp_over_the_hull(rule):
    data = Data(4)
    c = torch.tensor(data.c, requires_grad=True)
    oracle, lp = OracleLayer(best, rule)(c), LPLayer(rule)(**hull(c))
    np.testing.assert_allclose(lp.detach(), oracle.detach(), atol=1e-9)
    np.testing.assert_allclose(gradient(lp, c, data.dx), gradient(oracle, c, data.dx), atol=1e-8)


def test_rows_of_an_lp_get_a_gradient_of_noise_averaged_lpgd():
    data, rule = Data(4), rules.IMLE(2.0, 0.5, 8, Frozen())
    given = hull(torch.tensor(data.c))
    given["A"].requires_grad_()
    (found,) = torch.autograd.grad(LPLayer(rule)(**given), given["A"], torch.tensor(data.dx))
    noisy = torch.tensor(data.c)[:, None] + 0.5 * torch.tensor(
        Frozen().draw((len(data.c), 8, D), {})
    )
    x = LPLayer(rules.blackbox(16.0))(**{**given, "c": noisy})  # an eighth of the cotangent each
    cotangent = torch.tensor(data.dx)[:, None].expand_as(x) / 8
    (expected,) = torch.autograd.grad(x, given["A"], cotangent)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("rule", CURVED, ids=lambda rule: type(rule).__name__)
def test_curved_objectives_are_refused_before_the_first_solve(rule):
    with pytest.raises(lpgd.EngineError, match="a rule for linear costs"):
        QPLayer(rule)(torch.eye(2), torch.ones(2))


@pytest.mark.parametrize("project, row", [("none", 0), ("plane", 1)])
@pytest.mark.parametrize("tau, side", [(0.3, "lower"), (40.0, "average")])
def test_the_identity_is_lpgd_of_the_relaxed_set(project, row, tau, side):
    data = Data(1)
    c, dx = torch.tensor(data.c, requires_grad=True), data.dx
    rows = {"A": torch.ones(1, D, dtype=T), "b": torch.tensor([float(K)], dtype=T)} if row else {}
    relaxed = QPLayer(lpgd.LPGD(tau, side=side))(torch.eye(D, dtype=T), c, **rows)
    found = OracleLayer(best, rules.Identity(project))(c)
    np.testing.assert_allclose(gradient(found, c, dx), gradient(relaxed, c, dx), atol=1e-9)


def test_costs_without_a_direction_have_no_projection():
    c = torch.zeros(2, D, dtype=T, requires_grad=True)
    layer = OracleLayer(best, rules.Identity("sphere"))
    with pytest.raises(lpgd.SolverError, match="2 of 2"):
        layer(c).sum().backward()
    layer = OracleLayer(best, rules.Identity("sphere"), on_failure="nan")
    with pytest.warns(lpgd.SolverWarning, match="2 of 2"):
        layer(c).sum().backward()
    assert not c.grad.any()


@pytest.mark.parametrize("weight", [0.05, 0.8, 30.0])
def test_frank_wolfe_solves_the_regularised_problem(weight):
    data = Data(2)
    c = torch.tensor(data.c, requires_grad=True)
    x = OracleLayer(best, rules.FrankWolfe(weight))(c)
    given = hull(c)
    q = given.pop("c")
    y = QPLayer(lpgd.Exact())(weight * torch.eye(D, dtype=T), q, **given)
    np.testing.assert_allclose(x.detach(), y.detach(), atol=1e-9)
    pulled = (gradient(out, c, data.dx) * weight for out in (x, y))
    np.testing.assert_allclose(*pulled, atol=1e-7)


def test_frank_wolfe_needs_few_solves_and_can_stop_early():
    sizes, data = [], Data(2)

    def counted(costs):
        sizes.append(len(costs))
        return best(costs)

    c = torch.tensor(data.c)
    OracleLayer(counted, rules.FrankWolfe())(c)
    assert len(sizes) < 20
    x = OracleLayer(best, rules.FrankWolfe(iterations=1))(c)
    rows = np.linalg.norm(x.detach().numpy()[:, None] - SET, axis=2).min(axis=1)
    assert (rows > 1e-9).any()  # on an edge at most, and no vertex
    assert torch.allclose(x.sum(-1), torch.tensor(float(K), dtype=T))


def test_an_element_without_a_solution_costs_itself_alone():
    def faulty(costs):
        x = best(costs)
        x[costs[:, 0] > 90] = np.nan
        return x

    c = torch.tensor(Data().c[:3])
    whole = OracleLayer(best, rules.FrankWolfe())(c)
    c[1, 0] = 100.0
    with pytest.warns(lpgd.SolverWarning, match="1 of 3"):
        x = OracleLayer(faulty, rules.FrankWolfe(), on_failure="nan")(c)
    assert x[1].isnan().all()
    assert torch.equal(x[::2], whole[::2])


def test_noise_goes_on_from_where_a_state_was_saved():
    c = torch.tensor(Data().c)
    rule = rules.Perturbed(1.0, 5, rules.Gaussian(3))
    first, second = OracleLayer(best, rule), OracleLayer(best, rule)
    once = first(c)
    second.load_state_dict(first.state_dict())
    again = first(c)
    assert not torch.equal(once, again)
    assert torch.equal(again, second(c))


def test_the_step_of_adaptive_imle_is_part_of_the_state():
    data, rule = Data(), rules.AdaptiveIMLE(0.5, 8, rules.SumOfGamma(seed=1))
    layer = OracleLayer(best, rule)
    c = torch.tensor(data.c, requires_grad=True)
    for _ in range(3):
        layer(c).backward(torch.tensor(data.dx))
    state = layer.state_dict()
    assert state["rule.alpha"].item() == pytest.approx(1.003)
    assert 0 < state["rule.share"].item() < 1
    other = OracleLayer(best, rule)
    other.load_state_dict(state)
    pulled = [torch.autograd.grad(made(c), c, torch.tensor(data.dx))[0] for made in (layer, other)]
    assert torch.equal(*pulled)


def test_known_costs_keep_their_values():
    seen = []

    def oracle(costs):
        seen.append(costs.copy())
        return best(costs)

    c = torch.tensor(Data().c)
    for rule in (
        rules.Perturbed(1.0, 5, fixed=(1, 4)),
        rules.Perturbed(1.0, 5, multiplicative=True, fixed=(1, 4)),
        rules.IMLE(samples=5, fixed=(1, 4)),
    ):
        OracleLayer(oracle, rule)(c)
        noise = seen.pop().reshape(len(c), 5, D) - c[:, None].numpy()
        assert not noise[..., [1, 4]].any()
        assert (noise[..., [0, 2, 3, 5]] != 0).all()


def test_sums_of_gammas_have_the_mean_and_spread_of_gumbels():
    memory = rules.SumOfGamma(kappa=1.0, terms=200).begin()
    drawn = rules.SumOfGamma(kappa=1.0, terms=200).draw((200_000,), memory)
    assert drawn.mean() == pytest.approx(0.5772, abs=0.01)
    assert drawn.var() == pytest.approx(np.pi**2 / 6, abs=0.03)


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: rules.blackbox(0), "tau must be"),
        (lambda: rules.direct_loss(1, "up"), "towards must be"),
        (lambda: rules.Identity("cube"), "project must be"),
        (lambda: rules.Perturbed(0), "sigma must be"),
        (lambda: rules.Perturbed(samples=0), "samples must be"),
        (lambda: rules.Perturbed(multiplicative="no"), "multiplicative must be True or False"),
        (lambda: rules.Perturbed(variance_reduction=1), "variance_reduction must be True or False"),
        (lambda: rules.IMLE(side="left"), "side must be"),
        (lambda: rules.AdaptiveIMLE(step=-1), "step must be"),
        (lambda: rules.FrankWolfe(0), "weight must be"),
        (lambda: rules.FrankWolfe(iterations=0), "iterations must be"),
        (lambda: rules.FrankWolfe(tol=-1), "tol must be"),
        (lambda: rules.Gaussian(-1), "seed must be"),
        (lambda: rules.SumOfGamma(0), "kappa must be"),
        (lambda: rules.SumOfGamma(terms=0), "terms must be"),
    ],
)
def test_wrong_options_are_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()


@pytest.mark.parametrize("rule", [
    rules.Perturbed(), rules.Perturbed(multiplicative=True), rules.IMLE(),
    rules.IMLE(side="average"),
])  # fmt: skip
def test_an_unfit_neighbour_changes_no_noise(rule):
    draw = torch.Generator().manual_seed(0)
    costs, dx = (torch.rand(3, 5, dtype=torch.float64, generator=draw) for _ in range(2))
    found = []
    for bad in (False, True):
        c = costs.clone()
        if bad:
            c[1, 2] = torch.nan
        c.requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", lpgd.SolverWarning)
            x = OracleLayer(TopK(2), rule, on_failure="nan")(c)
        (gradient,) = torch.autograd.grad(x, c, dx)
        found.append((x.detach(), gradient))
    (x, gradient), (other, beside) = found
    assert torch.equal(other[[0, 2]], x[[0, 2]])
    assert torch.equal(beside[[0, 2]], gradient[[0, 2]])
    assert other[1].isnan().all()
    assert not beside[1].any()


@pytest.mark.parametrize("options, named", [
    ({"noise": 3}, "noise must be like"), ({"noise": "gaussian"}, "noise"),
    ({"noise": rules.Gaussian}, "noise"), ({"fixed": (-1,)}, "fixed"), ({"fixed": (0.5,)}, "fixed"),
    ({"fixed": None}, "fixed must hold places"), ({"fixed": 3}, "fixed must hold places"),
])  # fmt: skip
@pytest.mark.parametrize("made", [rules.Perturbed, rules.IMLE, rules.AdaptiveIMLE])
def test_noise_and_fixed_places_are_checked(made, options, named):
    with pytest.raises(ValueError, match=named):
        made(**options)


def test_a_fixed_place_has_a_cost():
    layer = OracleLayer(TopK(1), rules.Perturbed(fixed=(7,)))
    with pytest.raises(lpgd.StructureError, match="names more than the 4 costs"):
        layer(torch.rand(2, 4))
