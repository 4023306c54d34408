"""QPs with sparse P, G and A as a layer: what is promised of all layers holds for them."""

import itertools

import numpy as np
import pytest
import torch
from scipy import sparse

import lpgd
from lpgd.torch import ConicLayer, QPLayer, Sparse
from tests.torch.programs import leaves

RULES = pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.Exact(), lpgd.LPGD(1e-6)], ids=str)
N = 450  # large enough for sparse systems


def data(seed=0, n=N, size=None):
    """A QP with a unique solution; matrices are scipy's, vectors may have a batch dimension."""
    rng = np.random.default_rng(seed)
    root = sparse.random(n, n, 1.5 / n, "csr", rng=rng) + sparse.eye(n)
    G = sparse.random(n // 3, n, 3 / n, "csr", rng=rng) + sparse.eye(n // 3, n)
    A = sparse.random(n // 9, n, 3 / n, "csr", rng=rng) + sparse.eye(n // 9, n, k=n // 2)
    lead = () if size is None else (size,)
    return {
        "P": (root.T @ root).tocsr(),
        "q": rng.normal(size=(*lead, n)),
        "G": G.tocsr(),
        "h": 0.3 * rng.random(n // 3),
        "A": A.tocsr(),
        "b": 0.1 * rng.normal(size=n // 9),
        "lb": np.full(n, -1.0),
        "ub": np.full(n, 0.5),
    }


def arguments(given, dtype=torch.float64, sparse_names="PGA"):
    """Leaves, and the layer's arguments made of them."""
    values = {k: v.data if sparse.issparse(v) else v for k, v in given.items()}
    found = leaves({k: torch.from_numpy(v).to(dtype) for k, v in values.items()})
    args = {}
    for name, value in found.items():
        if name in "PGA":
            stored = Sparse(given[name], value)
            args[name] = stored if name in sparse_names else dense(stored)
        else:
            args[name] = value
    return found, args


def dense(stored):
    where = tuple(map(torch.from_numpy, (stored.pattern.rows, stored.pattern.cols)))
    zero = torch.zeros(stored.pattern.shape, dtype=stored.values.dtype)
    return zero.index_put(where, stored.values)


@RULES
def test_gradients_against_finite_differences(rule):
    given, rng = data(), np.random.default_rng(1)
    weight = torch.from_numpy(rng.normal(size=N))
    found, args = arguments(given)
    layer = QPLayer(rule)
    (weight * layer(**args)).sum().backward()
    for name, leaf in found.items():
        way = rng.normal(size=leaf.shape)
        if name == "P":
            full = sparse.csr_matrix((way, given["P"].indices, given["P"].indptr), shape=(N, N))
            way = (0.5 * (full + full.T)).tocsr().data  # the same places, in the same order
        ends = []
        for step in (1e-6, -1e-6):
            moved = {k: torch.tensor(v.detach().numpy() + step * way * (k == name)) if k == name
                     else v.detach() for k, v in found.items()}  # fmt: skip
            args = {k: Sparse(given[k], v) if k in "PGA" else v for k, v in moved.items()}
            ends.append(float((weight * QPLayer()(**args)).sum()))
        slope = (ends[0] - ends[1]) / 2e-6
        assert float((leaf.grad.numpy() * way).sum()) == pytest.approx(slope, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("names", ["P", "G", "PA", "PGA"])
@pytest.mark.parametrize("rule", [lpgd.LPGD(), lpgd.Exact()])
def test_any_subset_may_be_sparse(names, rule):
    given, answers = data(n=60), []
    for chosen in ("", names):
        found, args = arguments(given, sparse_names=chosen)
        solution = QPLayer(rule)(**args, return_duals=True)
        (solution.x.square().sum() + solution.z.sum()).backward()
        answers.append([*solution, *(leaf.grad for leaf in found.values())])
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
@RULES
def test_order_and_company_change_no_bit(rule, threads):
    given = data(size=3)
    weight = torch.linspace(-1, 1, N, dtype=torch.float64)

    def run(rows):
        found, args = arguments(given | {"q": given["q"][rows]})
        x = QPLayer(rule, threads=threads)(**args)
        (x * weight).sum().backward()
        return x.detach(), found["q"].grad

    x, grad = run([0, 1, 2])
    for rows in ([2, 0, 1], [1], [0, 0]):
        for whole, part in zip((x, grad), run(rows), strict=True):
            assert torch.equal(part, whole[rows])


def test_matrices_may_differ_along_the_batch():
    given = data(n=60, size=2)
    scale = torch.tensor([[1.0], [1.5]], dtype=torch.float64)
    found, args = arguments(given)
    args["G"] = Sparse(given["G"], scale * found["G"])
    args["P"] = Sparse(given["P"], scale[:, :, None] * found["P"])  # (2, 1, nnz) against (2, n)
    x = QPLayer()(**args)
    assert x.shape == (2, 2, 60)
    for i, j in itertools.product(range(2), repeat=2):
        one = {**args, "q": args["q"][j]}
        one["G"] = Sparse(given["G"], scale[j] * found["G"])
        one["P"] = Sparse(given["P"], scale[i] * found["P"])
        assert torch.equal(QPLayer()(**one), x[i, j])


def test_float32():
    given = data()
    expected = QPLayer()(**arguments(given)[1])
    found, args = arguments(given, torch.float32)
    x = QPLayer()(**args)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.double(), expected, rtol=1e-3, atol=1e-4)
    x.sum().backward()
    assert found["P"].grad.dtype == torch.float32


def test_failed_elements_are_marked():
    given = data(n=60, size=3)
    found, args = arguments(given)
    args["b"] = args["b"].expand(3, -1) + torch.tensor([[0.0], [50.0], [0.0]])
    with pytest.raises(lpgd.SolverError, match=r"batch index 1: infeasible"):
        QPLayer()(**args)
    with pytest.warns(lpgd.SolverWarning):
        x = QPLayer(on_failure="nan")(**args)
    assert x[1].isnan().all()
    x[[0, 2]].sum().backward()
    assert found["q"].grad[1].eq(0).all()
    assert found["q"].grad[0].any()


def test_a_P_that_is_not_convex_is_named():
    given = data()
    given["P"].data *= -1.0
    with pytest.raises(lpgd.SolverError, match="P has a negative eigenvalue"):
        QPLayer()(**arguments(given)[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of its torch.jit
def test_transforms():
    given = data(size=2)
    _, args = arguments(given)
    weight = torch.linspace(-1, 1, N, dtype=torch.float64)
    fixed = {k: v for k, v in args.items() if k != "q"}

    def value(q):
        return QPLayer(lpgd.Exact())(q=q, **fixed) @ weight

    q = args["q"].detach()
    batched = torch.func.vmap(torch.func.grad(value))(q)
    for row in range(2):
        single = torch.func.grad(value)(q[row])
        torch.testing.assert_close(batched[row], single, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(torch.func.jacrev(value)(q[row]), single, rtol=1e-9, atol=1e-12)
        way = torch.cos(torch.arange(N, dtype=torch.float64))
        _, slope = torch.func.jvp(value, (q[row],), (way,))
        torch.testing.assert_close(slope, single @ way, rtol=1e-4, atol=1e-6)


def test_cone_programs_with_linear_rows_take_the_same_road():
    given = data(n=600)
    eye = sparse.eye(600, format="csr")
    stacked = sparse.vstack([given["A"], given["G"], -eye, eye]).tocsr()
    b = np.concatenate([given["b"], given["h"], -given["lb"], given["ub"]])
    T = torch.from_numpy
    q = T(given["q"]).requires_grad_()
    zero, m = len(given["b"]), len(b)
    layer = ConicLayer(lpgd.Cones(zero=zero, nonneg=m - zero))
    P, A = Sparse(given["P"], T(given["P"].data)), Sparse(stacked, T(stacked.data))
    x = layer(P, q, A, T(b))
    (x.sum()).backward()
    found, args = arguments(given)
    expected = QPLayer()(**args)
    expected.sum().backward()
    torch.testing.assert_close(x, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(q.grad, found["q"].grad, rtol=1e-4, atol=1e-6)


@RULES
def test_dense_data_may_be_solved_by_the_engine_for_sparse_ones(rule):
    """Its factors are of sparse systems, and the linearisation of dense data makes its own."""
    given = {name: torch.from_numpy(v.toarray() if sparse.issparse(v) else v)
             for name, v in data(n=18).items()}  # fmt: skip
    found = []
    for engine in ("piqp", "daqp"):
        own = leaves(given)
        QPLayer(rule, engine=engine)(**own)[::3].sum().backward()
        found.append([leaf.grad for leaf in own.values()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
