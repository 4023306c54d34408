import sys

import numpy as np
import pytest
from scipy import sparse

import lpgd
from lpgd.core.params import Param
from lpgd.core.pattern import Pattern
from lpgd.families.quadratic import inertia
from lpgd.families.quadratic.check import check, positive_definite

N = inertia.DENSE + 20


def gram(rng, rank=N, n=N):
    """A sparse matrix B'B of at most this rank, not diagonally dominant."""
    B = sparse.random(rank, n, 6 / n, "csr", rng=rng) + sparse.eye(rank, n)
    return (B.T @ B).tocsr()


def held(*matrices):
    places = sum(abs(M) for M in matrices).tocoo()
    pattern = Pattern(places.row.astype(np.intp), places.col.astype(np.intp), places.shape)
    values = np.array([M.toarray()[pattern.rows, pattern.cols] for M in matrices])
    return pattern, Param(values, np.arange(len(matrices)))


def verdicts(pattern, P):
    params = {"P": P, "q": Param(np.zeros((len(P.index), N)), np.arange(len(P.index)))}
    return check(params, 2.0**-52, {} if pattern is None else {"P": pattern})


def test_curvature_of_a_sparse_P():
    rng = np.random.default_rng(0)
    good = gram(rng)
    flat = gram(rng, rank=N // 2)
    bent = good - 0.1 * sparse.csr_matrix(([1.0], ([3], [3])), shape=(N, N)) * good[3, 3] * 20
    skew = good + sparse.csr_matrix(([0.1], ([0], [int(good[0].indices[-1])])), shape=(N, N))
    pattern, P = held(good, flat, bent, skew, sparse.eye(N) * 1e-200, -sparse.eye(N))
    assert not inertia.dense(pattern)
    params, unfit = verdicts(pattern, P)
    negative = "P has a negative eigenvalue"
    assert unfit == {2: negative, 3: "P is not symmetric", 5: negative}
    np.testing.assert_array_equal(params["P"].values[0], P.values[0])
    expected = [True, False, False, True, True, False]
    found = positive_definite(params["P"], pattern)
    assert found[[0, 1, 4, 5]].tolist() == [expected[i] for i in (0, 1, 4, 5)]


def test_rounding_of_a_semidefinite_P_is_no_curvature():
    rng = np.random.default_rng(1)
    for seed in range(5):
        flat = gram(np.random.default_rng(seed), rank=20)
        _, unfit = verdicts(*held(flat * rng.uniform(0.1, 1e6)))
        assert not unfit


def test_a_missing_factorization_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "qdldl", None)
    pattern, P = held(gram(np.random.default_rng(0)))
    with pytest.raises(lpgd.MissingExtraError, match=r'qdldl.*pip install "lpgd\[conic\]"'):
        verdicts(pattern, P)


def test_a_diagonal_P_needs_no_factorization(monkeypatch):
    monkeypatch.setitem(sys.modules, "qdldl", None)
    assert not verdicts(*held(sparse.eye(N, format="csr")))[1]
