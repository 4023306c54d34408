import tracemalloc

import numpy as np
import pytest
import torch
from scipy import sparse

import lpgd
from lpgd.torch import LPLayer, QPLayer, Sparse
from tests.torch.programs import assignment_lp, leaves

SIDES = pytest.mark.parametrize("side", ["lower", "average"])


def sparse_lp(size=3, rows=6, n=10, seed=0):
    """A dense LP over the unit box whose G and A have few entries, one of them a stored zero."""
    draw = np.random.default_rng(seed)
    G = sparse.random(rows, n, 0.4, "csr", rng=draw)
    A = sparse.random(2, n, 0.5, "csr", rng=draw)
    G.data[2] = 0.0
    data = {
        "c": draw.normal(size=(size, n)),
        "G": G.toarray(),
        "h": 0.3 * np.asarray(G.sum(axis=1)).T + 0.05 * draw.random((size, rows)),
        "A": A.toarray(),
        "b": 0.3 * np.asarray(A.sum(axis=1)).T,
        "lb": np.zeros(n),
        "ub": np.ones(n),
    }
    return leaves({name: torch.from_numpy(value) for name, value in data.items()}), G, A


def places(pattern):
    coo = pattern.tocoo()
    return torch.from_numpy(coo.row).long(), torch.from_numpy(coo.col).long()


def pulled(layer, data, weight):
    solution = layer(**data, return_duals=True)
    loss = (weight * solution.x).sum() + 0.1 * sum(dual.square().sum() for dual in solution[1:])
    loss.backward()
    return solution


