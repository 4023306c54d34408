import copy
import io
import pickle

import pytest
import torch

import lpgd
from lpgd.torch import LPLayer, QPLayer
from tests.torch.programs import known_lp, leaves, random_qp


def test_duals_of_absent_groups_have_length_zero_and_z_box_never_has():
    P, q, G, h = random_qp(3)
    x, y, z, z_box = QPLayer(lpgd.LPGD(0.1))(P, q, G, h, return_duals=True)
    assert (x.shape, y.shape, z.shape, z_box.shape) == ((3, 4), (3, 0), (3, 5), (3, 4))
    assert not z_box.any()


@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")
def test_a_QP_with_zero_P_has_the_solution_of_the_LP():
    data, known = known_lp(5)
    P = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    q = data.pop("c")
    x = QPLayer(lpgd.LPGD(1e-3))(P, q, **data)
    torch.testing.assert_close(x, known.x, rtol=1e-8, atol=1e-8)
    x.sum().backward()
    assert P.grad.abs().max() < 1e-6  # the vertex does not depend on P


def test_a_nearly_singular_QP_is_not_called_infeasible():
    """The equalities fix x; P has an eigenvalue of 9e-10, and a kept DAQP model loses its way."""
    data = {
        "P": [[0.10925199836492538, -0.0863010436296463],
              [-0.0863010436296463, 0.06817147880792618]],
        "q": [0.011752248151902449, -0.6373450528865399],
        "G": [
            [0.9306803288428466, -0.542446188604242], [1.759783957904676, 0.1788701442836727],
            [0.24749181041542148, 1.081388117548476], [0.6241833795801971, 0.06055778743450687],
            [-0.7277124340070095, -0.8077654525998738],
        ],
        "h": [-0.4388192087428896, -0.04385347370555687, 1.8167096287127222,
              -0.018001775657503494, -0.6040556315999708],
        "A": [[1.0632151578035578, 0.8844441390093424], [-0.2885115512588222, 0.21325566102800503]],
        "b": [0.6317962344013526, 0.21287480477876944],
    }  # fmt: skip
    data = {name: torch.tensor(value, dtype=torch.float64) for name, value in data.items()}
    x = QPLayer(lpgd.LPGD(0.1))(**data)
    torch.testing.assert_close(x, torch.linalg.solve(data["A"], data["b"]), rtol=1e-6, atol=1e-6)


def test_unconstrained_QP():
    P, q, _, _ = random_qp(3)
    q.requires_grad_()
    x = QPLayer(lpgd.LPGD(0.1))(P, q)
    torch.testing.assert_close(x, -torch.linalg.solve(P, q.T).T)
    (gradient,) = torch.autograd.grad(x.sum(), q)
    expected = -torch.linalg.solve(P, torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(gradient, expected.expand(3, 4))


@pytest.mark.parametrize("matrix, rhs", [("G", "h"), ("A", "b")])
@pytest.mark.parametrize("bounded", [True, False])
def test_constraints_of_zero_rows(matrix, rhs, bounded):
    P, q, G, h = random_qp(3)
    bounds = {"lb": torch.full_like(q, -0.1), "ub": torch.full_like(q, 0.1)} if bounded else {}
    layer = QPLayer(lpgd.LPGD(0.1))
    empty = leaves({matrix: G[:, :0], rhs: h[:, :0]})
    x = layer(P, q.requires_grad_(), **empty, **bounds)
    torch.testing.assert_close(x, layer(P, q, **bounds))
    x.sum().backward()
    assert empty[matrix].grad.shape == (3, 0, 4)
    assert empty[rhs].grad.shape == (3, 0)


@pytest.mark.parametrize("engine", ["daqp", "highs"])
def test_an_LP_of_bounds_alone(engine):
    c = torch.tensor([1.0, -1.0], dtype=torch.float64, requires_grad=True)
    lb = torch.tensor([-2.0, -3.0], dtype=torch.float64, requires_grad=True)
    ub = torch.tensor([4.0, 5.0], dtype=torch.float64, requires_grad=True)
    x, _, _, z_box = LPLayer(lpgd.LPGD(2.0, side="lower"), engine)(
        c, lb=lb, ub=ub, return_duals=True
    )
    assert x.tolist() == [-2.0, 5.0]
    assert z_box.tolist() == [-1.0, 1.0]
    (-x.sum()).backward()  # the tilted costs are (-1, -3): x_0 jumps to its upper bound
    assert c.grad.tolist() == [3.0, 0.0]
    assert lb.grad.tolist() == [-0.5, 0.0]
    assert ub.grad.tolist() == [-0.5, -1.0]


def test_layers_have_no_state_and_print_their_options():
    layer = QPLayer(lpgd.LPGD(0.5), "daqp", "nan")
    assert layer.state_dict() == {}
    assert list(layer.parameters()) == []
    layer.load_state_dict({})
    assert repr(layer) == f"QPLayer({layer.rule}, engine='daqp', on_failure='nan')"


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"on_failure": "ignore"}, ValueError, "on_failure must be 'raise' or 'nan'.*'ignore'"),
        ({"threads": 0}, ValueError, "threads must be None or at least 1, got 0"),
        ({"engine": "gurobi"}, lpgd.EngineError, "unknown engine 'gurobi'; known engines: auto"),
    ],
)
def test_wrong_options_are_refused_when_the_layer_is_made(options, error, message):
    with pytest.raises(error, match=message):
        QPLayer(lpgd.Exact(), **options)


