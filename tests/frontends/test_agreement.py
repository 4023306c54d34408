"""torch, JAX and the numpy core agree, forward and backward, alone and in batches."""

import numpy as np
import pytest

from lpgd.frontend.mapped import Derivative
from tests.frontends.operations import OPERATIONS

SIZE = 3


@pytest.fixture(params=OPERATIONS, ids=lambda operation: operation.name)
def operation(request):
    return request.param


@pytest.fixture
def jax():
    found = pytest.importorskip("jax")
    before = found.config.jax_enable_x64
    found.config.update("jax_enable_x64", True)
    yield found
    found.config.update("jax_enable_x64", before)


def in_core(operation, data):
    """Outputs, weights of a linear loss of them, and its gradients, by the numpy core."""
    program, arrays = operation.core(), list(data.values())
    shape = program.batch([array.shape for array in arrays])
    forward, outputs = program.solve(arrays, shape, 2.0**-52, keep=True)
    draw = np.random.default_rng(7)
    weights = [draw.normal(size=output.shape) for output in outputs]
    way = Derivative(push=False, flags=(True,) * len(arrays))
    gradients = program.pullback(forward, way, weights, [array.shape for array in arrays])
    return outputs, weights, gradients


def close(found, expected, tolerance):
    assert len(found) == len(expected)
    for got, want in zip(found, expected, strict=True):
        got = np.asarray(got).reshape(want.shape)
        size = max(1.0, np.abs(want).max(initial=0.0))
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * size)


@pytest.mark.parametrize("batched", [False, True])
def test_torch(operation, batched):
    torch = pytest.importorskip("torch")
    data = operation.batch(SIZE) if batched else operation.data
    outputs, weights, gradients = in_core(operation, data)
    leaves = [torch.from_numpy(np.array(array)).requires_grad_() for array in data.values()]
    found = operation.torch(*leaves)
    pairs = zip(weights, found, strict=True)
    loss = sum((torch.from_numpy(w).reshape(o.shape) * o).sum() for w, o in pairs)
    loss.backward()
    close([o.detach().numpy() for o in found], outputs, operation.tolerance)
    close([leaf.grad.numpy() for leaf in leaves], gradients, operation.tolerance)


def run(jax, operation, solve, data, weights):
    """Outputs and gradients of the linear loss, by JAX."""

    def loss(*arrays):
        found = solve(*arrays)
        own = [w.reshape(o.shape) for w, o in zip(weights, found, strict=True)]
        return sum((w * o).sum() for w, o in zip(own, found, strict=True)), found

    places = tuple(range(len(data)))
    (_, outputs), gradients = jax.value_and_grad(loss, places, has_aux=True)(*data.values())
    return outputs, gradients


@pytest.mark.parametrize(
    "how, compiled", [("alone", False), ("batch", True), ("vmap", False), ("vmap", True)]
)
def test_jax(operation, jax, how, compiled):
    data = operation.data if how == "alone" else operation.batch(SIZE)
    outputs, weights, gradients = in_core(operation, data)
    solve = jax.vmap(operation.jax, operation.axes()) if how == "vmap" else operation.jax
    solve = jax.jit(solve) if compiled else solve
    found, pulled = run(jax, operation, solve, data, weights)
    close(found, outputs, operation.tolerance)
    close(pulled, gradients, operation.tolerance)
    assert {array.dtype for array in (*found, *pulled)} == {np.dtype("float64")}


def test_gradients_of_each_element(operation, jax):
    data = operation.batch(SIZE)
    weights = in_core(operation, operation.data)[1]

    def loss(*arrays):
        found = operation.jax(*arrays)
        return sum((w.reshape(o.shape) * o).sum() for w, o in zip(weights, found, strict=True))

    each = jax.vmap(jax.grad(loss, tuple(range(len(data)))), operation.axes())
    found = jax.jit(each)(*data.values())
    for row in range(SIZE):
        own = {**data, operation.moved: data[operation.moved][row]}
        program, arrays = operation.core(), list(own.values())
        forward, _ = program.solve(arrays, (), 2.0**-52, keep=True)
        way = Derivative(push=False, flags=(True,) * len(arrays))
        want = program.pullback(forward, way, weights, [array.shape for array in arrays])
        close([gradient[row] for gradient in found], want, operation.tolerance)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of its torch.jit
def test_tangents(operation, jax):
    torch = pytest.importorskip("torch")
    data, draw = operation.data, np.random.default_rng(3)
    ways = [np.where(np.isfinite(a), draw.normal(size=a.shape), 0.0) for a in data.values()]
    if "P" in data:
        ways[0] = ways[0] + ways[0].T
    _, found = jax.jvp(lambda *a: tuple(operation.jax(*a)), tuple(data.values()), tuple(ways))
    fwd = torch.autograd.forward_ad
    with fwd.dual_level():
        pairs = zip(data.values(), ways, strict=True)
        duals = [fwd.make_dual(*map(torch.from_numpy, map(np.array, pair))) for pair in pairs]
        want = [fwd.unpack_dual(output).tangent.numpy() for output in operation.torch(*duals)]
    close(found, want, operation.forward)
