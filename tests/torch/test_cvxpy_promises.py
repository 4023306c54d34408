"""Promised: what the constructor takes and refuses, and what a call takes and returns.

The promises are those of cvxpylayers 1.2.0: its README, guides and docstrings, in our words.
"""

import inspect

import cvxpy as cp
import pytest
import torch
from torch import nn

from tests.torch.promised import ACCURATE, ACCURATE_GRADIENTS, CvxpyLayer, tensor


def two_parameters():
    """minimise |x - a|² + b'x: x* = a - b/2."""
    x, a, b = cp.Variable(2), cp.Parameter(2), cp.Parameter(2)
    return x, a, b, cp.Problem(cp.Minimize(cp.sum_squares(x - a) + b @ x))


def test_constructor_arguments_keep_their_names_and_order() -> None:
    names = [p.name for p in inspect.signature(CvxpyLayer).parameters.values()]
    order = "problem parameters variables solver gp verbose canon_backend solver_args"
    assert names[:8] == order.split()


def test_it_is_a_module() -> None:
    x, a, b, problem = two_parameters()
    layer = CvxpyLayer(problem, [a, b], [x])
    assert isinstance(layer, nn.Module)
    model = nn.ModuleDict({"first": nn.Linear(3, 2, dtype=torch.float64), "layer": layer})
    model = model.to(torch.float64).train().eval()
    (found,) = model["layer"](
        model["first"](torch.ones(4, 3, dtype=torch.float64)), tensor([1.0, 2])
    )
    found.sum().backward()
    assert found.shape == (4, 2)
    assert model["first"].weight.grad.shape == (2, 3)


@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_and_tuples_will_do(kind: type) -> None:
    x, a, b, problem = two_parameters()
    (found,) = CvxpyLayer(problem, kind([a, b]), kind([x]))(tensor([1.0, 2]), tensor([0.0, 0]))
    assert found.shape == (2,)


@pytest.mark.parametrize("wrong", ["parameters", "variables"])
def test_sets_are_refused(wrong: str) -> None:
    x, a, b, problem = two_parameters()
    given = {"parameters": [a, b], "variables": [x]}
    given[wrong] = set(given[wrong])
    with pytest.raises(ValueError, match=f"{wrong} must be provided as a list or tuple"):
        CvxpyLayer(problem, **given)


def test_parameters_must_be_those_of_the_problem() -> None:
    x, a, b, problem = two_parameters()
    for given in ([a], [a, b, cp.Parameter(2)], [a, cp.Parameter(2)], []):
        with pytest.raises(ValueError, match="must exactly match"):
            CvxpyLayer(problem, given, [x])


def test_variables_must_belong_to_the_problem() -> None:
    x, a, b, problem = two_parameters()
    elsewhere = x >= 7
    for stranger in (cp.Variable(2), elsewhere.dual_variables[0]):
        with pytest.raises(ValueError, match="must be a subset of"):
            CvxpyLayer(problem, [a, b], [x, stranger])


def test_programs_outside_dpp_are_refused() -> None:
    x, p, q = cp.Variable(2), cp.Parameter(2, pos=True), cp.Parameter(pos=True)
    for objective in (cp.sum(x / p), cp.sum_squares(q * (p @ x)), cp.sum(cp.power(x, 2) * q**2)):
        problem = cp.Problem(cp.Minimize(objective), [x >= 1])
        with pytest.raises(ValueError, match="DPP"):
            CvxpyLayer(problem, problem.parameters(), [x])


def test_a_geometric_program_must_be_dpp_too() -> None:
    x, p = cp.Variable(pos=True), cp.Parameter()
    problem = cp.Problem(cp.Minimize(x), [x >= p])  # p may be negative
    with pytest.raises(ValueError, match=r"DPP|DGP"):
        CvxpyLayer(problem, [p], [x], gp=True)


def test_tensors_come_in_the_order_of_the_parameters() -> None:
    x, a, b, problem = two_parameters()
    first, second = tensor([1.0, 2.0]), tensor([-4.0, 6.0])
    (one,) = CvxpyLayer(problem, [a, b], [x], **ACCURATE)(first, second)
    (two,) = CvxpyLayer(problem, [b, a], [x], **ACCURATE)(second, first)
    torch.testing.assert_close(one, first - second / 2, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-6)


def test_results_come_in_the_order_of_the_variables() -> None:
    x, y, z = cp.Variable(2), cp.Variable((2, 2)), cp.Variable()
    p = cp.Parameter()
    squares = cp.sum_squares(x - 1 - p) + cp.sum_squares(y - 2 - p) + cp.square(z - 3 - p)
    layer = CvxpyLayer(cp.Problem(cp.Minimize(squares)), [p], [z, x, y, z], **ACCURATE)
    found = layer(tensor(0.5))
    assert [tuple(result.shape) for result in found] == [(), (2,), (2, 2), ()]
    for result, value in zip(found, (3.5, 1.5, 2.5, 3.5), strict=True):
        torch.testing.assert_close(result, torch.full_like(result, value), rtol=1e-5, atol=1e-5)


