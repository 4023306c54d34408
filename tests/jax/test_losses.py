"""Losses in JAX: PyTorch's numbers, and those of formulas by hand."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")

import jax.numpy as jnp  # noqa: E402

import lpgd  # noqa: E402
from lpgd.jax import losses  # noqa: E402
from lpgd.oracles import GridPath, TopK  # noqa: E402
from lpgd.torch import OracleLayer  # noqa: E402
from lpgd.torch import losses as theirs  # noqa: E402

SENSES = ("min", "max")
POOL = np.eye(5)[[0, 2, 3]] + np.eye(5)[[1, 4, 0]]
SOLVED = {  # function, what it takes beside costs, PyTorch's module
    "spo_plus": (("truth", "target"), theirs.SPOPlus, {}),
    "perturbation_gradient": (("truth",), theirs.PerturbationGradient, {"tau": 0.3}),
    "imitation": (("target", "truth"), theirs.Imitation, {"tau": 0.7}),
    "structured_hinge": (("target",), theirs.StructuredHinge, {"tau": 2.0}),
    "fenchel_young": (("target",), theirs.FenchelYoung, {}),
}


def data():
    rng = np.random.default_rng(0)
    costs, truth = rng.normal(size=(2, 4, 5))
    return costs, {"truth": truth, "target": TopK(2)(truth)}


@pytest.mark.parametrize("sense", SENSES)
@pytest.mark.parametrize("name", SOLVED)
def test_values_and_gradients_are_those_of_pytorch(name, sense):
    takes, module, options = SOLVED[name]
    costs, given = data()
    with jax.enable_x64(True):
        of = jax.jit(
            lambda c: getattr(losses, name)(
                c, *(given[k] for k in takes), TopK(2), sense=sense, **options
            ).mean()
        )
        value, gradient = jax.value_and_grad(of)(costs)
    there = torch.tensor(costs, requires_grad=True)
    expected = module(OracleLayer(TopK(2), sense=sense), **options)(
        there, *(torch.tensor(given[k]) for k in takes)
    )
    expected.backward()
    np.testing.assert_allclose(value, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(gradient, there.grad, atol=1e-12)


@pytest.mark.parametrize("name", ["noise_contrastive", "contrastive_map"])
def test_pools_against_a_target(name):
    costs, given = data()
    module = {
        "noise_contrastive": theirs.NoiseContrastive,
        "contrastive_map": theirs.ContrastiveMAP,
    }
    with jax.enable_x64(True):
        found = getattr(losses, name)(jax.numpy.asarray(costs), given["target"], POOL).mean()
    expected = module[name](torch.tensor(POOL))(torch.tensor(costs), torch.tensor(given["target"]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["pointwise", "pairwise", "listwise"])
def test_learning_to_rank(kind):
    costs, given = data()
    with jax.enable_x64(True):
        found = getattr(losses, kind)(*map(jax.numpy.asarray, (costs, given["truth"], POOL))).mean()
    expected = theirs.LearningToRank(torch.tensor(POOL), kind)(
        torch.tensor(costs), torch.tensor(given["truth"])
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("sense", SENSES)
def test_the_perturbed_divergence_and_its_gradient(sense):
    """Gradient: the target less the mean minimiser of the noisy costs."""
    costs, given = data()
    sign = 1.0 if sense == "min" else -1.0
    with jax.enable_x64(True):
        key = jax.random.PRNGKey(3)
        value, gradient = jax.value_and_grad(
            lambda c: losses.perturbed_fenchel_young(
                key, c, given["target"], TopK(2), 0.5, 6, sense
            ).sum()
        )(jax.numpy.asarray(costs))
        noise = np.asarray(jax.random.normal(key, (4, 6, 5), costs.dtype))
    noisy = sign * costs[:, None] + 0.5 * noise
    x = TopK(2)(noisy.reshape(24, 5)).reshape(4, 6, 5)
    np.testing.assert_allclose(gradient, sign * (given["target"] - x.mean(axis=1)), atol=1e-12)
    expected = (sign * costs * given["target"]).sum() - (noisy * x).sum(axis=2).mean(axis=1).sum()
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_senses_and_steps_are_checked():
    costs, given = data()
    with pytest.raises(ValueError, match="sense"):
        losses.fenchel_young(costs, given["target"], TopK(2), sense="best")
    with pytest.raises(ValueError, match="tau"):
        losses.structured_hinge(costs, given["target"], TopK(2), tau=0.0)


@pytest.mark.parametrize("wrong", [(3, 1), (3, 5), ()])
def test_only_batch_dimensions_broadcast(wrong):
    costs, pool, other = jnp.ones((3, 4)), jnp.ones((2, 4)), jnp.ones(wrong)
    solved = [
        lambda: losses.fenchel_young(costs, other, TopK(2)),
        lambda: losses.spo_plus(costs, other, costs, TopK(2)),
        lambda: losses.imitation(costs, costs, other, TopK(2)),
        lambda: losses.pairwise(costs, other, pool),
        lambda: losses.noise_contrastive(costs, other, pool),
    ]
    for loss in solved:
        with pytest.raises(lpgd.StructureError, match=r"must have shape \(\.\.\., 4\) as costs"):
            loss()


def test_costs_may_have_the_shape_of_an_oracle():
    draw = np.random.default_rng(0)
    costs, target = draw.random((5, 3, 3)), np.eye(3)[None].repeat(5, 0)
    loss = losses.fenchel_young(jnp.asarray(costs), jnp.asarray(target), GridPath((3, 3)))
    expected = (costs * (target - GridPath((3, 3))(costs))).sum((1, 2))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize("options", [{"sigma": -1.0}, {"samples": 0}])
def test_noise_is_checked(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        losses.perturbed_fenchel_young(
            jax.random.PRNGKey(0), jnp.ones((3, 4)), jnp.ones((3, 4)), TopK(2), **options
        )


@pytest.mark.parametrize("kind", ["pointwise", "pairwise", "listwise"])
def test_a_nan_in_the_costs_stays_one(kind):
    """XLA makes a selection of a product with a comparison, and so 0 of NaN."""
    costs, given = data()
    costs[1, 2] = np.nan
    found = getattr(losses, kind)(jnp.asarray(costs), given["truth"], POOL)
    assert np.isnan(found).tolist() == [False, True, False, False]
