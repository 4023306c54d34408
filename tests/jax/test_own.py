"""Rules that draw noise from a key, and rules whose state goes in and out."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

import lpgd
from lpgd import rules

jax = pytest.importorskip("jax")
jnp = jax.numpy

from lpgd.jax import (  # noqa: E402
    CvxpyLayer,
    EnvelopeLoss,
    argmin,
    initial_state,
    solve_conic,
    solve_lp,
    solve_qp,
)

COSTS = np.random.default_rng(0).normal(size=(6, 4))
WEIGHTS = np.arange(1.0, 5.0)
KEY = jax.random.key(3)
CONES = lpgd.Cones(zero=1, nonneg=4)


def cheapest(costs):
    return np.eye(4)[costs.argmin(axis=1)]


def simplex(costs, **options):
    return solve_lp(costs, A=jnp.ones((1, 4)), b=jnp.ones(1), lb=jnp.zeros(4), **options)


def cone(costs, **options):
    A, b = jnp.concatenate([jnp.ones((1, 4)), -jnp.eye(4)]), jnp.array([1.0, 0, 0, 0, 0])
    return solve_conic(None, costs, A, b, CONES, **options)


KINDS = [partial(argmin, cheapest), simplex, cone]
DRAWN = [rules.Perturbed(0.5, 6), rules.IMLE(2.0, samples=4), rules.IMLE(noise=rules.Gaussian(7))]


@pytest.fixture(params=KINDS, ids=["oracle", "lp", "conic"])
def kind(request):
    return request.param


def value(solve, costs, *given):
    return (WEIGHTS * solve(costs, *given) ** 2).sum()


@pytest.mark.parametrize("rule", DRAWN)
def test_the_same_key_gives_the_same_answer_however_it_is_transformed(kind, rule):
    def solve(costs, key):
        return kind(costs, rule=rule, key=key)

    found = solve(COSTS, KEY)
    slope = jax.grad(partial(value, solve))(COSTS, KEY)
    assert np.abs(slope).max() > 0.01
    np.testing.assert_array_equal(jax.jit(solve)(COSTS, KEY), found)
    np.testing.assert_array_equal(jax.jit(jax.grad(partial(value, solve)))(COSTS, KEY), slope)
    assert (np.asarray(solve(COSTS, 4)) != np.asarray(found)).any()
    np.testing.assert_array_equal(solve(COSTS, 3), found)  # a seed
    np.testing.assert_array_equal(solve(COSTS, jax.random.PRNGKey(3)), found)
    step, keys = jax.value_and_grad(partial(value, solve)), jax.random.split(KEY, 6)
    losses, slopes = jax.jit(jax.vmap(step))(COSTS, keys)
    for row in range(6):
        alone = step(COSTS[row], keys[row])
        np.testing.assert_allclose(losses[row], alone[0], rtol=1e-12)
        np.testing.assert_allclose(slopes[row], alone[1], rtol=0, atol=1e-12)


def test_elements_of_a_batch_draw_each_their_own_and_mapped_ones_what_one_draws(kind):
    solve = partial(kind, rule=rules.Perturbed(1.0, 5), key=KEY)
    same = np.broadcast_to(COSTS[0], COSTS.shape)
    assert len(np.unique(solve(same), axis=0)) > 1
    mapped = jax.vmap(solve)(COSTS)
    np.testing.assert_array_equal(mapped, [solve(costs) for costs in COSTS])
    np.testing.assert_array_equal(solve(COSTS[:2]), solve(COSTS)[:2])
    np.testing.assert_array_equal(jax.vmap(solve)(same)[0], jax.vmap(solve)(same)[1])


@dataclass(frozen=True)
class Fixed:
    """Noise that both frameworks draw alike."""

    values: np.ndarray = field(default_factory=lambda: np.random.default_rng(5).normal(size=(9, 4)))

    def begin(self):
        return {}

    def draw(self, shape, memory):
        return np.broadcast_to(self.values[: shape[-2]], shape)


@pytest.mark.parametrize(
    "rule", [rules.Perturbed(0.7, 9, Fixed()), rules.IMLE(noise=Fixed(), samples=9),
             rules.FrankWolfe(0.8)],
)  # fmt: skip
def test_numbers_are_those_of_torch(rule):
    torch = pytest.importorskip("torch")
    from lpgd.torch import OracleLayer

    costs = torch.tensor(COSTS, requires_grad=True)
    theirs = OracleLayer(cheapest, rule)(costs)
    (torch.from_numpy(WEIGHTS) * theirs**2).sum().backward()
    solve = partial(argmin, cheapest, rule=rule)
    np.testing.assert_allclose(solve(COSTS), theirs.detach(), rtol=0, atol=1e-12)
    slope = jax.jit(jax.grad(partial(value, solve)))(COSTS)
    np.testing.assert_allclose(slope, costs.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", [rules.Perturbed(0.5, 6), rules.IMLE(2.0), rules.FrankWolfe(0.5)])
def test_what_was_evicted_is_drawn_again(rule, store):
    key = None if isinstance(rule, rules.FrankWolfe) else KEY
    found, pull = jax.vjp(partial(argmin, cheapest, rule=rule, key=key), COSTS)
    kept = pull(found)[0]
    store.clear()
    np.testing.assert_array_equal(pull(found)[0], kept)
    assert (store.hits, store.misses) == (1, 1)


def test_an_element_with_bad_values_leaves_the_noise_of_others_alone():
    solve = partial(argmin, cheapest, rule=rules.Perturbed(0.5, 6), key=KEY, on_failure="nan")
    holed = COSTS.copy()
    holed[1, 2] = np.nan
    with pytest.warns(lpgd.SolverWarning, match="1 of 6"):
        found = np.array(solve(holed))
    assert np.isnan(found[1]).all()
    whole = np.delete(solve(COSTS), 1, axis=0)
    np.testing.assert_array_equal(np.delete(found, 1, axis=0), whole)


def test_the_gradient_in_a_state_is_its_change_as_torch_makes_it():
    torch = pytest.importorskip("torch")
    from lpgd.torch import OracleLayer

    rule = rules.AdaptiveLPGD(0.3)
    layer, state = OracleLayer(cheapest, rule), initial_state(rule)

    @jax.jit
    def step(costs, state):
        def loss(costs, state):
            return value(partial(argmin, cheapest, rule=rule, state=state), costs)

        return jax.grad(loss, (0, 1))(costs, state)

    for shift in range(4):
        own = COSTS + 0.1 * shift
        costs = torch.tensor(own, requires_grad=True)
        (torch.from_numpy(WEIGHTS) * layer(costs) ** 2).sum().backward()
        slope, change = step(own, state)
        np.testing.assert_allclose(slope, costs.grad, rtol=1e-12)
        state = jax.tree.map(jnp.add, state, change)
        for name, mine in state.items():
            np.testing.assert_allclose(mine, layer.state_dict()[f"rule.{name}"], rtol=1e-12)
    assert state["alpha"] != 0.5


def learn(rule, start, steps):
    """A compiled loop: costs, the state of the rule and a key a step."""

    def loss(costs, state, key):
        return (WEIGHTS * argmin(cheapest, costs, rule=rule, state=state, key=key)).sum()

    def step(carry, key):
        costs, state = carry
        found, (slope, change) = jax.value_and_grad(loss, (0, 1))(costs, state, key)
        return (costs - 0.1 * slope, jax.tree.map(jnp.add, state, change)), found

    keys = jax.random.split(KEY, steps)
    return jax.jit(lambda own: jax.lax.scan(step, own, keys))((start, initial_state(rule)))


def test_a_state_and_a_key_are_carried_through_a_compiled_loop():
    rule = rules.AdaptiveIMLE(samples=4, step=0.05)
    (_, state), losses = learn(rule, COSTS, 40)
    assert state["alpha"] > 2.0
    assert losses[-5:].mean() < 0.8 * losses[:5].mean()
    again = learn(rule, COSTS, 40)
    np.testing.assert_array_equal(losses, again[1])


def test_a_mapped_batch_steers_one_state_and_a_loss_without_a_solution_none():
    rule = rules.AdaptiveLPGD()
    state = initial_state(rule)

    def loss(costs, state, scale=1.0):
        return scale * value(lambda c: argmin(cheapest, c, rule=rule, state=state), costs)

    whole = jax.grad(loss, 1)(COSTS, state)
    mapped = jax.grad(lambda s: jax.vmap(loss, (0, None))(COSTS, s).sum())(state)
    assert whole == mapped
    assert all(not change for change in jax.grad(loss, 1)(COSTS, state, 0.0).values())
    states = {name: jnp.stack([own, 2 * own] * 3) for name, own in state.items()}
    with pytest.raises(lpgd.EngineError, match="belongs to a batch as a whole"):
        jax.grad(lambda costs: jax.vmap(loss)(costs, states).sum())(COSTS)
    with pytest.raises(lpgd.EngineError, match="outside of vmap"):
        jax.vmap(jax.grad(loss, 1), (0, None))(COSTS, state)


def test_forward_mode_knows_no_state():
    rule = rules.AdaptiveLPGD()
    state = initial_state(rule)
    found = jax.jvp(lambda s: argmin(cheapest, COSTS, rule=rule, state=s), (state,), (state,))[1]
    np.testing.assert_array_equal(found, 0.0)


@pytest.mark.parametrize("rule, key", [(rules.Perturbed(), 0), (rules.IMLE(), 0),
                                       (rules.FrankWolfe(0.5), None)])  # fmt: skip
@pytest.mark.parametrize("along", [jax.jvp, lambda f, *at: jax.linearize(f, *at[0])[1](*at[1])])
def test_rules_that_sample_have_reverse_mode_alone(rule, key, along):
    solve = partial(argmin, cheapest, rule=rule, key=key)
    with pytest.raises(lpgd.EngineError, match=r"no forward mode.* grad, vjp or jacrev"):
        along(solve, (COSTS,), (COSTS,))


def test_most_rules_have_no_state():
    assert initial_state(lpgd.LPGD()) == initial_state(rules.IMLE()) == {}


class Other(lpgd.LPGD):
    def begin(self):
        return {"count": np.zeros(1)}

    def sample(self, problem, params, memory):
        return None


class Qubits:
    def begin(self):
        return {"qubits": np.zeros(1)}

    def draw(self, shape, memory):
        return np.zeros(shape)


@pytest.mark.parametrize(
    "options, error, why",
    [
        ({"rule": rules.Perturbed()}, lpgd.EngineError, "Perturbed draws noise, which needs key="),
        ({"key": 1}, lpgd.EngineError, "LPGD draws no noise, and takes no key"),
        ({"rule": rules.Perturbed(), "key": -1}, lpgd.StructureError, "key must be a seed"),
        ({"rule": rules.Perturbed(), "key": jax.random.split(KEY, 2)},
         lpgd.StructureError, r"got shape \(2,\)"),
        ({"rule": rules.Perturbed(), "key": 1.5}, lpgd.StructureError, "dtype float"),
        ({"rule": rules.AdaptiveLPGD()}, lpgd.EngineError, "remembers alpha, moved: state must"),
        ({"state": {"alpha": 1.0}}, lpgd.EngineError, "LPGD remembers nothing"),
        ({"rule": rules.AdaptiveLPGD(), "state": {"alpha": np.ones(1), "moved": np.ones(2)}},
         lpgd.StructureError, r"state\['moved'\] must have shape \(1,\), got \(2,\)"),
        ({"rule": Other()}, lpgd.EngineError, "draws from a memory, which a function cannot keep"),
        ({"rule": rules.Perturbed(noise=Qubits())}, lpgd.EngineError, "draws from a memory"),
    ],
)  # fmt: skip
def test_a_key_or_state_that_does_not_fit_is_refused(options, error, why):
    with pytest.raises(error, match=why):
        jax.eval_shape(lambda: argmin(cheapest, jnp.asarray(COSTS), **options))


def test_other_functions_say_where_such_rules_belong():
    cp = pytest.importorskip("cvxpy")
    x, c = cp.Variable(2), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(c @ x), [x >= 0, cp.sum(x) == 1])
    for ask in (
        lambda: solve_qp(jnp.eye(2), jnp.ones(2), rule=rules.IMLE()),
        lambda: CvxpyLayer(problem, [c], [x], rule=rules.IMLE()),
    ):
        with pytest.raises(lpgd.EngineError, match="argmin, solve_lp and solve_conic take one"):
            ask()


def test_an_envelope_and_a_diagnosis_take_such_calls():
    call = partial(argmin, cheapest, rule=rules.IMLE(20.0), key=1)
    target = np.eye(4)[[0, 1, 2, 3, 0, 1]]
    plain = EnvelopeLoss(partial(argmin, cheapest), "hamming", tau=0.5)
    np.testing.assert_array_equal(
        EnvelopeLoss(call, "hamming", tau=0.5)(COSTS, target=target), plain(COSTS, target=target)
    )
    report = lpgd.diagnose(call, COSTS, loss=lambda x: (WEIGHTS * x).sum())
    assert report.gradients.keys() == {"costs"}


def test_states_that_are_none_are_refused():
    for state in (3, [1.0], {1: 2.0}):
        with pytest.raises(lpgd.EngineError, match="state must hold just that"):
            argmin(lambda c: c, COSTS, rule=rules.AdaptiveIMLE(), key=0, state=state)
    with pytest.raises(TypeError, match="rule must be a rule"):
        initial_state("AdaptiveIMLE")
