"""Envelopes of losses that are functions of JAX, over a user's Lagrangian."""

import numpy as np
import pytest

import lpgd

jax = pytest.importorskip("jax")
jnp = jax.numpy

from lpgd.jax import EnvelopeLoss, saddle  # noqa: E402

RULE = lpgd.LPGD(0.1)
LIKE = (np.zeros(3), np.zeros(1))
DATA = {
    "q": np.random.default_rng(0).normal(size=(4, 3)),
    "A": np.random.default_rng(1).normal(size=(1, 3)),
    "b": np.array([0.2]),
}
TARGET = np.random.default_rng(2).normal(size=(4, 3))


def lagrangian(x, y, p):
    return 0.5 * x @ x + 0.1 * (x**4).sum() + p["q"] @ x + y @ (p["A"] @ x - p["b"])


def soft(x, t):
    return jax.nn.softplus(x - t).sum()


def newton(params, tilt):
    """Newton's method on the optimality conditions, in JAX."""
    (p,) = params
    own = tilt.lagrangian(lambda x, y: lagrangian(x, y, p))
    flat = lambda z: own(z[:3], z[3:])  # noqa: E731
    z = jnp.zeros(4) if tilt.start is None else jnp.concatenate(tilt.start)

    def step(z, _):
        return z - jnp.linalg.solve(jax.hessian(flat)(z), jax.grad(flat)(z)), None

    z, _ = jax.lax.scan(step, z, None, length=12)
    return z[:3], z[3:], flat(z)


RANKS = ({"q": 1, "A": 2, "b": 1},)


def layer(**options):
    return saddle(lagrangian, newton, RULE, like=LIKE, ranks=RANKS, traced=True, **options)


def close(found, expected, tolerance):
    for got, want in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_numbers_are_those_of_torch():
    torch = pytest.importorskip("torch")
    from lpgd.torch import EnvelopeLoss as Theirs
    from lpgd.torch import SaddleLayer

    def theirs(x, y, p):
        return 0.5 * x @ x + 0.1 * (x**4).sum() + p["q"] @ x + y @ (p["A"] @ x - p["b"])

    def hosted(params, tilt):
        """The same method, in torch."""
        (p,) = params
        own = tilt.lagrangian(lambda x, y: theirs(x, y, p))
        flat = lambda z: own(z[:3], z[3:])  # noqa: E731
        z = torch.zeros(4).double() if tilt.start is None else torch.cat(tilt.start)
        for _ in range(12):
            z = z - torch.linalg.solve(
                torch.func.jacrev(torch.func.grad(flat))(z), torch.func.grad(flat)(z)
            )
        return z[:3], z[3:]

    loss = EnvelopeLoss(layer(check=True), soft, 0.5, targets=(1,))
    run = jax.jit(jax.value_and_grad(lambda p, t: loss(p, target=t), (0, 1)))
    value, slopes = run(DATA, TARGET)
    own = {k: torch.from_numpy(v).requires_grad_() for k, v in DATA.items()}
    t = torch.from_numpy(TARGET).requires_grad_()
    softplus = lambda x, t: torch.nn.functional.softplus(x - t).sum()  # noqa: E731
    their = Theirs(SaddleLayer(theirs, hosted, RULE, ranks=RANKS), softplus, 0.5, targets=(1,))
    want = their(own, target=t)
    want.backward()
    close(value, want.detach().numpy(), 1e-10)
    close(slopes, ({k: v.grad.numpy() for k, v in own.items()}, t.grad.numpy()), 1e-10)


def test_transformations_agree_with_finite_differences():
    loss = EnvelopeLoss(layer(), soft, 0.5, targets=(1,), reduction="none")

    def own(q, t):
        return loss({**DATA, "q": q}, target=t)

    each = jax.vmap(jax.value_and_grad(own, (0, 1)))
    values, slopes = jax.jit(each)(DATA["q"], TARGET)
    close((values, slopes), each(DATA["q"], TARGET), 1e-12)
    plain = jax.vmap(soft)(layer()(DATA), TARGET)
    assert (values < plain).all()
    way, h = np.random.default_rng(3).normal(size=(4, 3)), 1e-5
    ends = [own(DATA["q"] + s * h * way, TARGET) for s in (1, -1)]
    along = (ends[0] - ends[1]) / (2 * h)
    close((slopes[0] * way).sum(1), along, 1e-7)
    _, forward = jax.jvp(lambda q: own(q, TARGET), (DATA["q"],), (way,))
    close(forward, along, 1e-7)


def test_float32_is_computed_in_float64(jax):
    jax.config.update("jax_enable_x64", False)
    loss = EnvelopeLoss(layer(), soft, 1e-5, targets=(1,))  # float32 would lose the difference
    data = jax.tree.map(lambda a: a.astype(np.float32), DATA)
    run = jax.jit(jax.value_and_grad(lambda p: loss(p, target=TARGET.astype(np.float32))))
    value, slopes = run(data)
    want = np.mean([soft(x, t) for x, t in zip(layer()(data), TARGET, strict=True)])
    assert value.dtype == slopes["q"].dtype == np.float32
    assert float(value) == pytest.approx(float(want), rel=1e-3)


def test_other_sides_and_solves_without_the_loss_are_refused():
    with pytest.raises(lpgd.IllPosedError, match="upper side"):
        EnvelopeLoss(layer(), soft, 0.5, "upper", targets=(1,))

    def linear(params, tilt):
        return -tilt.cost(params[0])

    own = saddle(lambda x, y, q: 0.5 * x @ x + q @ x, linear, RULE, like=(np.zeros(3), None))
    with pytest.raises(lpgd.SolverError, match="which no linear costs express"):
        EnvelopeLoss(own, soft, 0.5)(DATA["q"][0], target=TARGET[0])
