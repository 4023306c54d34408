"""What users do wrong with oracles: each mistake is named, and none gives a wrong answer."""

import warnings

import numpy as np
import pytest
import torch

import lpgd
from lpgd.oracles import Assignment, GraphPath, GridPath, TopK
from lpgd.torch import OracleLayer


def cheapest(costs):
    return np.eye(costs.shape[1])[costs.argmin(axis=1)]


def with_attributes(**own):
    def oracle(costs):
        return cheapest(costs)

    vars(oracle).update(own)
    return oracle


@pytest.mark.parametrize("own, named", [
    ({"sense": "minimize"}, "sense must be one of 'min', 'max'"),
    ({"sense": 1}, "sense must be"),
    ({"gap": float("nan")}, "gap must be a number >= 0"),
    ({"gap": -1.0}, "gap must be"),
    ({"gap": "small"}, "gap must be"),
])  # fmt: skip
def test_attributes_of_an_oracle_are_checked(own, named):
    with pytest.raises(ValueError, match=named):
        OracleLayer(with_attributes(**own))


@pytest.mark.parametrize("options, named", [
    ({"n_jobs": "2"}, "n_jobs"), ({"n_jobs": True}, "n_jobs"), ({"seed": "a"}, "seed"),
    ({"seed": -1}, "seed"),
    ({"solve_ratio": 0.5, "pool": np.ones(3)}, r"pool must have shape \(K, any\), got \(3,\)"),
    ({"solve_ratio": 0.5, "pool": np.ones((2, 4)), "shape": 3}, r"pool must .* \(K, 3\)"),
])  # fmt: skip
def test_options_are_checked(options, named):
    with pytest.raises(ValueError, match=named):
        OracleLayer(TopK(1), **options)


def test_a_cache_copies_what_an_oracle_may_write_to_again():
    buffer = np.zeros((1, 3))

    def reusing(costs):
        buffer[:] = cheapest(costs)
        return buffer

    layer = OracleLayer(reusing, cache=10**6)
    first, last = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[3.0, 2.0, 1.0]])
    found = [layer(costs).tolist() for costs in (first, last, first)]
    assert found == [[[1, 0, 0]], [[0, 0, 1]], [[1, 0, 0]]]
    assert layer.stats.cached == 1


def test_a_cache_tells_shapes_apart():
    layer, costs = OracleLayer(Assignment(), cache=10**6), torch.rand(1, 2, 3)
    layer(costs)
    other = costs.reshape(1, 3, 2)
    assert torch.equal(layer(other), OracleLayer(Assignment())(other))


def test_costs_of_another_size_have_a_pool_of_their_own():
    layer = OracleLayer(TopK(1), solve_ratio=0.5)
    for size in (3, 5, 3):
        assert layer(torch.rand(8, size)).sum(dim=-1).tolist() == [1.0] * 8
    assert layer.stats.pooled > 0


@pytest.mark.parametrize("oracle, said", [
    (lambda _: 1 / 0, "ZeroDivisionError: division by zero"),
    (lambda _: None, "the oracle returned None, no minimisers"),
    (lambda costs: cheapest(costs)[0], "returned 3 minimisers for 1 costs"),
    (lambda costs: cheapest(costs) * 1j, "they are complex"),
    (TopK(), "k is given once"),
])  # fmt: skip
@pytest.mark.parametrize("on_failure", ["raise", "nan"])
def test_a_message_says_what_an_oracle_raised(oracle, said, on_failure):
    layer = OracleLayer(oracle, on_failure=on_failure)
    if on_failure == "raise":
        with pytest.raises(lpgd.SolverError, match=said):
            layer(torch.rand(2, 3))
        return
    with pytest.warns(lpgd.SolverWarning, match=said):
        assert layer(torch.rand(2, 3)).isnan().all()


def test_instances_of_other_kinds():
    layer = OracleLayer(TopK())
    assert layer(torch.rand(2, 3), instances=torch.tensor([1, 2])).sum(-1).tolist() == [1, 2]
    with pytest.raises(lpgd.StructureError, match="instances must be a sequence or an array"):
        layer(torch.rand(2, 3), instances=2)
    paths = OracleLayer(GraphPath([(0, 1), (1, 2), (0, 2)], 0, 2))
    with pytest.raises(lpgd.SolverError, match="source and target must be a pair"):
        paths(torch.rand(2, 3), instances=[1, 2])


def test_the_objective_broadcasts_batch_dimensions_only():
    layer = OracleLayer(TopK(1))
    costs, x = torch.rand(2, 3), torch.rand(4, 1, 3)
    torch.testing.assert_close(layer.objective(costs, x), (costs * x).sum(-1))
    for wrong in (torch.rand(2, 1), torch.rand(2, 4), torch.tensor(1.0)):
        with pytest.raises(lpgd.StructureError, match="x must end in the shape"):
            layer.objective(costs, wrong)
    grid = OracleLayer(GridPath((2, 2)))
    costs, x = torch.rand(5, 2, 2), torch.rand(3, 1, 2, 2)
    torch.testing.assert_close(grid.objective(costs, x), (costs * x).sum((-2, -1)))


def test_costs_of_any_size_give_the_same_gradient():
    layer = OracleLayer(TopK(2))
    costs, dx = torch.rand(3, 5, dtype=torch.float64), torch.rand(3, 5, dtype=torch.float64)
    found = []
    for size in (1.0, 2.0**-400, 2.0**400):
        given = (costs * size).requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            layer(given).backward(dx)
        found.append(given.grad * size)
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])


def test_costs_points_and_objects_that_do_not_fit_are_named():
    costs = torch.rand(4, 5)
    layer = OracleLayer(lambda c: list(c), features=lambda x: x, offset=lambda _: 1.0)
    with pytest.raises(lpgd.StructureError, match="costs must be dense"):
        layer(costs.to_sparse())
    for wrong, told in (
        (costs[:2], "batch dimensions do not broadcast"),
        (costs.numpy(), r"x must be a torch\.Tensor"),
        (costs.to(torch.complex64), "x must be real numbers"),
    ):
        with pytest.raises(lpgd.StructureError, match=told):
            layer.objective(costs, wrong)
    with pytest.raises(lpgd.StructureError, match=r"costs must be a torch\.Tensor"):
        layer.objective(costs.numpy(), costs)
    with pytest.raises(lpgd.StructureError, match="4 objects are needed, got 2"):
        layer.objective(costs, costs, [1, 2])


def test_a_pool_with_a_gradient_and_instances_that_are_none_are_refused_by_name():
    with pytest.raises(ValueError, match="pool must be an array of numbers"):
        OracleLayer(TopK(1), solve_ratio=0.5, pool=torch.ones(1, 5, requires_grad=True))
    with pytest.raises(lpgd.StructureError, match="2 instances are needed, got 3"):
        TopK()(np.ones((2, 3)), 3)
