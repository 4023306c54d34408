"""Saddle points of a user's Lagrangian: numbers of other layers, closed forms, transforms."""

import copy
import pickle

import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import ConicLayer, QPLayer, SaddleLayer, SaddlePoint

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of its own jvp
B, N, M, K = 4, 5, 6, 2
RANKS = (2, 1, 2, 1, 2, 1)
INEQUALITIES = {"G": True, "A": False}
qp = QPLayer()


def qp_lagrangian(x, y, P, q, G, h, A, b):
    return 0.5 * x @ P @ x + q @ x + y["G"] @ (G @ x - h) + y["A"] @ (A @ x - b)


def qp_solve(params, tilt):
    P, q, G, h, A, b = params
    sides = tilt.side({"G": h, "A": b})
    found = qp(tilt.hessian(P), tilt.cost(q), G, sides["G"], A, sides["A"], return_duals=True)
    return found.x, {"G": found.z, "A": found.y}


def program(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    root = draw(B, N, N)
    data = [root @ root.mT + torch.eye(N), draw(B, N), draw(B, M, N)]
    data += [0.3 * draw(B, M).abs(), draw(K, N), 0.1 * draw(B, K)]
    return [part.to(dtype).requires_grad_() for part in data]


def gradients(layer, data, *, duals=True):
    found = layer(*data, return_duals=True)
    weights = torch.linspace(-1, 1, B * N, dtype=data[0].dtype).reshape(B, N)
    loss = (found.x * weights).sum()
    if duals:
        z, y = (
            (found.y["G"], found.y["A"]) if isinstance(found, SaddlePoint) else (found.z, found.y)
        )
        loss = loss + 0.1 * z.square().sum() + y.sum()
    found = torch.autograd.grad(loss, data)
    return [0.5 * (found[0] + found[0].mT), *found[1:]]


@pytest.mark.parametrize(
    "rule, linearize",
    [
        (lpgd.LPGD(0.1), False),
        (lpgd.LPGD(0.3, rho=0.5, side="upper"), False),
        (lpgd.LPGD(0.05, side="lower"), True),
        (lpgd.LPGD(2.0, rho=0.1), True),
        (lpgd.LPGD(), True),
        (lpgd.Exact(), True),
    ],
    ids=str,
)
def test_quadratic_programs_have_the_numbers_of_their_own_layer(rule, linearize):
    layer = SaddleLayer(
        qp_lagrangian, qp_solve, rule, ranks=RANKS, nonnegative=INEQUALITIES,
        linearize=linearize, check=True,
    )  # fmt: skip
    for mine, theirs in zip(
        gradients(layer, program()), gradients(QPLayer(rule), program()), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def test_an_adjoint_or_a_prediction_asks_the_procedure_nothing():
    layer = SaddleLayer(
        qp_lagrangian, qp_solve, ranks=RANKS, nonnegative=INEQUALITIES, linearize=True
    )
    gradients(layer, program())
    assert (layer.stats.re_solves, layer.stats.set_ups, layer.stats.unverified) == (0, B, 0.0)
    layer = SaddleLayer(
        qp_lagrangian, qp_solve, lpgd.LPGD(1e-3), ranks=RANKS, nonnegative=INEQUALITIES,
        linearize=True,
    )  # fmt: skip
    gradients(layer, program())
    assert (layer.stats.re_solves, layer.stats.set_ups) == (2 * B, B)


def test_float32_comes_back_as_float32_and_a_batch_equals_its_singles():
    layer = SaddleLayer(qp_lagrangian, qp_solve, lpgd.LPGD(0.1), ranks=RANKS)
    data = program(dtype=torch.float32)
    x = layer(*data)
    assert x.dtype == torch.float32
    assert gradients(layer, data)[0].dtype == torch.float32
    for i in range(B):
        single = layer(
            *[part[i] if part.ndim > rank else part for part, rank in zip(data, RANKS, strict=True)]
        )
        assert torch.equal(single, x[i])


def test_conic_numbers():
    cones, rule = lpgd.Cones(zero=1, soc=(3,)), lpgd.LPGD(0.1, rho=0.5)
    conic = ConicLayer(cones)

    def lagrangian(x, y, q, A, b):
        return 0.5 * x @ x + q @ x + y @ (A @ x - b)

    def solve(params, tilt):
        q, A, b = params
        P = torch.eye(3, dtype=torch.float64)
        found = conic(tilt.hessian(P), tilt.cost(q), A, tilt.side(b), return_duals=True)
        return found.x, found.y

    torch.manual_seed(0)
    q, A = torch.randn(3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    b = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    data = [part.requires_grad_() for part in (q, A, b)]
    mine = SaddleLayer(lagrangian, solve, rule)(*data).square().sum()
    theirs = ConicLayer(cones, rule)(torch.eye(3, dtype=torch.float64), *data).square().sum()
    for one, other in zip(
        torch.autograd.grad(mine, data), torch.autograd.grad(theirs, data), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def ball(x, y, c, r):
    return c @ x + 0.5 * y * (x @ x - r**2)


def ball_solve(params, tilt):
    c, r = tilt.cost(params[0]), params[1]
    return -r * c / c.norm(), c.norm() / r


@pytest.fixture
def costs():
    return torch.tensor([[1.0, 2.0, -2.0], [0.5, -0.3, 0.1]], dtype=torch.float64)


@pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.LPGD(1e-4), lpgd.Exact()], ids=str)
def test_all_transforms_have_the_closed_form(costs, rule):
    layer = SaddleLayer(ball, ball_solve, rule, ranks=(1, 0), linearize=True, nonnegative=True)
    r = torch.tensor(1.5, dtype=torch.float64)

    def closed(c, r):
        return -r * c / c.norm(dim=-1, keepdim=True)

    layer(costs[0], r)  # within transforms the shapes must be known
    near = {"rtol": 1e-6, "atol": 1e-7}
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        for place in (0, 1):
            torch.testing.assert_close(
                transform(layer, place)(costs, r), transform(closed, place)(costs, r), **near
            )
    mapped = torch.vmap(torch.func.grad(lambda c: layer(c, r)[0]))(costs)
    expected = torch.vmap(torch.func.grad(lambda c: closed(c, r)[0]))(costs)
    torch.testing.assert_close(mapped, expected, **near)


def test_shapes_are_unknown_within_a_transform_until_told(costs):
    r = torch.tensor(1.5, dtype=torch.float64)
    with pytest.raises(lpgd.StructureError, match="call the layer once before"):
        torch.vmap(SaddleLayer(ball, ball_solve, lpgd.LPGD(0.1)), (0, None))(costs, r)
    with pytest.raises(lpgd.StructureError, match="of empty batches"):
        SaddleLayer(ball, ball_solve, lpgd.LPGD(0.1), ranks=(1, 0))(costs[:0], r)
    like = (costs[0], r)
    layer = SaddleLayer(ball, ball_solve, lpgd.LPGD(0.1), like=like)
    assert torch.vmap(layer, (0, None))(costs, r).shape == costs.shape
    none = costs[:0].clone().requires_grad_()
    x = SaddleLayer(ball, ball_solve, lpgd.LPGD(0.1), ranks=(1, 0), like=like)(none, r)
    x.sum().backward()
    assert x.shape == none.grad.shape == (0, 3)


def test_multipliers_have_gradients(costs):
    layer = SaddleLayer(ball, ball_solve, ranks=(1, 0), linearize=True, nonnegative=True)
    r = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    c = costs.clone().requires_grad_()
    y = layer(c, r, return_duals=True).y
    found = torch.autograd.grad(y.sum(), (c, r))
    expected = torch.autograd.grad((c.norm(dim=1) / r).sum(), (c, r))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


def test_trees_of_parameters_and_of_variables():
    def lagrangian(x, y, params):
        fit = (params["X"] @ x["w"] + x["b"] - params["t"]).square().mean()
        return fit + params["weights"][0] * x["w"].square().sum()

    def solve(params, tilt):
        (params,) = params
        data = torch.cat([params["X"], torch.ones(len(params["X"]), 1, dtype=torch.float64)], 1)
        ridge = params["weights"][0] * torch.diag(
            torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
        )
        costs = tilt.cost({"w": torch.zeros(2, dtype=torch.float64), "b": torch.tensor(0.0)})
        right = 2 * data.T @ params["t"] / len(data) - torch.cat(
            [costs["w"], costs["b"].reshape(1)]
        )
        z = torch.linalg.solve(2 * data.T @ data / len(data) + 2 * ridge, right)
        return {"w": z[:2], "b": z[2]}

    torch.manual_seed(1)
    params = {
        "X": torch.randn(7, 2, dtype=torch.float64),
        "t": torch.randn(7, dtype=torch.float64),
        "weights": [torch.tensor(0.3, dtype=torch.float64, requires_grad=True)],
    }

    def closed(weight):
        filled = {**params, "weights": [weight]}
        return solve((filled,), _Nothing())["w"].sum()

    for layer in (
        SaddleLayer(lagrangian, solve, linearize=True, check=True),
        SaddleLayer(lagrangian, solve, lpgd.LPGD(1e-5), check=True),
    ):
        x = layer(params)
        assert x.keys() == {"w", "b"}
        assert x["b"].shape == ()
        (mine,) = torch.autograd.grad(x["w"].sum(), params["weights"])
        (theirs,) = torch.autograd.grad(closed(params["weights"][0]), params["weights"])
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)


class _Nothing:
    def cost(self, q):
        return q


def test_a_batch_at_once(costs):
    def solve(params, tilt):
        c, r = tilt.cost(params[0]), params[1]
        return -r[:, None] * c / c.norm(dim=1, keepdim=True), c.norm(dim=1) / r

    r, rule = torch.tensor([1.0, 2.0], dtype=torch.float64), lpgd.LPGD(0.1, side="upper")
    found = []
    for procedure, together in ((ball_solve, False), (solve, True)):
        c = costs.clone().requires_grad_()
        layer = SaddleLayer(ball, procedure, rule, ranks=(1, 0), together=together)
        layer(c, r)[:, 1].sum().backward()
        found.append(c.grad)
    torch.testing.assert_close(*found, rtol=1e-14, atol=1e-14)


def test_players_mix(costs):
    """A game with entropies: y are no multipliers, and L is curved in them."""

    def game(x, y, A, temperature):
        inside = (x * x.log()).sum() - (y["play"] * y["play"].log()).sum()
        sums = y["sum"] * (x.sum() - 1), y["plays"] * (y["play"].sum() - 1)
        return x @ A @ y["play"] + temperature * inside + sums[0] + sums[1]

    def solve(params, tilt):
        A, temperature = (part.numpy() for part in params)
        q = tilt.cost(np.zeros(2))
        d = np.zeros(3) if not tilt else tilt.t * tilt.dy["play"].numpy()
        x, z = np.full(2, 0.5), np.full(3, 1 / 3)
        for _ in range(4000):
            x = 0.5 * x + 0.5 * softmax(-(A @ z + q) / temperature)
            z = 0.5 * z + 0.5 * softmax((A.T @ x + d) / temperature)
        one = -(A @ z + q + temperature * (np.log(x) + 1)).mean()
        two = -(A.T @ x + d - temperature * (np.log(z) + 1)).mean()
        return x, {"play": z, "sum": one, "plays": two}

    A = torch.tensor([[1.0, -1.0, 0.3], [-0.5, 0.8, 0.1]], dtype=torch.float64)
    temperature = torch.tensor(0.7, dtype=torch.float64)
    layer = SaddleLayer(game, solve, linearize=True, check=True)

    def play(A):
        return layer(A, temperature, return_duals=True)

    play(A)
    found = torch.func.jacrev(lambda A: play(A).y["play"][0] + play(A).x[0])(A)
    for i, j in ((0, 0), (1, 2)):
        step = torch.zeros_like(A)
        step[i, j] = 1e-5
        ends = [play(A + sign * step) for sign in (1, -1)]
        slope = (ends[0].y["play"][0] + ends[0].x[0] - ends[1].y["play"][0] - ends[1].x[0]) / 2e-5
        assert found[i, j] == pytest.approx(slope.item(), rel=1e-6, abs=1e-9)


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def test_a_lagrangian_that_branches_on_values_is_evaluated_one_by_one(costs):
    def branching(x, y, c, r):
        return ball(x, y, c, r) if float(r) > 0 else c @ x

    r, found = torch.tensor(2.0, dtype=torch.float64), []
    for lagrangian in (ball, branching):
        c = costs.clone().requires_grad_()
        SaddleLayer(lagrangian, ball_solve, lpgd.LPGD(0.1), ranks=(1, 0))(c, r)[
            :, 0
        ].sum().backward()
        found.append(c.grad)
    assert torch.equal(*found)


def test_layers_can_be_copied_and_pickled(costs):
    r = torch.tensor(2.0, dtype=torch.float64)
    layer = SaddleLayer(ball, ball_solve, lpgd.LPGD(0.1), ranks=(1, 0))
    x = layer(costs, r)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(costs, r), x)


@pytest.mark.parametrize("ranks", [(1, -1), (1.0, 0), (True, 0), ("1", 0)])
def test_ranks_are_numbers_of_dimensions(ranks):
    layer = SaddleLayer(ball, ball_solve, lpgd.LPGD(0.1), ranks=ranks)
    with pytest.raises(lpgd.StructureError, match="ranks must be whole numbers >= 0"):
        layer(torch.ones(2, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))
