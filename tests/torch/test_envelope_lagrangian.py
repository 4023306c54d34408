"""Envelopes of losses of saddle points and of nonlinear programs: the numbers of QPs, refusals."""

import pytest
import torch

import lpgd
from lpgd.torch import EnvelopeLoss, NLPLayer, QPLayer, SaddleLayer

F = torch.float64
SIDES = ("lower", "upper", "average")
qp = QPLayer()


def lagrangian(x, y, P, q, G, h):
    return 0.5 * x @ P @ x + q @ x + y @ (G @ x - h)


def solve(params, tilt):
    P, q, G, h = params
    found = qp(tilt.hessian(P), tilt.cost(q), G, tilt.side(h), return_duals=True)
    return found.x, found.z


def data(batch=5):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=F)  # noqa: E731
    root = draw(batch, 3, 3)
    P = root @ root.mT + torch.eye(3, dtype=F)
    parts = (P, draw(batch, 3), draw(2, 3), draw(2).abs(), draw(batch, 3))
    return [part.requires_grad_() for part in parts]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rho", [0.0, 0.3])
@pytest.mark.parametrize("rule", [lpgd.LPGD(0.1), None], ids=["tilts", "linearize"])
def test_a_linear_loss_of_a_saddle_point_has_the_numbers_of_the_qp(side, rho, rule):
    given = data()
    layer = SaddleLayer(
        lagrangian, solve, rule, ranks=(2, 1, 2, 1), nonnegative=True, linearize=rule is None
    )
    found = []
    for own in (layer, QPLayer()):
        loss = EnvelopeLoss(own, "linear", 0.2, side, rho=rho)(*given[:4], target=given[4])
        found.append((loss, *torch.autograd.grad(loss, given)))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("side", SIDES)
def test_a_linear_loss_of_a_nonlinear_program_has_the_numbers_of_the_qp(side):
    _, q, _, _, target = data()
    ends = torch.full((3,), 0.4, dtype=F)
    nonlinear = NLPLayer(lambda x, q: 0.5 * x @ x + q @ x, 3, ranks=(1,), engine="slsqp")
    found = []
    for layer, given in ((nonlinear, (q,)), (QPLayer(), (torch.eye(3, dtype=F), q))):
        loss = EnvelopeLoss(layer, "linear", 0.2, side)(*given, lb=-ends, ub=ends, target=target)
        found.append((loss, *torch.autograd.grad(loss, (q, target))))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-8)


def test_targets_have_the_shape_of_x():
    def matrix(x, y, C):
        return 0.5 * (x * x).sum() + (C * x).sum()

    layer = SaddleLayer(matrix, lambda params, tilt: -tilt.cost(params[0]), lpgd.LPGD(0.1),
                        ranks=(2,))  # fmt: skip
    C, target = torch.ones(4, 2, 3, dtype=F), torch.full((2, 3), 2.0, dtype=F)
    found = EnvelopeLoss(layer, "linear", 0.1, reduction="none")(C, target=target)
    expected = -2 * 6 - 0.1 / 2 * 4 * 6  # <t, x> - tau / 2 |t|^2 at x = -C
    assert found.tolist() == pytest.approx([expected] * 4)
    with pytest.raises(lpgd.StructureError, match=r"target must have shape \(..., 2, 3\)"):
        EnvelopeLoss(layer, "linear", 0.1)(C, target=torch.ones(6, dtype=F))


def test_what_cannot_be_added_is_refused():
    layers = [
        SaddleLayer(lagrangian, solve, lpgd.LPGD(0.1)),
        NLPLayer(lambda x, q: q @ x, 3),
    ]
    for layer, family in zip(layers, ("Lagrangian", "NLP"), strict=True):
        for kind in ("quadratic", "absolute"):
            with pytest.raises(lpgd.IllPosedError, match=f"'{kind}' cannot be added .* {family}"):
                EnvelopeLoss(layer, kind, 0.1)
        with pytest.raises(lpgd.IllPosedError, match="only oracles return"):
            EnvelopeLoss(layer, "hamming", 0.1)

    def pair(x, y, q):
        return x["a"] @ q + 0.5 * x["a"] @ x["a"] + x["b"] ** 2

    tree = SaddleLayer(
        pair,
        lambda params, tilt: {"a": -params[0], "b": 0 * params[0][0]},
        lpgd.LPGD(0.1),
    )
    with pytest.raises(lpgd.StructureError, match="an x of one tensor, not a tree"):
        EnvelopeLoss(tree, "linear", 0.1)(torch.ones(3, dtype=F), target=torch.ones(3, dtype=F))
