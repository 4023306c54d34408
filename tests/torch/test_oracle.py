"""Black boxes as layers."""

import pickle

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

import lpgd
from lpgd.torch import LPLayer, OracleLayer
from tests.oracles import PATHS, SQUARE, Listed, top

T = torch.float64
# single elements, at a fixed tau, may well stay where they are
pytestmark = pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")


def costs(*shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=draw, dtype=T, requires_grad=True)


def gradient(layer, c, loss, **more):
    (found,) = torch.autograd.grad(layer(c, **more), c, loss)
    return found


def test_solutions_are_those_of_enumeration():
    c = costs(200, 5)
    x = OracleLayer(Listed(PATHS))(c)
    values = c.detach().numpy() @ PATHS.T
    np.testing.assert_array_equal(x.detach(), PATHS[values.argmin(axis=1)])


@pytest.mark.parametrize("tau", [0.3, 5.0])
def test_the_lower_side_is_blackbox_interpolation(tau):
    """(y(w + lambda dL/dy) - y(w)) / lambda: Pogančić et al. (2020), algorithm 1."""
    c, loss, best = costs(100, 5), costs(100, 5, seed=1).detach(), Listed(PATHS)
    found = gradient(OracleLayer(best, lpgd.LPGD(tau, side="lower")), c, loss)
    w = c.detach().numpy()
    expected = (best(w + tau * loss.numpy()) - best(w)) / tau
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert expected.any()


@pytest.mark.parametrize("side", ["lower", "upper", "average"])
def test_gradients_are_those_of_the_lp_over_the_convex_hull(side):
    rule = lpgd.LPGD(1.0, side=side)
    c, loss = costs(50, 2), costs(50, 2, seed=1).detach()
    box = {"lb": torch.zeros(2, dtype=T), "ub": torch.ones(2, dtype=T)}
    expected = gradient(LPLayer(rule), c, loss, **box)
    found = gradient(OracleLayer(Listed(SQUARE), rule), c, loss)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert expected.any()


def test_a_batch_is_one_call_of_the_oracle():
    best = Listed(SQUARE)
    gradient(OracleLayer(best, lpgd.LPGD(1.0)), costs(8, 2), torch.ones(8, 2, dtype=T))
    assert best.sizes == [8, 16]  # both ends of the average at once


@pytest.mark.parametrize("shape", [(2,), (3, 2), (2, 3, 2), (0, 2)])
def test_leading_dimensions_are_batch_dimensions(shape):
    layer = OracleLayer(Listed(SQUARE), lpgd.LPGD(2.0))
    c, loss = costs(*shape), costs(*shape, seed=1).detach()
    flat = c.detach().reshape(-1, 2).requires_grad_()
    assert torch.equal(layer(c), layer(flat).reshape(shape))
    expected = gradient(layer, flat, loss.reshape(-1, 2)).reshape(shape)
    assert torch.equal(gradient(layer, c, loss), expected)


def test_float32_is_computed_in_float64_and_returned():
    def oracle(c):
        assert c.dtype == np.float64
        return SQUARE[(c @ SQUARE.T).argmin(axis=1)]

    c = torch.tensor([[-1.0, 2.0]], requires_grad=True)
    layer = OracleLayer(oracle, lpgd.LPGD(4.0))
    assert layer(c).dtype == torch.float32
    assert gradient(layer, c, torch.tensor([[1.0, 0.0]])).dtype == torch.float32


def test_vmap_and_jacrev_are_batched():
    best = Listed(SQUARE)
    layer = OracleLayer(best, lpgd.LPGD(2.0))
    c = costs(6, 2).detach()
    assert torch.equal(vmap(layer)(c), layer(c))
    best.sizes.clear()
    found = vmap(jacrev(layer))(c)
    assert best.sizes == [6, 24]
    for row in range(6):
        single = c[row].clone().requires_grad_()
        rows = [gradient(layer, single, unit) for unit in torch.eye(2, dtype=T)]
        assert torch.equal(found[row], torch.stack(rows))


def test_every_instance_may_have_a_set_of_its_own():
    layer = OracleLayer(top, lpgd.LPGD(2.0))
    c, loss, counts = costs(4, 5), costs(4, 5, seed=1).detach(), [1, 2, 3, 4]
    assert layer(c, instances=counts).sum(-1).tolist() == counts
    found = gradient(layer, c, loss, instances=counts)
    for row, count in enumerate(counts):
        single = c[row].detach().requires_grad_()
        alone = gradient(layer, single[None], loss[row : row + 1], instances=[count])
        assert torch.equal(found[row], torch.autograd.grad(single[None], single, alone)[0])


