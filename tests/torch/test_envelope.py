"""Envelopes of whole losses: worked numbers, order, exact gradients, and what is refused."""

import math
import pickle

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

import lpgd
from lpgd.torch import ConicLayer, EnvelopeLoss, LPLayer, OracleLayer, QPLayer, Sparse

F = torch.float64
SIDES = ("lower", "upper", "average")


def numbers(seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=F)

    return draw


def boxed_qps(draw, size, n, *, rows=2):
    """A batch of QPs, each with inequalities, an equality and bounds, around a feasible point."""
    root = draw(size, n, n)
    P = root @ root.mT / n + 0.3 * torch.eye(n, dtype=F)
    G, A, inside = draw(size, rows, n), draw(size, 1, n), 0.3 * draw(size, n)
    h = (G @ inside[..., None])[..., 0] + 0.5 * draw(size, rows).abs()
    b = (A @ inside[..., None])[..., 0]
    box = inside.abs() + 1.0
    return {"P": P, "q": 2 * draw(size, n), "G": G, "h": h, "A": A, "b": b, "lb": -box, "ub": box}


def test_worked_example():
    """Section 7 of the math page, QP, full loss."""
    P = torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=F))
    lb = torch.tensor([-math.inf, -math.inf, 0.0], dtype=F)
    target = torch.tensor([2.0, 2.0, 0.5], dtype=F)
    expected = {
        "lower": (7 / 8, [-0.5, 0.5, 0.0], 0.25),
        "upper": (13 / 8, [-1.0, 1.0, 0.0], 0.5),
        "average": (5 / 4, [-0.75, 0.75, 0.0], 0.375),
    }
    for side, (value, dq, db) in expected.items():
        q = torch.tensor([-1.0, 0.0, 3.0], dtype=F, requires_grad=True)
        b = torch.tensor([4.0], dtype=F, requires_grad=True)
        loss = EnvelopeLoss(QPLayer(), "quadratic", 0.5, side)
        found = loss(P, q, A=torch.ones(1, 3, dtype=F), b=b, lb=lb, target=target)
        found.backward()
        assert found.item() == pytest.approx(value, abs=1e-12)
        assert q.grad.tolist() == pytest.approx(dq, abs=1e-12)
        assert b.grad.tolist() == pytest.approx([db], abs=1e-12)


def squared(x, t):
    return 0.5 * (x - t).square().sum(-1)


def absolute(x, t):
    return (x - t).abs().sum(-1)


def linear(x, t):
    return (x * t).sum(-1)


VALUES = {"quadratic": squared, "absolute": absolute, "linear": linear, "hamming": absolute}


def ordered(layer, kind, data, target, tau, rho=0.0):
    """Check l_tau <= l <= l^tau where the sides exist, and that they come near for a small tau."""
    with torch.no_grad():
        loss = VALUES[kind](layer(**data), target)
    room = 1e-9 * (1 + loss.abs())
    for side in ("lower",) if kind == "absolute" else ("lower", "upper"):
        each = EnvelopeLoss(layer, kind, tau, side, rho=rho, reduction="none")
        found = each(**data, target=target)
        assert found.shape == loss.shape
        over = found - loss if side == "lower" else loss - found
        assert (over <= room / tau).all(), (kind, side, over.max())
        assert (over.abs() > 1e-6).any()
    return loss


@pytest.mark.parametrize("kind", ["quadratic", "absolute", "linear"])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_order_on_a_thousand_qps(kind, rho):
    data = boxed_qps(numbers(1), 1000, 4)
    ordered(QPLayer(), kind, data, numbers(2)(1000, 4), 0.25, rho)


def test_order_on_a_thousand_lps():
    draw = numbers(3)
    data = boxed_qps(draw, 1000, 4)
    del data["P"]
    data["c"] = data.pop("q")
    for kind in ("absolute", "linear"):
        ordered(LPLayer(), kind, data, draw(1000, 4), 0.7)
    lower = EnvelopeLoss(LPLayer(), "quadratic", 0.7, reduction="none")
    target = draw(1000, 4)
    assert (lower(**data, target=target) <= squared(LPLayer()(**data), target) + 1e-9).all()
    assert (
        EnvelopeLoss(LPLayer(), "quadratic", 0.7, "upper", rho=1.0, reduction="none")(
            **data, target=target
        )
        >= squared(LPLayer()(**data), target) - 1e-9
    ).all()


