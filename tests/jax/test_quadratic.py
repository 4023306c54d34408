"""``solve_qp`` and ``solve_lp``: arguments, batches, rules, precision."""

import numpy as np
import pytest
from scipy import sparse

import lpgd
from lpgd.frontend.replay import Replay
from tests.frontends.operations import lp_data, qp_data

jax = pytest.importorskip("jax")
jnp = jax.numpy

from lpgd.jax import Sparse, solve_lp, solve_qp  # noqa: E402

WEIGHTS = np.arange(1.0, 6.0)
TILTED = lpgd.LPGD(1e-2)  # sums in another order: a tiny tau would divide their rounding
RULES = [None, TILTED, lpgd.LPGD(0.5, rho=0.1, side="lower"), lpgd.Exact()]


def data(*batch, seed=0):
    """A QP with all eight data; with ``batch``, that many costs for it."""
    given = qp_data(seed)
    noise = np.random.default_rng(seed).normal(size=(*batch, 5))
    return {**given, "q": given["q"] + 0.3 * noise * bool(batch)}


def loss(given, **options):
    return (WEIGHTS * solve_qp(**given, **options) ** 2).sum()


def close(found, expected, tolerance=1e-10):
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=tolerance, atol=tolerance)


def singly(rule, given):
    """Gradients of a batch, an element at a time."""
    whole = {name: np.zeros_like(array) for name, array in given.items()}
    for index in np.ndindex(given["q"].shape[:-1]):
        own = {**given, "q": given["q"][index], "h": given["h"] + np.zeros((3,))}
        for name, slope in jax.grad(lambda d: loss(d, rule=rule))(own).items():
            whole[name][index if name == "q" else ...] += slope
    return whole


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("batch", [(2, 2)])
def test_batches_are_their_elements(rule, batch):
    given = data(*batch)
    found = jax.jit(jax.grad(lambda d: loss(d, rule=rule)))(given)
    close(found, singly(rule, given), 1e-8)


@pytest.mark.parametrize("mapped", [("q",), ("P", "q"), ("G", "lb"), tuple(qp_data())])
def test_vmap_over_some_arguments_is_one_call_each_way(mapped, calls):
    programs = [data() for _ in range(4)]
    for i, program in enumerate(programs):
        program["q"] = program["q"] + 0.1 * i
    given = {n: np.stack([p[n] for p in programs]) if n in mapped else data()[n] for n in data()}
    axes = {n: 0 if n in mapped else None for n in data()}
    singles = [{n: given[n][i] if n in mapped else given[n] for n in given} for i in range(4)]
    wants = [jax.grad(lambda d: loss(d, rule=TILTED))(single) for single in singles]
    calls.clear()
    each = jax.jit(jax.vmap(jax.grad(lambda d: loss(d, rule=TILTED)), (axes,)))(given)
    assert calls == ["solve", "pullback"]
    close(each, {n: np.stack([want[n] for want in wants]) for n in given}, 1e-9)
    whole = jax.grad(lambda d: jax.vmap(lambda d: loss(d, rule=TILTED), (axes,))(d).sum())(given)
    summed = {n: each[n] if n in mapped else each[n].sum(axis=0) for n in given}
    close(whole, summed, 1e-9)


def test_vmap_nests_and_mixes_with_batches(calls):
    given = data(2, 3, 4)
    h = given["h"] + np.arange(3.0)[:, None, None] / 10  # (3, 1, 3): mapped once
    want = solve_qp(**{**given, "h": h})
    slopes = jax.grad(lambda q: (WEIGHTS * solve_qp(**{**given, "q": q, "h": h}) ** 2).sum())
    calls.clear()
    inner = jax.vmap(lambda q, h: solve_qp(**{**given, "q": q, "h": h}), (1, 0))
    outer = jax.vmap(lambda q, h: inner(q.swapaxes(0, 1), h), (0, None))
    np.testing.assert_array_equal(outer(given["q"], h), want)
    assert calls == ["solve"]
    found = jax.jit(jax.grad(lambda q: (WEIGHTS * outer(q, h) ** 2).sum()))(given["q"])
    assert calls == ["solve", "solve", "pullback"]
    np.testing.assert_allclose(found, slopes(given["q"]), rtol=1e-9, atol=1e-9)


def test_what_is_not_mapped_stays_shared(monkeypatch):
    shapes = []
    own = Replay.pullback

    def noted(self, way, ends, vectors, data, records):
        shapes.append([array.shape for array in data])
        return own(self, way, ends, vectors, data, records)

    monkeypatch.setattr(Replay, "pullback", noted)
    P, lb = np.eye(5), np.zeros(5)
    each = jax.jit(jax.vmap(jax.grad(lambda q, P: solve_qp(P, q, lb=lb)[0], (0, 1)), (0, None)))
    dq, dP = each(data(7)["q"], P)
    assert (dq.shape, dP.shape) == ((7, 5), (7, 5, 5))
    assert shapes == [[(5, 5), (7, 5), (5,)]]