class Model(torch.nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.linear = torch.nn.Linear(3, 4, dtype=torch.float64)
        self.layer = QPLayer(lpgd.LPGD(1e-3), **options)
        self.P, _, self.G, self.h = random_qp()

    def forward(self, x):
        return self.layer(self.P, self.linear(x), self.G, self.h)

    def gradient(self, x):
        self.zero_grad()
        self(x).square().sum().backward()
        return self.linear.weight.grad.clone()


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copier", [copy.deepcopy, pickled, saved])
@pytest.mark.parametrize("engine", ["auto", lpgd.DaqpEngine(iteration_limit=500)])
def test_copies_work_before_and_after_a_solve(copier, engine):
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model = Model(engine=engine)
    before = copier(model)
    gradient = model.gradient(x)
    after = copier(model)
    assert torch.equal(before.gradient(x), gradient)
    assert torch.equal(after.gradient(x), gradient)
    assert after.layer.stats.solves == 10  # the counters were copied ...
    assert model.layer.stats.solves == 5  # ... and are separate
    assert after.layer.rule == model.layer.rule


def test_state_dict_moves_between_models():
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one, other = Model(), Model()
    assert set(one.state_dict()) == {"linear.weight", "linear.bias"}
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.gradient(x), other.gradient(x))


def test_stats_add_up():
    P, q, G, h = random_qp(6)
    layer = QPLayer(lpgd.LPGD(0.25))
    assert layer.stats.tau is None
    layer(P, q.requires_grad_(), G, h).sum().backward()
    stats = layer.stats
    assert (stats.set_ups, stats.solves) == (6, 6)
    assert stats.re_solves < 12  # some tilts stay within the active set
    assert (stats.retries, stats.failures, stats.inexact) == (0, 0, 0)
    assert stats.tau == (0.25, 0.25)
    assert stats.seconds_forward > 0
    assert stats.seconds_backward > 0


@pytest.mark.parametrize("side", ["lower", "upper", "average"])
def test_backward_adds_no_set_up_on_strictly_convex_QPs(side):
    P, q, G, h = random_qp(5)
    for matrix, set_ups in ((G[0], 1), (G, 5)):
        layer = QPLayer(lpgd.LPGD(5.0, side=side))
        loss = layer(P, q.requires_grad_(), matrix, h).square().sum()
        assert layer.stats.set_ups == set_ups
        loss.backward()
        assert layer.stats.set_ups == set_ups
        assert layer.stats.re_solves > 0


def test_rho_sets_up_each_distinct_hessian_once():
    P, q, G, h = random_qp(5)
    layer = QPLayer(lpgd.LPGD(0.5, rho=1.0))
    layer(P, q.requires_grad_(), G[0], h).square().sum().backward()
    assert layer.stats.set_ups == 2  # the forward one, and one for both sides


def test_exact_reports_degenerate_elements():
    q = torch.tensor([[0.0], [1.0]], dtype=torch.float64, requires_grad=True)
    layer = QPLayer(lpgd.Exact())
    x = layer(torch.eye(1, dtype=torch.float64), q, lb=torch.zeros(1, dtype=torch.float64))
    x.sum().backward()
    assert layer.stats.degenerate == 0.5  # at q = 0 the bound is active with multiplier zero
    assert layer.stats.re_solves == 0


def test_a_small_step_lowers_the_loss():
    """The layer learns: gradient descent on q reaches a target inside the feasible set."""
    P, q, _, _ = random_qp(n=3)
    bound = torch.ones(3, dtype=torch.float64)
    target = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    layer, q = QPLayer(lpgd.LPGD(1e-2)), torch.nn.Parameter(q)
    optimizer, losses = torch.optim.Adam([q], lr=0.1), []
    for _ in range(150):
        optimizer.zero_grad()
        loss = (layer(P, q, lb=-bound, ub=bound) - target).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.1
    assert losses[-1] < 1e-3