def test_order_on_second_order_cones():
    draw = numbers(4)
    layer = ConicLayer(lpgd.Cones(zero=1, soc=(4,)))
    A = torch.cat([torch.ones(1, 3, dtype=F), torch.zeros(1, 3, dtype=F), -torch.eye(3, dtype=F)])
    b = torch.tensor([0.2, 1.0, 0.0, 0.0, 0.0], dtype=F)
    data = {"P": torch.eye(3, dtype=F), "q": 2 * draw(100, 3), "A": A, "b": b}
    for kind in ("quadratic", "absolute", "linear"):
        ordered(layer, kind, data, draw(100, 3), 0.3)


def cheapest_pair(costs):
    """The two least costs: binary vectors."""
    found = np.zeros(costs.shape)
    np.put_along_axis(found, costs.argsort(axis=1)[:, :2], 1.0, axis=1)
    return found


def test_order_on_oracles():
    draw, layer = numbers(5), OracleLayer(cheapest_pair)
    data, target = {"costs": draw(1000, 5)}, (draw(1000, 5) > 0).to(F)
    ordered(layer, "hamming", data, target, 0.6)
    ordered(layer, "linear", data, draw(1000, 5), 0.6)


def checked(loss, names, data, *, target, weight=None):
    """Gradients against differences of values, to 1e-6."""
    inputs = [data[name].clone().requires_grad_() for name in names]
    target = target.clone().requires_grad_()
    weight = torch.ones_like(target) if weight is None else weight
    weight = weight.clone().requires_grad_()

    def value(target, weight, *inputs):
        given = {**data, **dict(zip(names, inputs, strict=True))}
        if "root" in given:
            root = given.pop("root")
            given["P"] = root @ root.mT + 0.3 * torch.eye(root.shape[-1], dtype=F)
        return loss(**given, target=target, weight=weight)

    assert gradcheck(value, (target, weight, *inputs), eps=1e-5, atol=1e-6, rtol=1e-6)


POSED = [(kind, side) for kind in ("quadratic", "linear") for side in SIDES]


@pytest.mark.parametrize("kind, side", [*POSED, ("absolute", "lower")])
def test_gradients_are_differences_of_the_value(kind, side):
    draw = numbers(6)
    data = boxed_qps(draw, 3, 3)
    data["root"] = draw(3, 3, 3)
    del data["P"]
    weight = 0.5 + torch.rand(3, 3, generator=torch.Generator().manual_seed(0), dtype=F)
    loss = EnvelopeLoss(QPLayer(), kind, 0.2, side, reduction="none")
    checked(loss, list(data), data, target=draw(3, 3), weight=weight)


@pytest.mark.parametrize("kind", ["quadratic", "linear", "absolute"])
def test_gradients_of_lps(kind):
    draw = numbers(7)
    data = boxed_qps(draw, 3, 3)
    del data["P"]
    data["c"] = data.pop("q")
    loss = EnvelopeLoss(LPLayer(), kind, 0.9, reduction="sum")
    checked(loss, list(data), data, target=draw(3, 3))


@pytest.mark.parametrize("kind", ["quadratic", "linear", "absolute"])
def test_gradients_of_cone_programs(kind):
    draw = numbers(8)
    A = torch.cat([torch.ones(1, 3, dtype=F), torch.zeros(1, 3, dtype=F), -torch.eye(3, dtype=F)])
    b = torch.tensor([0.2, 1.0, 0.0, 0.0, 0.0], dtype=F)
    data = {"root": draw(3, 3), "q": draw(2, 3), "A": A, "b": b}
    loss = EnvelopeLoss(ConicLayer(lpgd.Cones(zero=1, soc=(4,))), kind, 0.4)
    checked(loss, ["q", "A", "b", "root"], data, target=draw(2, 3))


