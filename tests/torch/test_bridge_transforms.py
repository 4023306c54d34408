"""torch.func and the like: vmap, grad, jacrev and what they make together."""

import torch
from scipy import sparse
from torch.func import grad, jacrev, vjp, vmap

import lpgd
from lpgd.torch import LPLayer, QPLayer, Sparse
from tests.torch.programs import differences, known_qp, leaves, random_qp

LAYER = QPLayer(lpgd.LPGD(1e-4))
NAMES = ("P", "q", "G", "h", "A", "b", "lb", "ub")


def solve(P, q, G, h):
    return LAYER(P, q, G, h)


def loss(P, q, G, h):
    return solve(P, q, G, h).square().sum()


def near(got, want, tolerance=1e-9):
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


def test_vmap_equals_the_batch():
    data = random_qp(6)
    near(vmap(solve, in_dims=(None, 0, 0, 0))(*data), solve(*data))


def test_vmap_over_other_dimensions_and_shared_arguments():
    P, q, G, h = random_qp(6)
    mapped = vmap(solve, in_dims=(None, 1, 2, None))(P, q.T, G.permute(1, 2, 0), h[0])
    near(mapped, solve(P, q, G, h[0]))
    moved = vmap(solve, in_dims=(None, -1, None, 0), out_dims=1)(P, q.T, G[0], h)
    near(moved, solve(P, q, G[0], h).T)


def test_vmap_shares_one_set_up_where_the_matrices_are_not_mapped():
    P, q, G, h = random_qp(6)
    layer = QPLayer(lpgd.LPGD(0.1))
    vmap(lambda q, h: layer(P, q, G[0], h))(q, h)
    assert (layer.stats.set_ups, layer.stats.solves) == (1, 6)


def test_vmap_returns_duals():
    data, known = known_qp(0)
    q = torch.stack([data.pop("q")] * 3)
    solution = vmap(lambda q: LAYER(q=q, **data, return_duals=True))(q)
    for got, want in zip(solution, known, strict=True):
        near(got, want.expand(3, -1), 1e-8)


def test_nested_vmap():
    P, q, G, h = random_qp(6)
    inner = vmap(lambda q, h: solve(P, q, G[0], h), in_dims=(None, 0))
    outer = vmap(inner, in_dims=(0, None))
    near(outer(q[:4], h), solve(P, q[:4, None], G[0], h[None]))


def test_vmap_over_arguments_with_other_batch_dimensions():
    """The mapped dimension comes before those that broadcast, whatever their number."""
    P, _, G, _ = random_qp()
    _, q, _, _ = random_qp(3, 2, 5)
    _, _, _, h = random_qp(3, 5)
    mapped = vmap(lambda q, h: solve(P, q, G, h))(q, h)
    near(mapped, solve(P, q, G, h[:, None]))
    pulled = vmap(grad(loss, argnums=(0, 1, 3)), in_dims=(None, 0, None, 0))(P, q, G, h)
    for i in range(3):
        one = grad(loss, argnums=(0, 1, 3))(P, q[i], G, h[i])
        for got, want in zip(pulled, one, strict=True):
            near(got[i], want)


def test_vmap_of_grad_with_shared_arguments_gives_one_gradient_each():
    P, q, G, h = random_qp(6)
    pulled = vmap(grad(loss, argnums=(0, 1, 2, 3)), in_dims=(None, 0, None, 0))(P, q, G[0], h)
    for i in range(6):
        one = grad(loss, argnums=(0, 1, 2, 3))(P, q[i], G[0], h[i])
        for got, want in zip(pulled, one, strict=True):
            near(got[i], want)


def test_grad_of_vmap():
    P, q, G, h = random_qp(6)
    mapped = grad(lambda P: vmap(lambda q, G, h: loss(P, q, G, h))(q, G, h).sum())(P)
    near(mapped, grad(loss)(P, q, G, h))


