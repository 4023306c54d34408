import numpy as np
import pytest

from lpgd import DaqpEngine
from lpgd.core.params import Param, batched
from lpgd.core.solution import Status
from lpgd.engines.daqp.set_up import Bench, SetUps
from lpgd.families.qp.qp import QP
from lpgd.families.quadratic.whitening import _inverted, inverse_factors
from tests.support import program

RNG = np.random.default_rng(0)
DENSE = (lambda H: H @ H.swapaxes(1, 2) + 0.1 * np.eye(4))(RNG.normal(size=(2, 4, 4)))
PLAIN = np.diag([1.0, 2.0, 3.0, 4.0])
SINGULAR = np.ones((4, 4))
FLAT = np.diag([1e-7, 1.0, 1.0, 1.0])
ILL = np.diag([1e-7, 1.0, 1.0, 1.0]) + 1e-9 * np.ones((4, 4))


def set_ups(P, rows=None, *, boxed=False):
    sizes = {"P": 4} | ({} if rows is None else {"G": rows.values.shape[1]})
    problem = QP.of(sizes | ({"lb": 4} if boxed else {}), 4, {})
    params = {"P": P} if rows is None else {"P": P, "G": rows}
    return SetUps.of(problem, params, np.arange(len(P.index)))


def test_the_hessian_becomes_the_identity():
    changes = set_ups(batched(DENSE))
    for P, inverse in zip(DENSE, changes.inverses, strict=True):
        np.testing.assert_allclose(inverse.T @ P @ inverse, np.eye(4), atol=1e-12)
    f, u = RNG.normal(size=(2, 2, 4))
    x, costs = changes.points(u, np.arange(2)), changes.costs(f, np.arange(2))
    np.testing.assert_allclose((f * x).sum(axis=1), (costs * u).sum(axis=1))


def test_rows_are_multiplied_and_bounds_become_rows():
    rows = RNG.normal(size=(2, 3, 4))
    changes = set_ups(batched(np.stack([DENSE[0], PLAIN])), batched(rows), boxed=True)
    (hessian, moved), (flat, left) = (set_up.kept for set_up in changes.each)
    u = RNG.normal(size=(2, 4))
    x = changes.points(u, np.arange(2))
    np.testing.assert_allclose(moved @ u[0], np.concatenate([x[0], rows[0] @ x[0]]))
    np.testing.assert_array_equal(hessian, np.eye(4))
    np.testing.assert_array_equal(flat, PLAIN)
    np.testing.assert_array_equal(left, rows[1])
    np.testing.assert_array_equal(x[1], u[1])


def test_only_fair_positive_definite_hessians_are_kept():
    found = set_ups(batched(np.stack([DENSE[0], PLAIN, SINGULAR, ILL, FLAT, np.zeros((4, 4))])))
    assert [s.kept is not None for s in found.each] == [True, True, False, False, False, False]
    assert found.change.tolist() == [0, -1, -1, -1, -1, -1]


def test_a_shared_product_is_formed_once():
    index = np.zeros(3, dtype=np.intp)
    found = set_ups(Param(DENSE[:1], index), Param(RNG.normal(size=(1, 3, 4)), index))
    assert len({s.kept[1].__array_interface__["data"][0] for s in found.each}) == 1


def test_factors_lie_row_by_row():
    """Else a batch would round otherwise than its elements do alone."""
    for n in (5, 200):
        H = RNG.normal(size=(n, n))
        found, _ = inverse_factors((H @ H.T + np.eye(n))[None], np.array([True]))
        assert found[0].flags.c_contiguous


@pytest.mark.parametrize("seed", range(20))
def test_an_element_does_not_know_its_neighbours(seed):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(2, 12)), int(rng.integers(1, 9))
    H = rng.normal(size=(3, n, n))
    P = H @ H.swapaxes(1, 2) + 0.1 * np.eye(n)
    P[1] = np.diag(rng.uniform(0.5, 2, n))
    q, G, h = 3 * rng.normal(size=(3, n)), rng.normal(size=(3, m, n)), rng.random((3, m))
    problem = QP.of({"P": n, "G": m}, n, {})
    layouts = [np.asarray, np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2]]
    found = [
        DaqpEngine()
        .solve(
            problem,
            {k: batched(layout(v)) for k, v in {"P": P, "q": q, "G": G, "h": h}.items()},
        )
        .solution
        for layout in layouts
    ]
    for row in range(3):
        part = slice(row, row + 1)
        data = {"P": P[part], "q": q[part], "G": G[part], "h": h[part]}
        alone = DaqpEngine().solve(problem, {k: batched(v) for k, v in data.items()}).solution
        for together in found:
            assert together.x[row].tobytes() == alone.x[0].tobytes()
            assert together.y[row].tobytes() == alone.y[0].tobytes()