def test_the_upper_side_is_taken_where_only_the_equalities_make_it_well_posed():
    """P - tau I is indefinite, but definite where the entries of x sum to one."""
    draw = numbers(9)
    ones = torch.ones(1, 3, dtype=F)
    P = torch.diag(torch.tensor([2.0, 2.0, 2.0], dtype=F)) - ones.T @ ones * 0.6
    data = {"P": P, "A": ones, "b": torch.ones(1, dtype=F), "q": draw(4, 3), "lb": -ones[0] * 3}
    assert torch.linalg.eigvalsh(P - 0.5 * torch.eye(3, dtype=F))[0] < 0
    loss = EnvelopeLoss(QPLayer(), "quadratic", 0.5, "upper", reduction="none")
    target = draw(4, 3)
    assert (loss(**data, target=target) >= squared(QPLayer()(**data), target) - 1e-9).all()
    checked(loss, ["q", "A", "b", "lb"], data, target=target)


@pytest.mark.parametrize("side", ["upper", "average"])
def test_every_ill_posed_side_is_refused(side):
    draw = numbers(10)
    data = boxed_qps(draw, 40, 4)
    refused, target = 0, draw(40, 4)
    for row in range(40):
        own = {name: part[row] for name, part in data.items()}
        basis = torch.linalg.svd(own["A"])[2][1:].T
        least = torch.linalg.eigvalsh(basis.T @ own["P"] @ basis)[0].item()
        for tau, rho, fine in ((0.9 * least, 0, True), (1.1 * least, 0, False), (2.0, 2.0, True)):
            loss = EnvelopeLoss(QPLayer(), "quadratic", tau, side, rho=rho)
            if fine:
                assert loss(**own, target=target[row]).isfinite()
                continue
            refused += 1
            with pytest.raises(lpgd.IllPosedError, match="non-convex"):
                loss(**own, target=target[row])
    assert refused == 40
    with pytest.raises(lpgd.IllPosedError, match="subtracts a kink"):
        EnvelopeLoss(QPLayer(), "absolute", 0.1, side)
    lp = {name: part for name, part in data.items() if name not in ("P", "q")}
    with pytest.raises(lpgd.IllPosedError, match="positive definite"):
        EnvelopeLoss(LPLayer(), "quadratic", 0.1, side)(data["q"], **lp, target=target)


def test_losses_that_a_family_cannot_add_are_refused():
    oracle = OracleLayer(cheapest_pair)
    for kind in ("quadratic", "absolute"):
        with pytest.raises(lpgd.IllPosedError, match="'hamming'"):
            EnvelopeLoss(oracle, kind, 1.0)
    with pytest.raises(lpgd.IllPosedError, match="only oracles return"):
        EnvelopeLoss(QPLayer(), "hamming", 1.0)
    with pytest.raises(lpgd.StructureError, match=r"binary vectors, but the target has 0\.5"):
        EnvelopeLoss(oracle, "hamming", 1.0)(torch.ones(5, dtype=F), target=torch.full((5,), 0.5))
    with pytest.raises(lpgd.StructureError, match="weight must be >= 0"):
        EnvelopeLoss(QPLayer(), "quadratic", 1.0)(
            torch.eye(2, dtype=F),
            torch.ones(2, dtype=F),
            target=torch.ones(2, dtype=F),
            weight=-torch.ones(2, dtype=F),
        )


def test_bad_options_and_shapes_are_named():
    for options in ({"tau": 0.0}, {"tau": "auto"}, {"tau": 1.0, "rho": -1.0}):
        with pytest.raises(ValueError, match="must be a"):
            EnvelopeLoss(QPLayer(), "quadratic", **options)
    for options in ({"side": "left"}, {"reduction": "max"}):
        with pytest.raises(ValueError, match="must be one of"):
            EnvelopeLoss(QPLayer(), "quadratic", 1.0, **options)
    with pytest.raises(ValueError, match="loss must be one of"):
        EnvelopeLoss(QPLayer(), "cubic", 1.0)
    with pytest.raises(TypeError, match="Linear"):
        EnvelopeLoss(torch.nn.Linear(1, 1), "quadratic", 1.0)
    eye = torch.eye(2, dtype=F)
    loss = EnvelopeLoss(QPLayer(), "quadratic", 1.0)
    with pytest.raises(lpgd.StructureError, match=r"target must have shape \(..., 2\)"):
        loss(eye, eye[0], target=torch.ones(3, dtype=F))
    with pytest.raises(lpgd.StructureError, match="do not broadcast"):
        loss(eye, torch.ones(4, 2, dtype=F), target=torch.ones(3, 2, dtype=F))