def test_jacrev_of_all_data_against_finite_differences():
    data, _ = known_qp(1)

    def function(*values):
        return LAYER(**dict(zip(NAMES, values, strict=True)))

    jacobians = jacrev(function, tuple(range(8)))(*(data[name] for name in NAMES))
    lengths = (1, 4, 6)  # of y, z and z_box
    for row, unit in enumerate(torch.eye(6, dtype=torch.float64)):
        weights = [unit, *(torch.zeros(k, dtype=torch.float64) for k in lengths)]
        for name, jacobian in zip(NAMES, jacobians, strict=True):
            near(jacobian[row], differences(LAYER, data, name, weights), 1e-5)


def test_jacrev_with_more_cotangents_than_elements():
    P, q, G, h = random_qp(3)
    jacobian = jacrev(lambda q: solve(P, q, G, h))(q)  # twelve cotangents of three elements
    assert jacobian.shape == (3, 4, 3, 4)
    for i in range(3):
        near(jacobian[i, :, i], jacrev(lambda q, i=i: solve(P, q, G[i], h[i]))(q[i]))
        for j in range(3):
            assert i == j or not jacobian[i, :, j].any()


def test_jacrev_of_a_shared_argument():
    P, q, G, h = random_qp(3)
    jacobian = jacrev(lambda P: solve(P, q, G, h))(P)
    for i in range(3):
        near(jacobian[i], jacrev(lambda P, i=i: solve(P, q[i], G[i], h[i]))(P))


def test_vmap_of_jacrev():
    P, q, G, h = random_qp(6)
    function = jacrev(solve, argnums=(0, 1, 2))
    mapped = vmap(function, in_dims=(None, 0, 0, 0))(P, q, G, h)
    for i in range(6):
        for got, want in zip(mapped, function(P, q[i], G[i], h[i]), strict=True):
            near(got[i], want)


def test_nested_vmap_of_jacrev():
    P, q, G, h = random_qp(4)
    function = jacrev(lambda q, h: solve(P, q, G[0], h), argnums=(0, 1))
    mapped = vmap(vmap(function, in_dims=(None, 0)), in_dims=(0, None))(q, h[:3])
    for i in range(4):
        for j in range(3):
            for got, want in zip(mapped, function(q[i], h[j]), strict=True):
                near(got[i, j], want)


def test_jacrev_of_vmap():
    P, q, G, h = random_qp(3)
    mapped = jacrev(lambda q: vmap(solve, in_dims=(None, 0, 0, 0))(P, q, G, h))(q)
    near(mapped, jacrev(lambda q: solve(P, q, G, h))(q))


def test_vmap_over_cotangents_alone():
    P, q, G, h = random_qp(3)
    x, pull = vjp(lambda q, G: solve(P, q, G, h), q, G)
    rows = torch.randn(5, *x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0))
    for got, k in zip(vmap(pull)(rows), range(2), strict=True):
        near(got, torch.stack([pull(row)[k] for row in rows]))
    by_chunks = vmap(pull, chunk_size=2)(rows)
    near(by_chunks[0], vmap(pull)(rows)[0])


def test_vmap_over_the_values_of_a_sparse_matrix():
    G = sparse.csr_matrix([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    values = torch.tensor([[1.0, 2.0, 1.0, 1.0], [2.0, 1.0, 1.0, 3.0]], dtype=torch.float64)
    c, h, ub = (torch.ones(k, dtype=torch.float64) for k in (3, 2, 3))
    layer = LPLayer(lpgd.LPGD(5.0, side="lower"))

    def reach(v):
        return layer(-c, Sparse(G, v), h, lb=-ub, ub=2 * ub).square().sum()

    mapped = vmap(grad(reach))(values)
    assert mapped.abs().max() > 0.01
    near(mapped, torch.stack([grad(reach)(v) for v in values]))


def test_no_grad_around_a_functional_gradient():
    data = random_qp(3)
    expected = grad(loss)(*data)
    with torch.no_grad():
        near(grad(loss)(*data), expected)


def test_gradcheck():
    data = leaves(dict(zip("PqGh", random_qp(2), strict=True)))

    def function(P, q, G, h):
        return LAYER(0.5 * (P + P.mT), q, G, h, return_duals=True)

    assert torch.autograd.gradcheck(function, list(data.values()), atol=1e-5, rtol=1e-4)