@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 2, 0, 3, 1]])
def test_hessians_of_every_kind_in_one_batch(boxed, order):
    """The model is handed programs in both forms, with the answers that each has alone."""
    P = np.stack([DENSE[0], PLAIN, SINGULAR, ILL, DENSE[1]])[order]
    box = {"lb": [-2.0] * 4, "ub": [0.3] * 4} if boxed else {}
    q, G = RNG.normal(size=(5, 4)), np.concatenate([np.eye(4), -np.eye(4)])
    problem, params = program(P=PLAIN, q=np.zeros(4), G=G, h=np.full(8, 2.5), **box)
    index = np.arange(5)
    params = {
        name: Param(param.values, np.zeros(5, dtype=np.intp)) for name, param in params.items()
    }
    params |= {"P": Param(P, index), "q": Param(q, index)}
    together = DaqpEngine().solve(problem, params).solution
    assert (together.status == Status.OPTIMAL).all()
    for row in range(5):
        alone = {name: param.take(np.array([row])) for name, param in params.items()}
        alone = DaqpEngine().solve(problem, alone).solution
        np.testing.assert_array_equal(alone.x[0], together.x[row])
        np.testing.assert_array_equal(alone.y[0], together.y[row])
    y = problem.block(together.y, "G") @ G
    if boxed:
        y = y - problem.block(together.y, "lb") + problem.block(together.y, "ub")
    slope = (P @ together.x[:, :, None])[..., 0] + q + y
    np.testing.assert_allclose(slope, 0, atol=1e-7)


def test_a_failure_leaves_no_trace_in_the_model():
    problem = QP.of({"P": 4, "G": 2}, 4, {})
    G, h = RNG.normal(size=(4, 2, 4)), np.ones((4, 2))
    G[1], h[1] = [[1, 0, 0, 0], [-1, 0, 0, 0]], [-1, -1]  # infeasible
    params = {
        "P": Param(DENSE[:1], np.zeros(4, dtype=np.intp)),
        "q": batched(3 * RNG.normal(size=(4, 4))), "G": batched(G), "h": batched(h),
    }  # fmt: skip
    found = DaqpEngine().solve(problem, params).solution
    assert found.status.tolist() == [0, Status.INFEASIBLE, 0, 0]
    without = np.array([0, 2, 3])
    rest = {name: param.take(without) for name, param in params.items()}
    rest = DaqpEngine().solve(problem, rest).solution
    np.testing.assert_array_equal(found.x[without], rest.x)
    np.testing.assert_array_equal(found.y[without], rest.y)


def test_elements_of_a_shared_set_up_hand_it_over_once(monkeypatch):
    handed = []
    honest = Bench._load
    monkeypatch.setattr(Bench, "_load", lambda *args: handed.append(args) or honest(*args))
    problem, params = program(P=DENSE[0], q=np.ones(4), G=RNG.normal(size=(3, 4)), h=np.ones(3))
    index = np.zeros(6, dtype=np.intp)
    params = {name: Param(param.values, index) for name, param in params.items()}
    DaqpEngine().solve(problem, {**params, "q": batched(RNG.normal(size=(6, 4)))})
    assert len(handed) == 1


@pytest.mark.parametrize("n", [1, 128, 301])
def test_factors_of_any_size(n):
    H = RNG.normal(size=(n, n))
    P = H @ H.T / n + 0.1 * np.eye(n)
    inverse = _inverted(P)
    assert inverse is not None
    np.testing.assert_allclose(inverse.T @ P @ inverse, np.eye(n), atol=1e-11)
    assert not np.tril(inverse, -1).any()
    for place in (0, n - 1):
        bad = P.copy()
        bad[place, place] = -1.0
        assert _inverted(bad) is None