@pytest.mark.parametrize("sense", ["min", "max"])
def test_oracles_of_grids_take_targets_of_their_shape(sense):
    draw, sign = numbers(17), 1 if sense == "min" else -1

    def pair(costs):  # of a 2 x 3 grid
        flat = cheapest_pair(sign * costs.reshape(len(costs), 6))
        return flat.reshape(costs.shape)

    layer = OracleLayer(pair, sense=sense, shape=(2, 3))
    costs, target = draw(5, 2, 3).requires_grad_(), (draw(5, 2, 3) > 0).to(F)
    value = EnvelopeLoss(layer, "hamming", 0.8, reduction="sum")(costs, target=target)
    flat = (sign * costs).reshape(5, 6)
    other = EnvelopeLoss(OracleLayer(cheapest_pair), "hamming", 0.8, reduction="sum")
    again = other(flat, target=target.reshape(5, 6))
    assert value.item() == pytest.approx(again.item(), abs=1e-12)
    (gradient,) = torch.autograd.grad(value, costs)
    assert torch.allclose(gradient, torch.autograd.grad(again, costs)[0], atol=1e-12)
    with pytest.raises(lpgd.StructureError, match=r"shape \(..., 2, 3\), got \(5, 6\)"):
        EnvelopeLoss(layer, "hamming", 0.8)(costs, target=target.reshape(5, 6))


def test_hamming_is_direct_loss_minimisation():
    """Lower and upper sides are its steps towards better and away from worse."""
    draw, tau = numbers(11), 0.6
    costs = draw(6, 5).requires_grad_()
    target = (draw(6, 5) > 0).to(F)
    pull = 1 - 2 * target
    solve = lambda c: torch.from_numpy(cheapest_pair(c.detach().numpy()))  # noqa: E731
    steps = {"lower": solve(costs + tau * pull) - solve(costs)}
    steps["upper"] = solve(costs) - solve(costs - tau * pull)
    for side, step in steps.items():
        loss = EnvelopeLoss(OracleLayer(cheapest_pair), "hamming", tau, side, reduction="sum")
        (gradient,) = torch.autograd.grad(loss(costs, target=target), costs)
        assert torch.allclose(gradient, step / tau, atol=1e-12)


def test_the_lower_quadratic_side_is_lpgd_with_rho():
    """LPPM-lower = LPGD-lower with dx = beta (x - t) and rho = tau beta (section 2)."""
    draw, tau, beta = numbers(12), 0.7, 0.4
    data = boxed_qps(draw, 20, 4)
    target = draw(20, 4)
    q = data.pop("q").requires_grad_()
    loss = EnvelopeLoss(QPLayer(), "quadratic", tau, reduction="sum")
    weight = torch.tensor(beta, dtype=F)
    (full,) = torch.autograd.grad(loss(q=q, **data, target=target, weight=weight), q)
    x = QPLayer(lpgd.LPGD(tau, rho=tau * beta, side="lower"))(q=q, **data)
    (linearised,) = torch.autograd.grad(x, q, beta * (x.detach() - target))
    assert torch.allclose(full, linearised, atol=1e-9)


def test_shared_and_expanded_arguments_sum_their_gradients():
    draw = numbers(13)
    data = boxed_qps(draw, 1, 4)
    data = {name: part[0] for name, part in data.items()}
    targets = draw(5, 4)
    loss = EnvelopeLoss(QPLayer(), "quadratic", 0.3, reduction="sum")
    shared = data["q"].clone().requires_grad_()
    value = loss(**{**data, "q": shared}, target=targets)
    value.backward()
    each = data["q"].repeat(5, 1).requires_grad_()
    loss(**{**data, "q": each}, target=targets).backward()
    assert torch.allclose(shared.grad, each.grad.sum(0), atol=1e-10)
    again = data["q"].clone().requires_grad_()
    loss(**{**data, "q": again.expand(5, 4)}, target=targets).backward()
    assert torch.allclose(again.grad, shared.grad, atol=1e-10)