def test_instances_broadcast_with_the_costs():
    layer, counts = OracleLayer(top, lpgd.LPGD(2.0)), np.array([[1], [2]], dtype=object)
    assert layer(costs(3, 5), instances=counts).sum(-1).tolist() == [[1, 1, 1], [2, 2, 2]]
    shared = costs(5)
    assert layer(shared, instances=[1, 2, 3]).sum(-1).tolist() == [1, 2, 3]
    assert gradient(layer, shared, torch.ones(3, 5, dtype=T), instances=[1, 2, 3]).shape == (5,)
    many = vmap(lambda c: layer(c, instances=[1, 2, 3]))(costs(4, 5).detach())
    assert many.sum(-1).tolist() == [[1, 2, 3]] * 4
    with pytest.raises(lpgd.StructureError, match=r"instances of shape \(2,\) do not broadcast"):
        layer(costs(3, 5), instances=[1, 2])


def picky(c):
    """Raises wherever a first cost is above 9."""
    if (c[:, 0] > 9).any():
        raise KeyError("too dear")
    return SQUARE[(c @ SQUARE.T).argmin(axis=1)]


def holes(c):
    """Answers NaN there."""
    return np.where(c[:, :1] > 9, np.nan, SQUARE[(c @ SQUARE.T).argmin(axis=1)])


@pytest.mark.parametrize("oracle, why", [(picky, "crashed"), (holes, "the oracle returned a NaN")])
def test_a_fault_costs_its_element_alone(oracle, why):
    c, loss = costs(7, 2).detach(), costs(7, 2, seed=1).detach()
    c[4, 0] = 10.0
    c.requires_grad_()
    with pytest.raises(
        lpgd.SolverError, match=f"1 of 7 elements failed .batch index 4: {why}"
    ) as e:
        OracleLayer(oracle, lpgd.LPGD(2.0))(c)
    assert isinstance(e.value.__cause__, KeyError if oracle is picky else None.__class__)
    layer = OracleLayer(oracle, lpgd.LPGD(2.0), on_failure="nan")
    with pytest.warns(lpgd.SolverWarning, match="1 of 7"):
        found = gradient(layer, c, loss)
    with pytest.warns(lpgd.SolverWarning, match="1 of 7"):
        assert layer(c).isnan().any(-1).nonzero().tolist() == [[4]]
    expected = gradient(OracleLayer(Listed(SQUARE), lpgd.LPGD(2.0)), c, loss)
    expected[4] = 0
    assert torch.equal(found, expected)


def test_bad_costs_do_not_reach_the_oracle():
    best, c = Listed(SQUARE), costs(3, 2).detach()
    c[1, 0] = float("nan")
    with pytest.raises(lpgd.SolverError, match="1: costs have a NaN or infinite entry"):
        OracleLayer(best)(c)
    assert best.sizes == [2]


@pytest.mark.parametrize(
    "rule, why", [(lpgd.LPGD(1.0, rho=0.1), "use rho = 0"), (lpgd.Exact(), "needs the adjoint")]
)
def test_rules_that_ask_too_much_are_refused_when_the_layer_is_built(rule, why):
    with pytest.raises(lpgd.EngineError, match=why):
        OracleLayer(Listed(SQUARE), rule)


@pytest.mark.parametrize(
    "given, error, why",
    [
        (None, lpgd.StructureError, "costs is required"),
        (np.ones(2), lpgd.StructureError, "costs must be a torch.Tensor"),
        (torch.ones(2, dtype=torch.int64), lpgd.StructureError, "real floating dtype"),
        (torch.tensor(1.0), lpgd.StructureError, "at least 1 dimension"),
    ],
)
def test_wrong_costs_are_named(given, error, why):
    with pytest.raises(error, match=why):
        OracleLayer(Listed(SQUARE))(given)


def test_an_oracle_must_be_callable():
    with pytest.raises(TypeError, match="callable"):
        OracleLayer(SQUARE)


def test_layers_travel():
    layer = OracleLayer(holes, lpgd.LPGD(2.0), on_failure="nan")
    copy = pickle.loads(pickle.dumps(layer))
    assert repr(copy) == repr(layer)
    assert not layer.state_dict()
    copy.load_state_dict(layer.state_dict())
    c = costs(3, 2)
    assert torch.equal(copy(c), layer(c))


def test_training_by_the_default_rule_finds_the_target():
    layer = OracleLayer(Listed(PATHS))
    c = torch.tensor([1.0, 1.0, 2.0, 2.0, 1.0], dtype=T, requires_grad=True)
    target = torch.tensor(PATHS[1], dtype=T)
    for _ in range(20):
        gradient_ = gradient(layer, c, 2 * (layer(c) - target).detach())
        c = (c - 0.5 * gradient_).detach().requires_grad_()
    assert torch.equal(layer(c), target)
