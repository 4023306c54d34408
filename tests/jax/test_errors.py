"""Elements that fail: raised in eager calls, raised again out of compiled ones, or marked."""

import subprocess
import sys

import numpy as np
import pytest

import lpgd
from tests.frontends.operations import qp_data

jax = pytest.importorskip("jax")
jnp = jax.numpy

from lpgd.jax import argmin, errors, solve_qp  # noqa: E402

LATER = np.random.default_rng(0).normal(size=(4, 5))


def data():
    given = qp_data()
    q, b = given["q"] + 0.1 * LATER, given["b"] + np.zeros((4, 1))
    lb, ub = given["lb"] + np.zeros((4, 1)), given["ub"] + np.zeros((4, 1))
    q[1, 0] = np.nan
    lb[2, 1], ub[2, 1] = 1.0, -1.0
    return {**given, "q": q, "b": b, "lb": lb, "ub": ub}


WHY = r"2 of 4 elements failed \(batch index 1: q has a NaN.*, 2: "


def test_eager_calls_raise_our_error():
    with pytest.raises(lpgd.SolverError, match=WHY) as caught:
        solve_qp(**data())
    assert caught.value.indices == (1, 2)
    with pytest.raises(lpgd.SolverError, match=WHY):
        jax.grad(lambda q: solve_qp(**{**data(), "q": q}).sum())(data()["q"])
    with pytest.raises(lpgd.SolverError, match=WHY):
        jax.vmap(lambda own: solve_qp(**{**qp_data(), **own}))(
            {name: array for name, array in data().items() if name in ("q", "lb", "ub")}
        )


def test_compiled_calls_carry_its_text():
    run = jax.jit(solve_qp)
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"(?s)SolverError.*{WHY}"):
        jax.block_until_ready(run(**data()))


def test_and_raise_it_again_in_a_block():
    run = jax.jit(solve_qp)
    with pytest.raises(lpgd.SolverError, match=WHY) as caught, errors():
        jax.block_until_ready(run(**data()))
    assert caught.value.indices == (1, 2)
    assert caught.value.statuses == (lpgd.Status.INVALID, lpgd.Status.INVALID)
    assert isinstance(caught.value.__cause__, jax.errors.JaxRuntimeError)


def test_the_block_leaves_other_errors_alone():
    def broken(_):
        raise ValueError("not ours")

    def call(q):
        return jax.pure_callback(broken, q, q, vmap_method="sequential")

    with pytest.raises(jax.errors.JaxRuntimeError, match="not ours"), errors():
        jax.block_until_ready(jax.jit(call)(1.0))
    with pytest.raises(KeyError), errors():
        raise KeyError("nor this")
    with errors():
        jax.block_until_ready(jax.jit(solve_qp)(**qp_data()))


def test_errors_of_the_backward_pass_are_raised_too():
    asked = []

    def stubborn(costs):
        asked.append(1)
        if len(asked) > 1:
            raise ValueError("asked twice")
        return (costs < 0).astype(float)

    run = jax.jit(jax.grad(lambda c: argmin(stubborn, c, rule=lpgd.LPGD(1.0)).sum()))
    with pytest.raises(lpgd.SolverError, match="tilted solve"), errors():
        jax.block_until_ready(run(np.array([0.5, -0.5])))


@pytest.mark.parametrize("compiled", [False, True])
def test_failed_elements_are_marked(compiled):
    given = data()

    def masked(d):
        x = solve_qp(**d, on_failure="nan")
        return (jnp.where(jnp.isfinite(x), x, 0.0) ** 2).sum(), x

    run = jax.grad(masked, has_aux=True)
    with pytest.warns(lpgd.SolverWarning, match="2 of 4 elements failed"):
        found, x = jax.block_until_ready((jax.jit(run) if compiled else run)(given))
    assert np.isnan(x).all(axis=1).tolist() == [False, True, True, False]
    assert not np.asarray(found["q"])[[1, 2]].any()
    for row in (0, 3):
        own = {n: a[row] if n in ("q", "b", "lb", "ub") else a for n, a in given.items()}
        want, _ = run(own)
        np.testing.assert_allclose(found["q"][row], want["q"], rtol=1e-9, atol=1e-9)


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


def test_an_oracle_that_calls_jax_is_refused_where_it_might_wait_for_ever():
    def cheapest(costs):
        return np.asarray(jax.nn.one_hot(jnp.asarray(costs).argmin(axis=1), 5))

    np.testing.assert_array_equal(argmin(cheapest, LATER).sum(axis=1), 1.0)
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"(?s)SolverError.*Disallowed host-to-"):
        jax.block_until_ready(jax.jit(lambda costs: argmin(cheapest, costs))(LATER))


@pytest.mark.parametrize(
    "wrong", ["abc", object(), [[1.0], [1.0, 2.0]]], ids=["text", "object", "ragged"]
)
def test_what_is_no_array_is_named(wrong):
    with pytest.raises(lpgd.StructureError, match="q must be an array of numbers"):
        solve_qp(np.eye(3), wrong)


NLP = lpgd.jax.NonlinearProgram


@pytest.mark.parametrize(
    "call",
    [
        lambda: lpgd.jax.solve_qp(jnp.eye(2), jnp.ones(2), return_duals="no"),
        lambda: lpgd.jax.solve_conic(
            jnp.eye(2), jnp.ones(2), jnp.ones((1, 2)), jnp.ones(1),
            cones=lpgd.Cones(nonneg=1), return_duals="no",
        ),
        lambda: lpgd.jax.solve_nlp(
            NLP.of_functions(lambda x, p: ((x - p) ** 2).sum(), 2), jnp.ones(2), return_duals="no"
        ),
        lambda: jax.jit(lambda q, b: lpgd.jax.solve_qp(jnp.eye(2), q, return_duals=b))(
            jnp.ones(2), True
        ),
    ],
    ids=["qp", "conic", "nlp", "traced"],
)  # fmt: skip
def test_flags_are_true_or_false(call):
    with pytest.raises(ValueError, match="return_duals must be True or False"):
        call()


@pytest.mark.parametrize(
    "cost",
    [
        lambda x, p: np.sum(np.square(np.asarray(x) - p)),
        lambda x, p: (x[0] if x[0] > 0 else x[1]) ** 2,
        lambda x, p: ((x - jnp.ones(3)) ** 2).sum(),
    ],
    ids=["numpy", "branches", "shapes"],
)
def test_functions_that_jax_cannot_trace_are_told_so(cost):
    with pytest.raises(lpgd.StructureError, match="must be written in JAX and take x"):
        lpgd.jax.solve_nlp(NLP.of_functions(cost, 2), jnp.ones(2))


def test_diagnoses_of_traced_values_are_refused():
    def traced(c):
        lpgd.diagnose(lpgd.jax.solve_lp, c, G=jnp.eye(2), h=jnp.ones(2), loss=jnp.sum)

    with pytest.raises(lpgd.StructureError, match="outside of jit"):
        jax.jit(traced)(jnp.ones(2))