@pytest.mark.parametrize("kind", ["quadratic", "absolute", "linear", "hamming"])
@pytest.mark.parametrize("name", ["target", "weight"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_bad_values_of_a_loss_cost_their_element_and_are_named(kind, name, value):
    costs = torch.tensor([[1.0, 2, 3], [2, 1, 3], [3, 2, 1]], dtype=torch.float64)
    given = {"target": torch.zeros_like(costs), "weight": torch.ones_like(costs)}
    program = {
        "A": torch.ones(1, 3).double(),
        "b": torch.ones(1).double(),
        "lb": torch.zeros(3).double(),
    }
    if kind == "hamming":
        program = {}
    made = {"hamming": lambda: OracleLayer(cheapest_pair, on_failure="nan")}
    layer = made.get(kind, lambda: LPLayer(on_failure="nan"))()
    loss = EnvelopeLoss(layer, kind, tau=0.7, reduction="none")
    want = loss(costs, **program, **given)
    given[name][1, 2] = value
    leaf = costs.clone().requires_grad_()
    with pytest.warns(lpgd.SolverWarning, match=f"batch index 1: {name} has a NaN or infinite"):
        found = loss(leaf, **program, **given)
    assert found.isnan().tolist() == [False, True, False]
    assert torch.equal(found[[0, 2]], want[[0, 2]])
    found[[0, 2]].sum().backward()
    assert leaf.grad[1].eq(0).all()
    single = {k: v[1] for k, v in given.items()}
    with pytest.warns(lpgd.SolverWarning, match=f"batch index 0: {name} has"):
        assert loss(costs[1], **program, **single).isnan()


def test_failures_cost_their_element_alone():
    draw = numbers(14)
    data = boxed_qps(draw, 3, 4)
    data["b"][1] = 1e6
    data["q"].requires_grad_()
    target = draw(3, 4)
    layer = QPLayer(on_failure="nan")
    with pytest.warns(lpgd.SolverWarning, match="1 of 3"):
        values = EnvelopeLoss(layer, "quadratic", 0.3, reduction="none")(**data, target=target)
    assert values.isfinite().tolist() == [True, False, True]
    values[[0, 2]].sum().backward()
    assert data["q"].grad.isfinite().all()
    assert data["q"].grad.any(dim=1).tolist() == [True, False, True]
    with pytest.raises(lpgd.SolverError):
        EnvelopeLoss(QPLayer(), "quadratic", 0.3)(**data, target=target)
    with pytest.warns(lpgd.SolverWarning):
        assert EnvelopeLoss(layer, "quadratic", 0.3)(**data, target=target).isfinite()


def test_sparse_programs_take_losses_too():
    from scipy import sparse

    draw = numbers(15)
    G = sparse.random(5, 6, 0.5, format="csr", random_state=0)
    values = torch.tensor(G.data, dtype=F)
    P = torch.eye(6, dtype=F)
    h, target = torch.rand(5, dtype=F, generator=torch.Generator().manual_seed(2)), draw(6)
    for kind in ("quadratic", "absolute", "linear"):
        loss = EnvelopeLoss(QPLayer(engine="daqp"), kind, 0.4)
        given, found = [], []
        for matrix in (torch.tensor(G.toarray(), dtype=F), Sparse(G, values)):
            q = draw(6) if not given else given[0].detach().clone()
            given.append(q.requires_grad_())
            eye = Sparse(sparse.eye(6, format="csr"), torch.ones(6, dtype=F))
            wide = loss if not found else EnvelopeLoss(QPLayer(), kind, 0.4)
            found.append(wide(P if not found else eye, q, matrix, h, target=target))
            found[-1].backward()
        assert found[0].item() == pytest.approx(found[1].item(), abs=1e-8)
        assert torch.allclose(given[0].grad, given[1].grad, atol=1e-7)


def test_a_second_derivative_raises():
    q = torch.ones(2, dtype=F, requires_grad=True)
    target = torch.zeros(2, dtype=F)
    value = EnvelopeLoss(QPLayer(), "quadratic", 0.3)(torch.eye(2, dtype=F), q, target=target)
    (gradient,) = torch.autograd.grad(value, q, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        (gradient.sum() + q.sum()).backward()


def test_float32_in_float32_out_and_a_module_like_others():
    draw = numbers(16)
    data = {name: part.float() for name, part in boxed_qps(draw, 2, 3).items()}
    data["q"].requires_grad_()
    loss = EnvelopeLoss(QPLayer(), "quadratic", 0.3)
    again = pickle.loads(pickle.dumps(loss))
    found = again(**data, target=draw(2, 3).float())
    found.backward()
    assert found.dtype == data["q"].grad.dtype == torch.float32
    assert loss.stats.solves == 0
    assert again.stats.solves == 2
    assert again.stats.re_solves == 2
