"""``lpgd.jax.solve_qp`` against the torch layer, under every transformation that it promises."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch

import lpgd
from lpgd.frontend.replay import Replay
from lpgd.torch import QPLayer
from tests.torch.programs import known_qp

jax = pytest.importorskip("jax")
jnp = jax.numpy
solve_qp = importlib.import_module("lpgd.jax").solve_qp

NAMES = ("P", "q", "G", "h", "A", "b", "lb", "ub")
WEIGHTS = np.arange(1.0, 7.0)


@pytest.fixture(autouse=True)
def x64():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture
def calls(monkeypatch):
    """Which host functions were called."""
    made = []
    for name in ("solve", "pullback"):
        own = getattr(Replay, name)

        def counted(self, *args, name=name, own=own):
            made.append(name)
            return own(self, *args)

        monkeypatch.setattr(Replay, name, counted)
    return made


def data(batch=None, seed=0):
    """A QP with all eight data; with ``batch``, that many costs for it."""
    given = {name: tensor.numpy() for name, tensor in known_qp(seed)[0].items()}
    if batch is not None:
        rng = np.random.default_rng(seed)
        given["q"] = given["q"] + 0.3 * rng.normal(size=(*np.atleast_1d(batch), 6))
    return given


def loss(given, **options):
    return (WEIGHTS * solve_qp(**given, **options) ** 2).sum()


def torchs(given, rule=None, on_failure="raise"):
    """Solutions and gradients of the torch layer."""
    leaves = {name: torch.from_numpy(np.array(a)).requires_grad_() for name, a in given.items()}
    x = QPLayer(rule, on_failure=on_failure)(**leaves)
    (torch.from_numpy(WEIGHTS) * x**2).nansum().backward()
    return x.detach().numpy(), {name: leaf.grad.numpy() for name, leaf in leaves.items()}


def close(found, expected, tolerance=1e-10):
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=tolerance, atol=tolerance)


RULES = [None, lpgd.LPGD(1e-2, side="lower"), lpgd.LPGD(0.5, rho=0.1), lpgd.Exact()]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("batch", [None, 3, (2, 3)])
@pytest.mark.parametrize("compiled", [False, True])
def test_solutions_and_gradients_are_those_of_the_torch_layer(rule, batch, compiled):
    given = data(batch)
    x, expected = torchs(given, rule)
    run = jax.value_and_grad(lambda d: loss(d, rule=rule))
    value, found = (jax.jit(run) if compiled else run)(given)
    np.testing.assert_allclose(value, (WEIGHTS * x**2).sum(), rtol=1e-12)
    assert {a.dtype for a in found.values()} == {np.dtype("float64")}
    close(found, expected)
    np.testing.assert_allclose(solve_qp(**given, rule=rule), x, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("mapped", [("q",), ("P", "q"), ("G", "lb"), NAMES])
def test_vmap_over_some_arguments_is_one_call_each_way(mapped, calls):
    programs = [data(seed=0)] + [data(seed=0) for _ in range(3)]
    for i, program in enumerate(programs):
        program["q"] = program["q"] + 0.1 * i
    given = {n: np.stack([p[n] for p in programs]) if n in mapped else data()[n] for n in NAMES}
    axes = {n: 0 if n in mapped else None for n in NAMES}
    rule = RULES[1]  # sums in another order: a tiny tau would divide their rounding
    x, expected = torchs(given, rule)

    def one(d):
        return loss(d, rule=rule)

    def whole(d):
        return jax.vmap(one, (axes,))(d).sum()

    close(jax.grad(whole)(given), expected)
    assert calls == ["solve", "pullback"]
    calls.clear()
    each = jax.jit(jax.vmap(jax.grad(one), (axes,)))(given)
    assert calls == ["solve", "pullback"]
    summed = {n: a if n in mapped else a.sum(axis=0) for n, a in each.items()}
    close(summed, expected)
    np.testing.assert_array_equal(jax.vmap(lambda d: solve_qp(**d), (axes,))(given), x)


def test_vmap_nests_and_mixes_with_batches(calls):
    given = data((2, 3, 4))
    given["h"] = given["h"] + np.arange(3.0)[:, None, None] / 10  # (3, 1, 4): mapped once
    x, expected = torchs(given, RULES[1])
    # the innermost function sees q (4, 6) and h (1, 4)
    inner = jax.vmap(lambda q, h: solve_qp(**{**given, "q": q, "h": h}, rule=RULES[1]), (1, 0))
    outer = jax.vmap(lambda q, h: inner(q.swapaxes(0, 1), h), (0, None))
    np.testing.assert_array_equal(outer(given["q"], given["h"]), x)
    assert calls == ["solve"]
    calls.clear()
    pulled = jax.jit(jax.grad(lambda q, h: (WEIGHTS * outer(q, h) ** 2).sum(), (0, 1)))
    found = pulled(given["q"], given["h"])
    assert calls == ["solve", "pullback"]
    close(dict(zip("qh", found, strict=True)), {n: expected[n] for n in "qh"})


def test_jacobians_take_one_forward_pass_and_one_backward(calls):
    given = data(3)

    def one(q, P):
        return solve_qp(**{**given, "q": q, "P": P})

    found = jax.vmap(jax.jacrev(one, (0, 1)), (0, None))(given["q"], given["P"])
    assert calls == ["solve", "pullback"]
    assert [f.shape for f in found] == [(3, 6, 6), (3, 6, 6, 6)]
    for row in range(3):
        for entry in range(6):
            single = jax.grad(lambda q, P, e=entry: one(q, P)[e], (0, 1))
            for a, b in zip(single(given["q"][row], given["P"]), found, strict=True):
                np.testing.assert_allclose(a, b[row, entry], rtol=1e-10, atol=1e-10)


def test_checkpoint_solves_again_and_changes_nothing():
    given = data(3)
    close(jax.grad(jax.checkpoint(loss))(given), jax.grad(loss)(given), 0)


def test_only_what_is_wanted_is_computed(monkeypatch):
    wanted = []
    own = Replay.pullback

    def noted(self, flags, *rest):
        wanted.append(flags)
        return own(self, flags, *rest)

    monkeypatch.setattr(Replay, "pullback", noted)
    given = data(3)
    jax.grad(lambda q: loss({**given, "q": q}))(given["q"])
    assert wanted == [tuple(name == "q" for name in NAMES)]


def test_float32_is_solved_in_float64():
    jax.config.update("jax_enable_x64", False)
    single = {name: a.astype(np.float32) for name, a in data(3).items()}
    _, expected = torchs({name: a.astype(np.float64) for name, a in single.items()}, RULES[1])
    weights = WEIGHTS.astype(np.float32)  # jax keeps constants when x64 is switched

    def weighed(d):
        return (weights * solve_qp(**d, rule=RULES[1]) ** 2).sum()

    found = jax.jit(jax.grad(weighed))(single)
    assert {a.dtype for a in found.values()} == {np.dtype("float32")}
    for name, gradient in found.items():
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-5, atol=1e-5 * scale)
    with torch.no_grad():
        x = QPLayer()(**{name: torch.from_numpy(a) for name, a in single.items()})
    np.testing.assert_array_equal(solve_qp(**single), x)


@pytest.mark.parametrize("compiled", [False, True])
def test_failed_elements_are_marked(compiled):
    given = data(4)
    given["q"][1, 0] = np.nan
    given["b"] = given["b"] + np.zeros((4, 1))
    given["lb"], given["ub"] = given["lb"] + np.zeros((4, 1)), given["ub"] + np.zeros((4, 1))
    given["lb"][2, 1], given["ub"][2, 1] = 1.0, -1.0

    def masked(d):
        x = solve_qp(**d, on_failure="nan")
        return (WEIGHTS * jnp.where(jnp.isfinite(x), x, 0.0) ** 2).sum()

    run = jax.jit(jax.grad(masked)) if compiled else jax.grad(masked)
    with pytest.warns(lpgd.SolverWarning, match="2 of 4 elements failed"):
        found = jax.block_until_ready(run(given))
    with pytest.warns(lpgd.SolverWarning, match="2 of 4 elements failed"):
        _, expected = torchs(given, on_failure="nan")
    close(found, expected)
    assert not np.asarray(found["q"])[[1, 2]].any()


@pytest.mark.parametrize("compiled", [False, True])
def test_errors_carry_our_text(compiled):
    given = data(4)
    given["q"][1, 0] = np.nan
    run = jax.jit(solve_qp) if compiled else solve_qp
    with pytest.raises(RuntimeError, match=r"SolverError.*1 of 4 elements failed .*1: q has a NaN"):
        jax.block_until_ready(run(**given))


@pytest.mark.parametrize(
    "change, error, why",
    [
        ({"q": np.ones(5)}, lpgd.StructureError, "q must have shape"),
        ({"q": np.ones(6, dtype=int)}, lpgd.StructureError, "q must have a real floating dtype"),
        ({"q": None}, lpgd.StructureError, "q is required"),
        ({"h": None}, lpgd.StructureError, "G is given without its partner h"),
        ({"engine": "highs"}, lpgd.EngineError, "does not solve"),
        ({"on_failure": "ignore"}, ValueError, "on_failure must be"),
        ({"rule": 3}, TypeError, "rule must be a rule"),
    ],
)
def test_wrong_calls_are_refused_when_traced(change, error, why, calls):
    with pytest.raises(error, match=why):
        jax.eval_shape(lambda: solve_qp(**{**data(), **change}))
    assert not calls


def test_there_is_no_second_derivative():
    given = data()
    first = jax.grad(lambda q: loss({**given, "q": q}))
    with pytest.raises(ValueError, match="Pure callbacks do not support JVP"):
        jax.grad(lambda q: first(q).sum())(given["q"])


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


def test_without_jax_the_import_names_the_extra():
    code = f"""
import sys
sys.path[:] = {sys.path!r}
sys.modules["jax"] = None
try:
    import lpgd.jax
except ImportError as error:
    print(type(error).__name__, error)
"""
    run = [sys.executable, "-I", "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("MissingExtraError lpgd.jax needs jax")
    assert 'pip install "lpgd[jax]"' in done.stdout