@SIDES
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_equals_dense_and_gradients_land_on_the_pattern(side, form):
    dense, G, A = sparse_lp()
    weight = torch.randn(3, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rule = lpgd.LPGD(0.5, side=side)
    expected = pulled(LPLayer(rule, "highs"), dense, weight)
    assert dense["c"].grad.any()

    G, A = G.asformat(form), A.asformat(form)
    values = leaves({"G": torch.from_numpy(G.data), "A": torch.from_numpy(A.data)})
    others = leaves({k: v for k, v in dense.items() if k not in values})
    matrices = {"G": Sparse(G, values["G"]), "A": Sparse(A, values["A"])}
    layer = LPLayer(rule)  # "auto" takes HiGHS for sparse arguments
    solution = pulled(layer, others | matrices, weight)
    for got, want in zip(solution, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
    for name, leaf in others.items():
        torch.testing.assert_close(leaf.grad, dense[name].grad, rtol=1e-8, atol=1e-8, msg=name)
    for name, pattern in (("G", G), ("A", A)):
        assert values[name].grad.shape == (pattern.nnz,)
        want = dense[name].grad[places(pattern)]
        torch.testing.assert_close(values[name].grad, want, rtol=1e-8, atol=1e-8, msg=name)
    assert values["G"].grad.any()


def test_exact_on_a_sparse_LP():
    dense, G, _ = sparse_lp(1)
    del dense["A"], dense["b"]
    weight = torch.randn(1, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pulled(LPLayer(lpgd.Exact(), "highs"), dense, weight)
    values = torch.from_numpy(G.data).requires_grad_()
    pulled(LPLayer(lpgd.Exact()), dense | {"G": Sparse(G, values)}, weight)
    torch.testing.assert_close(values.grad, dense["G"].grad[places(G)], rtol=1e-8, atol=1e-8)


def test_batched_values_against_a_loop():
    data, G, _ = sparse_lp()
    del data["A"], data["b"]
    scale = torch.tensor([[[1.0], [1.5]]], dtype=torch.float64)  # (1, 2, 1) against (3, 1)
    values = (scale * torch.from_numpy(G.data)).requires_grad_()
    data["c"] = data["c"].detach()[:, None]
    data["h"] = data["h"].detach()[:, None]
    layer = LPLayer(lpgd.LPGD(0.5))
    x = layer(**data | {"G": Sparse(G, values)})
    assert x.shape == (3, 2, 10)
    x.square().sum().backward()
    assert values.grad.shape == (1, 2, G.nnz)
    total = torch.zeros_like(values)
    for i in range(3):
        for j in range(2):
            value = values.detach()[0, j].clone().requires_grad_()
            element = data | {"c": data["c"][i, 0], "h": data["h"][i, 0], "G": Sparse(G, value)}
            one = layer(**element)
            torch.testing.assert_close(x[i, j], one, rtol=1e-9, atol=1e-9)
            one.square().sum().backward()
            total[0, j] += value.grad
    assert total.any()
    torch.testing.assert_close(values.grad, total, rtol=1e-8, atol=1e-8)


def test_sparse_G_beside_dense_A():
    dense, G, _ = sparse_lp()
    weight = torch.ones(3, 10, dtype=torch.float64)
    pulled(LPLayer(lpgd.LPGD(0.5), "highs"), dense, weight)
    values = torch.from_numpy(G.data).requires_grad_()
    mixed = leaves({k: v for k, v in dense.items() if k != "G"})
    pulled(LPLayer(lpgd.LPGD(0.5)), mixed | {"G": Sparse(G, values)}, weight)
    torch.testing.assert_close(values.grad, dense["G"].grad[places(G)], rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(mixed["A"].grad, dense["A"].grad, rtol=1e-8, atol=1e-8)


def coo_leaf(dense):
    """A COO tensor that is the leaf itself."""
    leaf = dense.detach().to_sparse().requires_grad_()
    return leaf, leaf, lambda: leaf.grad.to_dense()


def coo_of_a_dense_leaf(dense):
    leaf = dense.detach().clone().requires_grad_()
    return leaf.to_sparse(), leaf, lambda: leaf.grad.to_dense()


def coo_of_values(dense):
    """Out of order and with a duplicate entry, as torch allows."""
    rows, cols = dense.detach().nonzero(as_tuple=True)
    values = dense.detach()[rows, cols].flip(0)
    values[0] *= 0.5
    values = torch.cat([values, values[:1]]).requires_grad_()
    indices = torch.stack([rows.flip(0), cols.flip(0)])
    indices = torch.cat([indices, indices[:, :1]], dim=1)
    matrix = torch.sparse_coo_tensor(indices, values, dense.shape, check_invariants=False)

    def gradient():
        assert values.grad[0] == values.grad[-1]  # both add to the same entry
        full = torch.zeros_like(dense)
        full[indices[0], indices[1]] = values.grad
        return full

    return matrix, values, gradient


@pytest.mark.parametrize("make", [coo_leaf, coo_of_a_dense_leaf, coo_of_values])
def test_gradients_flow_back_through_COO_tensors(make):
    dense, _, _ = sparse_lp()
    weight = torch.ones(3, 10, dtype=torch.float64)
    expected = pulled(LPLayer(lpgd.LPGD(0.5), "highs"), dense, weight)
    matrix, leaf, gradient = make(dense["G"])
    solution = pulled(LPLayer(lpgd.LPGD(0.5)), dense | {"G": matrix}, weight)
    torch.testing.assert_close(solution.x, expected.x, rtol=1e-9, atol=1e-9)
    assert leaf.grad is not None
    stored = dense["G"] != 0
    want = torch.where(stored, dense["G"].grad, 0.0)
    assert want.any()
    torch.testing.assert_close(gradient(), want, rtol=1e-8, atol=1e-8)


def test_shortest_paths_as_a_sparse_LP():
    """A use: node-arc incidence of a grid; the gradient moves the costs along both paths."""
    size = 5
    arcs = [(i, i + 1) for i in range(size * size) if (i + 1) % size]
    arcs += [(i, i + size) for i in range(size * (size - 1))]
    tails, heads = np.array(arcs).T
    count = np.arange(len(arcs))
    incidence = sparse.csr_matrix(
        (np.r_[np.ones(len(arcs)), -np.ones(len(arcs))], (np.r_[tails, heads], np.r_[count, count]))
    )
    b = torch.zeros(size * size, dtype=torch.float64)
    b[0], b[-1] = 1.0, -1.0
    draw = torch.Generator().manual_seed(0)
    c = (torch.rand(4, len(arcs), generator=draw, dtype=torch.float64) + 0.1).requires_grad_()
    A = Sparse(incidence, torch.from_numpy(incidence.data))
    lb, ub = torch.zeros(len(arcs), dtype=torch.float64), torch.ones(len(arcs), dtype=torch.float64)
    x = LPLayer(lpgd.LPGD(1.0, side="lower"))(c, A=A, b=b, lb=lb, ub=ub)
    assert torch.equal(x, x.round())
    assert (x.sum(1) == 2 * (size - 1)).all()
    x.backward(-2 * c.detach())  # the tilted costs are -c: the longest path instead
    assert torch.equal(c.grad, c.grad.round())
    assert not c.grad.sum(1).any()
    assert (c.grad.abs().sum(1) > 0).all()


def test_engines_agree_on_a_dense_LP():
    lp = assignment_lp(4)
    lp["c"] = torch.randn(4, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    answers = []
    for engine in ("daqp", "highs"):
        data = leaves(lp)
        x = LPLayer(lpgd.LPGD(3.0), engine)(**data)
        x.square().sum().backward()
        answers.append((x.detach(), data["c"].grad))
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_rho_is_refused_before_the_first_solve():
    data, G, _ = sparse_lp()
    layer = LPLayer(lpgd.LPGD(1.0, rho=0.1), "highs")
    message = "rho > 0 turns the tilted LP into a QP.*Use rho = 0, or.*'daqp' for dense.*'piqp'"
    with pytest.raises(lpgd.EngineError, match=message):
        layer(**data | {"G": Sparse(G, torch.from_numpy(G.data))})
    assert layer.stats.solves == 0


def test_rho_smooths_a_sparse_LP():
    grads = []
    for stored in (False, True):
        data, pattern, _ = sparse_lp()
        G = Sparse(pattern, data["G"][places(pattern)]) if stored else data["G"]
        x = LPLayer(lpgd.LPGD(1.0, rho=0.5))(**data | {"G": G})
        x.square().sum().backward()
        grads.append((x.detach(), data["c"].grad, data["h"].grad))
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-7)


def test_daqp_takes_no_sparse_argument():
    data, G, _ = sparse_lp()
    with pytest.raises(lpgd.EngineError, match="engine 'daqp' takes dense arguments only"):
        LPLayer(lpgd.LPGD(1.0), "daqp")(**data | {"G": Sparse(G, torch.from_numpy(G.data))})


def test_wrong_patterns():
    G = sparse.csr_matrix(np.eye(2, 3))
    values = torch.ones(2, dtype=torch.float64)
    with pytest.raises(lpgd.StructureError, match="must be a scipy CSR or CSC matrix, got ndarray"):
        Sparse(G.toarray(), values)
    with pytest.raises(lpgd.StructureError, match="CSR or CSC matrix, got coo_matrix"):
        Sparse(G.tocoo(), values)
    twice = sparse.csr_matrix((np.ones(2), np.zeros(2, dtype=int), [0, 2, 2]), shape=(2, 3))
    with pytest.raises(lpgd.StructureError, match=r"duplicate entries; call sum_duplicates\(\)"):
        Sparse(twice, values)


@pytest.mark.parametrize(
    "values, given",
    [
        (torch.ones(3), r"\(3,\)"),
        (torch.ones(2, 1), r"\(2, 1\)"),
        (torch.tensor(1.0), r"\(\)"),
        (np.ones(2), "ndarray"),
    ],
)
def test_values_that_do_not_fit_the_pattern(values, given):
    with pytest.raises(lpgd.StructureError, match=rf"shape \(..., 2\), got {given}$"):
        Sparse(sparse.csr_matrix(np.eye(2, 3)), values)


def test_the_pattern_keeps_stored_zeros_and_prints():
    G = sparse.csr_matrix((np.array([0.0, 1.0]), ([0, 1], [2, 0])), shape=(2, 3))
    matrix = Sparse(G, torch.ones(4, 2))
    assert matrix.pattern.rows.tolist() == [0, 1]
    assert matrix.pattern.cols.tolist() == [2, 0]
    assert repr(matrix) == "Sparse(shape=(2, 3), values=(4, 2))"


@pytest.mark.parametrize("layer", [LPLayer, QPLayer])
def test_nothing_dense_is_made_of_sparse_rows(layer):
    rng, (m, n) = np.random.default_rng(0), (1000, 3000)
    matrix = sparse.random_array((m, n), density=1e-3, rng=rng, format="csr")
    h = torch.tensor(matrix @ rng.uniform(size=n) + 0.1)
    values = torch.tensor(matrix.data, requires_grad=True)
    costs = torch.tensor(rng.normal(size=n))
    eye = Sparse(sparse.eye_array(n, format="csr"), torch.ones(n, dtype=torch.float64))
    given = (costs,) if layer is LPLayer else (eye, costs)
    bounds = {"lb": torch.zeros(n, dtype=torch.float64), "ub": torch.ones(n, dtype=torch.float64)}
    tracemalloc.start()
    x = layer()(*given, G=Sparse(matrix, values), h=h, **bounds)
    x.square().sum().backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert values.grad.isfinite().all()
    assert peak < 0.5 * 8 * m * n