def test_only_what_is_wanted_is_computed(monkeypatch):
    wanted = []
    own = Replay.pullback

    def noted(self, way, *rest):
        wanted.append(way.flags)
        return own(self, way, *rest)

    monkeypatch.setattr(Replay, "pullback", noted)
    given = data(3)
    jax.grad(lambda q: loss({**given, "q": q}))(given["q"])
    assert wanted == [tuple(name == "q" for name in given)]


@pytest.mark.parametrize("compiled", [False, True])
def test_float32_is_solved_in_float64(compiled):
    single = {name: a.astype(np.float32) for name, a in data(3).items()}
    wide = {name: a.astype(np.float64) for name, a in single.items()}
    expected = jax.grad(lambda d: loss(d, rule=TILTED))(wide)
    x = np.asarray(solve_qp(**wide))
    jax.config.update("jax_enable_x64", False)
    weights = WEIGHTS.astype(np.float32)  # jax keeps constants when x64 is switched

    def weighed(d):
        return (weights * solve_qp(**d, rule=TILTED) ** 2).sum()

    run = jax.jit(jax.grad(weighed)) if compiled else jax.grad(weighed)
    found = run(single)
    assert {a.dtype for a in found.values()} == {np.dtype("float32")}
    for name, gradient in found.items():
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-5, atol=1e-5 * scale)
    np.testing.assert_array_equal(solve_qp(**single), x.astype(np.float32))
    assert solve_qp(**{**single, "q": jnp.asarray(single["q"], jnp.bfloat16)}).dtype == np.float32


def test_sparse_arguments_are_the_dense_ones():
    given = data(3)
    dense = {"P": given["P"], "G": np.where(np.abs(given["G"]) > 0.5, given["G"], 0.0)}
    given = {**given, **dense}
    patterns = {name: sparse.csr_matrix(matrix) for name, matrix in dense.items()}
    own = {**given, **{name: Sparse(m, m.data) for name, m in patterns.items()}}

    def options(d):
        return loss(d, rule=TILTED, engine="piqp")

    want, found = jax.grad(options)(given), jax.jit(jax.grad(options))(own)
    for name, matrix in patterns.items():
        places = matrix.tocoo()
        values = want[name][places.row, places.col]
        np.testing.assert_allclose(found[name].values, values, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found["q"], want["q"], rtol=1e-6, atol=1e-8)
    upper = sparse.csr_matrix(np.triu(given["P"]))
    with pytest.raises(lpgd.StructureError, match="both triangles"):
        solve_qp(Sparse(upper, upper.data), given["q"])
    with pytest.raises(lpgd.StructureError, match=r"shape \(..., 25\), got \(3,\)"):
        Sparse(patterns["P"], np.ones(3))


def test_a_sparse_argument_is_mapped_by_its_values(calls):
    pattern = sparse.csr_matrix(np.eye(3))
    stacked = Sparse(pattern, np.array([[1.0, 1, 1], [2, 2, 2]]))
    found = jax.vmap(lambda P: solve_qp(P, -np.ones(3)))(stacked)
    np.testing.assert_allclose(found, [[1, 1, 1], [0.5, 0.5, 0.5]])
    assert calls == ["solve"]
    assert "values=(2, 3)" in repr(stacked)


def test_multipliers_are_returned_where_asked_for():
    found = solve_lp(**lp_data(), return_duals=True)
    assert [part.shape for part in found] == [(5,), (0,), (2,), (5,)]
    assert (found.z >= 0).all()
    np.testing.assert_allclose(
        lp_data()["c"] + lp_data()["G"].T @ found.z + found.z_box, 0, atol=1e-9
    )


def test_empty_batches():
    given = data(3)
    empty = {**given, "q": given["q"][:0]}
    assert solve_qp(**empty).shape == (0, 5)
    found = jax.jit(jax.grad(loss))(empty)
    assert found["q"].shape == (0, 5)
    assert not found["P"].any()


@pytest.mark.parametrize(
    "change, error, why",
    [
        ({"q": np.ones(6)}, lpgd.StructureError, "q must have shape"),
        ({"q": np.ones(5, dtype=int)}, lpgd.StructureError, "q must have a real floating dtype"),
        ({"q": None}, lpgd.StructureError, "q is required"),
        ({"h": None}, lpgd.StructureError, "G is given without its partner h"),
        ({"engine": "highs"}, lpgd.EngineError, "does not solve"),
        ({"on_failure": "ignore"}, ValueError, "on_failure must be"),
        ({"rule": 3}, TypeError, "rule must be a rule"),
        ({"threads": 0}, ValueError, "threads must be"),
    ],
)
def test_wrong_calls_are_refused_when_traced(change, error, why, calls):
    with pytest.raises(error, match=why):
        jax.eval_shape(lambda: solve_qp(**{**data(), **change}))
    assert not calls


def test_large_arrays_do_not_block():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(64, 60, 60))
    P = root @ root.swapaxes(1, 2) / 60 + np.eye(60)
    q, lb = rng.normal(size=(64, 60)), np.zeros(60)
    run = jax.jit(jax.grad(lambda P, q: solve_qp(P, q, lb=lb).sum(), (0, 1)))
    for _ in range(3):
        dP, dq = jax.block_until_ready(run(P, q))
    assert np.isfinite(dP).all()
    assert np.isfinite(dq).all()