def test_one_variable_is_a_tuple_of_one() -> None:
    x, a, b, problem = two_parameters()
    found = CvxpyLayer(problem, [a, b], [x])(tensor([1.0, 2.0]), tensor([0.0, 1.0]))
    assert isinstance(found, tuple)
    assert len(found) == 1


@pytest.mark.parametrize("given", [0, 1, 3])
def test_one_tensor_for_each_parameter(given: int) -> None:
    x, a, b, problem = two_parameters()
    layer = CvxpyLayer(problem, [a, b], [x])
    with pytest.raises(ValueError, match=f"each CVXPY parameter.*{given}.*2"):
        layer(*[torch.ones(2, dtype=torch.float64)] * given)


@pytest.mark.parametrize(
    "shapes, message",
    [
        (((3,), (2,)), "Invalid parameter shape for parameter 0"),
        (((2,), (5, 3)), "Invalid parameter shape for parameter 1"),
        (((), (2,)), "Invalid parameter dimensionality for parameter 0"),
        (((4, 2), (3, 2)), "Inconsistent batch sizes"),
    ],
)
def test_wrong_shapes_are_named(shapes: tuple, message: str) -> None:
    x, a, b, problem = two_parameters()
    with pytest.raises(ValueError, match=message):
        CvxpyLayer(problem, [a, b], [x])(*(torch.ones(s, dtype=torch.float64) for s in shapes))


@pytest.mark.parametrize("batch", [(), (1,), (5,)])
def test_batch_dimension_is_kept(batch: tuple) -> None:
    """A batch of one is a batch, in results and gradients."""
    x, a, b, problem = two_parameters()
    at = torch.ones(*batch, 2, dtype=torch.float64, requires_grad=True)
    (found,) = CvxpyLayer(problem, [a, b], [x])(at, tensor([0.5, 0.5]))
    found.sum().backward()
    assert found.shape == at.shape == at.grad.shape


def test_scalar_parameters() -> None:
    """A scalar has shape (), its batch (B,)."""
    x, p = cp.Variable(), cp.Parameter()
    layer = CvxpyLayer(cp.Problem(cp.Minimize(cp.square(x - p))), [p], [x], **ACCURATE)
    for value in (tensor(2.0), tensor([1.0, 2.0, 3.0])):
        (found,) = layer(value)
        assert found.shape == value.shape
        torch.testing.assert_close(found, value, rtol=1e-5, atol=1e-5)


def test_without_gradients() -> None:
    x, a, b, problem = two_parameters()
    layer = CvxpyLayer(problem, [a, b], [x])
    with torch.no_grad():
        (quiet,) = layer(tensor([1.0, 2.0]), tensor([0.0, 0.0]))
    (constant,) = layer(torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    assert not quiet.requires_grad
    assert not constant.requires_grad


def test_only_what_requires_a_gradient_gets_one() -> None:
    x, a, b, problem = two_parameters()
    at, fixed = tensor([1.0, 2.0]), torch.zeros(2, dtype=torch.float64)
    (found,) = CvxpyLayer(problem, [a, b], [x], **ACCURATE_GRADIENTS)(at, fixed)
    found.sum().backward()
    torch.testing.assert_close(at.grad, torch.ones_like(at), rtol=1e-4, atol=1e-5)
    assert fixed.grad is None


def test_parameters_need_no_values() -> None:
    """Neither before nor after: the layer leaves the problem's parameters as they are."""
    x, a, b, problem = two_parameters()
    CvxpyLayer(problem, [a, b], [x])(tensor([1.0, 2.0]), tensor([0.0, 0.0]))
    assert a.value is None
    assert b.value is None


def test_layers_may_share_a_problem_and_parameters() -> None:
    x, a, b, problem = two_parameters()
    y = cp.Variable(2)
    other = cp.Problem(cp.Minimize(cp.sum_squares(y + a)))
    first = CvxpyLayer(problem, [a, b], [x], **ACCURATE_GRADIENTS)
    again = CvxpyLayer(problem, [b, a], [x], **ACCURATE_GRADIENTS)
    second = CvxpyLayer(other, [a], [y], **ACCURATE_GRADIENTS)
    at, zero = tensor([1.0, 2.0]), tensor([0.0, 0.0])
    total = first(at, zero)[0] + 10 * again(zero, at)[0] + 100 * second(at)[0]
    total.sum().backward()
    torch.testing.assert_close(at.grad, torch.full((2,), -89.0).double(), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore")  # of the compiler about itself
def test_inside_a_compiled_function() -> None:
    x, a, b, problem = two_parameters()
    layer = CvxpyLayer(problem, [a, b], [x], solver="MOREAU")

    @torch.compile(backend="eager")
    def model(at: torch.Tensor) -> torch.Tensor:
        return layer(2 * at, torch.zeros(2, dtype=torch.float64))[0].sum()

    at = tensor([1.0, 2.0])
    model(at).backward()
    torch.testing.assert_close(at.grad, torch.full_like(at, 2.0), rtol=1e-4, atol=1e-4)
