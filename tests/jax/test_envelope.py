"""Envelopes of whole losses in JAX: the numbers of torch, exact gradients, transformations."""

import math
from functools import partial

import numpy as np
import pytest

import lpgd

SIDES = ("lower", "upper", "average")
POSED = [(kind, side) for kind in ("quadratic", "linear") for side in SIDES]
POSED.append(("absolute", "lower"))


def boxed_qps(seed, size, n=4):
    """A batch of QPs, each with inequalities, an equality and bounds, around a feasible point."""
    draw = np.random.default_rng(seed).normal
    root, G, A = draw(size=(size, n, n)), draw(size=(size, 2, n)), draw(size=(size, 1, n))
    inside = 0.3 * draw(size=(size, n))
    reach = (part @ inside[..., None] for part in (G, A))
    h, b = (part[..., 0] for part in reach)
    box = np.abs(inside) + 1.0
    return {
        "P": root @ root.transpose(0, 2, 1) / n + 0.3 * np.eye(n), "q": 2 * draw(size=(size, n)),
        "G": G, "h": h + 0.5 * np.abs(draw(size=(size, 2))), "A": A, "b": b, "lb": -box, "ub": box,
    }  # fmt: skip


def boxed_lps(seed, size):
    data = boxed_qps(seed, size)
    del data["P"]
    return {"c": data.pop("q"), **data}


def cone_programs(seed, size):
    draw = np.random.default_rng(seed).normal
    A = np.concatenate([np.ones((1, 3)), np.zeros((1, 3)), -np.eye(3)])
    return {"P": np.eye(3), "q": draw(size=(size, 3)), "A": A, "b": np.array([0.2, 1, 0, 0, 0])}


CONES = lpgd.Cones(zero=1, soc=(4,))


def cheapest_pair(costs):
    """The two least costs: binary vectors."""
    found = np.zeros(costs.shape)
    np.put_along_axis(found, np.asarray(costs).argsort(axis=1)[:, :2], 1.0, axis=1)
    return found


def functions(name):
    """A function, a layer of torch, and their data."""
    ours, layers = pytest.importorskip("lpgd.jax"), pytest.importorskip("lpgd.torch")
    return {
        "qp": (ours.solve_qp, layers.QPLayer(), boxed_qps(0, 5)),
        "lp": (ours.solve_lp, layers.LPLayer(), boxed_lps(1, 5)),
        "cones": (partial(ours.solve_conic, cones=CONES), layers.ConicLayer(CONES),
                  cone_programs(2, 5)),
        "oracle": (partial(ours.argmin, cheapest_pair), layers.OracleLayer(cheapest_pair),
                   {"costs": np.random.default_rng(3).normal(size=(5, 6))}),
    }[name]  # fmt: skip


CASES = [("qp", *case) for case in POSED]
CASES += [("lp", "quadratic", "lower"), ("lp", "absolute", "lower"), ("lp", "linear", "upper")]
CASES += [("cones", *case) for case in (("quadratic", "average"), ("absolute", "lower"))]
CASES += [("oracle", kind, side) for kind in ("hamming", "linear") for side in SIDES]


@pytest.mark.parametrize("name, kind, side", CASES)
def test_value_and_gradients_are_those_of_torch(jax, name, kind, side):
    torch = pytest.importorskip("torch")
    function, layer, data = functions(name)
    n = next(iter(data.values())).shape[-1]
    draw = np.random.default_rng(7)
    target, weight = draw.normal(size=(5, n)), draw.uniform(0.5, 1.5, size=n)
    target = (target > 0) * 1.0 if kind == "hamming" else target
    arrays = {**data, "target": target, "weight": weight}
    tensors = {k: torch.tensor(v, dtype=torch.float64).requires_grad_() for k, v in arrays.items()}
    theirs = lpgd.torch.EnvelopeLoss(layer, kind, 0.2, side)(**tensors)
    theirs.backward()
    ours = lpgd.jax.EnvelopeLoss(function, kind, 0.2, side)
    named = lambda arrays: ours(**arrays)  # noqa: E731
    batched = {k: 0 if v.shape[:1] == (5,) and v.shape != (5,) else None for k, v in arrays.items()}
    if name == "cones":
        batched["A"] = None
    mapped = lambda arrays: jax.vmap(named, (batched,))(arrays).mean()  # noqa: E731
    for loss in (named, jax.jit(named), jax.jit(mapped)):
        value, gradients = jax.value_and_grad(loss)(arrays)
        assert value == pytest.approx(theirs.item(), rel=1e-10, abs=1e-10)
        for key, tensor in tensors.items():
            np.testing.assert_allclose(gradients[key], tensor.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["quadratic", "absolute", "linear"])
def test_order_on_hundreds_of_qps(jax, kind):
    from lpgd.jax import EnvelopeLoss, solve_qp

    data, target = boxed_qps(4, 300), np.random.default_rng(5).normal(size=(300, 4))
    x = solve_qp(**data)
    own = {
        "quadratic": 0.5 * ((x - target) ** 2).sum(1),
        "absolute": abs(x - target).sum(1),
        "linear": (x * target).sum(1),
    }[kind]
    lower = EnvelopeLoss(solve_qp, kind, 0.25, reduction="none")(**data, target=target)
    assert (lower <= own + 1e-8).all()
    assert (lower < own - 1e-6).any()
    if kind != "absolute":
        upper = EnvelopeLoss(solve_qp, kind, 0.25, "upper", reduction="none")
        assert (upper(**data, target=target) >= own - 1e-8).all()


@pytest.mark.parametrize("kind, side", POSED)
def test_gradients_are_differences_of_the_value_forward_and_backward(jax, kind, side):
    from jax.test_util import check_grads

    from lpgd.jax import EnvelopeLoss, solve_qp

    data, draw = boxed_qps(6, 3, 3), np.random.default_rng(8)
    root, target, weight = draw.normal(size=(3, 3, 3)), draw.normal(size=(3, 3)), np.full(3, 0.7)
    del data["P"]
    loss = EnvelopeLoss(solve_qp, kind, 0.2, side, reduction="none")

    def value(data, root, target, weight):
        P = root @ root.transpose(0, 2, 1) + 0.3 * np.eye(3)
        return loss(P, **data, target=target, weight=weight)

    given = (data, root, target, weight)
    check_grads(value, given, 1, ("fwd", "rev"), eps=1e-5, atol=1e-6, rtol=1e-6)


def test_every_transformation_has_the_same_derivative_and_solves_a_batch_at_once(jax, monkeypatch):
    from lpgd.frontend.valued import Valued
    from lpgd.jax import EnvelopeLoss, solve_qp

    calls, own = [], Valued.solve
    monkeypatch.setattr(Valued, "solve", lambda *a, **k: calls.append(1) or own(*a, **k))
    data, target = boxed_qps(9, 6), np.random.default_rng(10).normal(size=(6, 4))
    rest = {name: part for name, part in data.items() if name != "q"}
    loss = EnvelopeLoss(solve_qp, "quadratic", 0.2)
    one = lambda q, rest, target: loss(q=q, **rest, target=target)  # noqa: E731
    each = jax.vmap(jax.grad(one))(data["q"], rest, target)
    assert len(calls) == 1
    nested = [jax.tree.map(lambda a: a.reshape(2, 3, *a.shape[1:]), part) for part in
              (data["q"], rest, target)]  # fmt: skip
    twice = jax.jit(jax.vmap(jax.vmap(jax.grad(one))))(*nested)
    assert len(calls) == 2
    mean = lambda q: one(q, rest, target)  # noqa: E731
    _, push = jax.linearize(mean, data["q"])
    several = EnvelopeLoss(solve_qp, "quadratic", 0.2, reduction="none")
    none = lambda q: several(q=q, **rest, target=target)  # noqa: E731
    found = {
        "nested": np.reshape(twice, each.shape) / 6,
        "grad": jax.grad(mean)(data["q"]),
        "fwd": jax.jacfwd(mean)(data["q"]),
        "linearize": jax.vmap(push)(np.eye(24).reshape(24, 6, 4)).reshape(6, 4),
        "checkpoint": jax.jit(jax.grad(jax.checkpoint(mean)))(data["q"]),
        "rev": jax.jacrev(none)(data["q"]).sum(0) / 6,
        "rev of one": jax.vmap(jax.jacrev(one))(data["q"], rest, target) / 6,
        "shared": jax.jacfwd(none)(data["q"]).sum(0) / 6,
    }
    for how, gradient in found.items():
        np.testing.assert_allclose(gradient, each / 6, rtol=1e-10, atol=1e-12, err_msg=how)
    with pytest.raises(RuntimeError, match="no second derivative"):
        jax.grad(lambda q: jax.grad(mean)(q).sum())(data["q"])


def test_shared_arguments_sum_their_gradients(jax):
    from lpgd.jax import EnvelopeLoss, solve_qp

    data = {name: part[0] for name, part in boxed_qps(11, 1).items()}
    targets = np.random.default_rng(12).normal(size=(5, 4))
    loss = EnvelopeLoss(solve_qp, "quadratic", 0.3, reduction="sum")
    shared = jax.grad(lambda data: loss(**data, target=targets))(data)
    each = jax.vmap(jax.grad(lambda data, t: loss(**data, target=t)), (None, 0))(data, targets)
    for name, gradient in shared.items():
        np.testing.assert_allclose(gradient, each[name].sum(0), atol=1e-10)


def test_what_is_lost_is_evaluated_again(jax, monkeypatch):
    from lpgd.frontend.kept import Store
    from lpgd.jax import EnvelopeLoss, envelope, host, solve_qp

    own = host.Host(Store(), host.HOST.listeners)
    monkeypatch.setattr(envelope, "HOST", own)
    data, target = boxed_qps(13, 4), np.ones(4)
    loss = EnvelopeLoss(solve_qp, "quadratic", 0.3, reduction="none")
    function = lambda q: loss(**{**data, "q": q}, target=target)  # noqa: E731
    _, pull = jax.vjp(function, data["q"])
    (kept,) = pull(np.ones(4))
    assert (own.store.hits, own.store.misses) == (1, 0)
    own.store.clear()
    (again,) = pull(np.ones(4))
    assert own.store.misses == 1
    np.testing.assert_array_equal(kept, again)
    rows = jax.vmap(lambda row: pull(row)[0])(np.eye(4))
    np.testing.assert_array_equal(rows.sum(0), kept)


@pytest.mark.parametrize("name", ["squares", "absolute", "norm"])
def test_expressions_of_cvxpy(jax, name):
    cp, torch = pytest.importorskip("cvxpy"), pytest.importorskip("torch")
    x, q, t = cp.Variable(3), cp.Parameter(3), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x) + q @ x), [cp.norm(x) <= 1])
    losses = {"squares": cp.sum_squares(x - t), "absolute": cp.norm1(x - t), "norm": cp.norm(x - t)}
    draw = np.random.default_rng(14).normal
    costs, target = draw(size=(4, 3)), draw(size=(4, 3))
    layer = lpgd.jax.CvxpyLayer(problem, [q], [x])
    ours = lpgd.jax.EnvelopeLoss(layer, losses[name], 0.3, targets=[t])
    theirs = lpgd.torch.CvxpyLayer(problem, [q], [x])
    theirs = lpgd.torch.EnvelopeLoss(theirs, losses[name], 0.3, targets=[t])
    tensors = [torch.tensor(part).requires_grad_() for part in (costs, target)]
    expected = theirs(tensors[0], target=tensors[1])
    expected.backward()
    function = lambda q, t: ours(q, target=t)  # noqa: E731
    mapped = lambda q, t: jax.vmap(function)(q, t).mean()  # noqa: E731
    for loss in (function, jax.jit(function), mapped):
        value, gradients = jax.value_and_grad(loss, (0, 1))(costs, target)
        assert value == pytest.approx(expected.item(), rel=1e-10)
        for gradient, tensor in zip(gradients, tensors, strict=True):
            np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-9, atol=1e-10)
    assert layer.stats.solves > 0
    with pytest.raises(lpgd.IllPosedError, match="convex objective"):
        lpgd.jax.EnvelopeLoss(layer, losses[name], 0.3, "upper", targets=[t])
    with pytest.raises(lpgd.StructureError, match="must have 1 tensors, got 2"):
        ours(costs, target=(target, target))


def test_every_ill_posed_side_is_refused(jax):
    from lpgd.jax import EnvelopeLoss, argmin, errors, solve_lp, solve_qp

    data, target = boxed_qps(15, 20), np.ones(4)
    for row in range(20):
        own = {name: part[row] for name, part in data.items()}
        basis = np.linalg.svd(own["A"])[2][1:].T
        least = np.linalg.eigvalsh(basis.T @ own["P"] @ basis)[0]
        assert EnvelopeLoss(solve_qp, "quadratic", 0.9 * least, "upper")(**own, target=target) > 0
        with pytest.raises(lpgd.IllPosedError, match="non-convex"):
            EnvelopeLoss(solve_qp, "quadratic", 1.1 * least, "upper")(**own, target=target)
    steep = EnvelopeLoss(solve_qp, "quadratic", 50.0, "average")
    with pytest.raises(lpgd.IllPosedError, match="non-convex"), errors():
        jax.block_until_ready(jax.jit(lambda: steep(**data, target=target))())
    with pytest.raises(lpgd.IllPosedError, match="subtracts a kink"):
        EnvelopeLoss(solve_qp, "absolute", 0.1, "upper")
    with pytest.raises(lpgd.IllPosedError, match="positive definite"):
        EnvelopeLoss(solve_lp, "quadratic", 0.1, "upper")(**boxed_lps(16, 2), target=target)
    oracle = partial(argmin, cheapest_pair)
    for kind in ("quadratic", "absolute"):
        with pytest.raises(lpgd.IllPosedError, match="'hamming'"):
            EnvelopeLoss(oracle, kind, 1.0)(np.ones(5), target=np.ones(5))
    with pytest.raises(lpgd.IllPosedError, match="only oracles return"):
        EnvelopeLoss(solve_qp, "hamming", 1.0)(**data, target=target)
    with pytest.raises(lpgd.StructureError, match=r"binary vectors, but the target has 0\.5"):
        EnvelopeLoss(oracle, "hamming", 1.0)(np.ones(5), target=np.full(5, 0.5))


def test_bad_options_and_shapes_are_named(jax):
    from lpgd.jax import EnvelopeLoss, solve_qp

    for options in ({"tau": 0.0}, {"tau": "auto"}, {"tau": 1.0, "rho": -1.0}):
        with pytest.raises(ValueError, match="must be a"):
            EnvelopeLoss(solve_qp, "quadratic", **options)
    for options in ({"side": "left"}, {"reduction": "max"}):
        with pytest.raises(ValueError, match="must be one of"):
            EnvelopeLoss(solve_qp, "quadratic", 1.0, **options)
    with pytest.raises(ValueError, match="loss must be one of"):
        EnvelopeLoss(solve_qp, "cubic", 1.0)
    for function in (jax.numpy.tanh, partial(jax.numpy.tanh), lambda q: solve_qp(np.eye(2), q)):
        with pytest.raises(TypeError, match=r"one of lpgd\.jax"):
            EnvelopeLoss(function, "quadratic", 1.0)
    loss = EnvelopeLoss(solve_qp, "quadratic", 1.0)
    with pytest.raises(lpgd.StructureError, match=r"target must have shape \(..., 2\)"):
        loss(np.eye(2), np.ones(2), target=np.ones(3))
    with pytest.raises(lpgd.StructureError, match="do not broadcast"):
        loss(np.eye(2), np.ones((4, 2)), target=np.ones((3, 2)))
    with pytest.raises(lpgd.StructureError, match="target must have a real floating dtype"):
        loss(np.eye(2), np.ones(2), target=np.ones(2, int))


def test_failures_cost_their_element_alone(jax):
    from lpgd.jax import EnvelopeLoss, solve_qp

    data, target = boxed_qps(17, 3), np.ones(4)
    data["b"][1] = 1e6
    marked = partial(solve_qp, on_failure="nan")
    values = EnvelopeLoss(marked, "quadratic", 0.3, reduction="none")
    mean = EnvelopeLoss(marked, "quadratic", 0.3)
    with pytest.warns(lpgd.SolverWarning, match="1 of 3"):
        found = values(**data, target=target)
    assert np.isfinite(found).tolist() == [True, False, True]
    with pytest.warns(lpgd.SolverWarning):
        value, gradient = jax.value_and_grad(lambda q: mean(**{**data, "q": q}, target=target))(
            data["q"]
        )
    assert value == pytest.approx(found[np.array([0, 2])].mean())
    assert np.any(gradient, axis=1).tolist() == [True, False, True]
    with pytest.raises(lpgd.SolverError):
        EnvelopeLoss(solve_qp, "quadratic", 0.3)(**data, target=target)


def test_float32_by_default_and_training_in_a_scan(jax):
    jax.config.update("jax_enable_x64", False)
    from lpgd.jax import EnvelopeLoss, solve_lp

    simplex = {"A": np.ones((1, 3)), "b": np.ones(1), "lb": np.zeros(3)}
    target = np.array([0.0, 1.0, 0.0])
    loss = EnvelopeLoss(solve_lp, "quadratic", 2.0)

    @jax.jit
    def train(c):
        def step(c, _):
            value, gradient = jax.value_and_grad(lambda c: loss(c, **simplex, target=target))(c)
            return c - gradient, value

        return jax.lax.scan(step, c, None, length=20)

    c, values = train(jax.numpy.array([1.0, 2.0, 3.0]))
    assert c.dtype == values.dtype == np.float32
    np.testing.assert_allclose(solve_lp(c, **simplex), target, atol=1e-6)
    assert math.isclose(values[-1], 0.0, abs_tol=1e-6)


def boxed(x, y, q, h):
    return 0.5 * x @ x + q @ x + y @ (x - h)


def boxed_solve(params, tilt):
    q, h = tilt.cost(params[0]), tilt.side(params[1])
    stiff = 1.0 + (tilt.rho if tilt else 0.0)
    x = np.minimum(-q / stiff, h)
    return x, np.maximum(-(q + stiff * x), 0.0)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("options", [{"rule": lpgd.LPGD(0.1)}, {"linearize": True}], ids=str)
def test_linear_losses_of_saddle_points_have_the_numbers_of_the_qp(jax, side, options):
    from lpgd.jax import EnvelopeLoss, saddle, solve_qp

    like, draw = (np.zeros(3), np.zeros(3)), np.random.default_rng(18).normal
    found = saddle(boxed, boxed_solve, like=like, ranks=(1, 1), nonnegative=True, **options)
    data, eye = (draw(size=(4, 3)), np.full(3, 0.5), draw(size=(4, 3))), np.eye(3)
    mine = lambda q, h, t: EnvelopeLoss(found, "linear", 0.2, side)(q, h, target=t)  # noqa: E731
    theirs = lambda q, h, t: EnvelopeLoss(solve_qp, "linear", 0.2, side)(  # noqa: E731
        eye, q, eye, h, target=t
    )
    want = jax.value_and_grad(theirs, (0, 1, 2))(*data)
    for own in (mine, jax.jit(mine)):
        got = jax.value_and_grad(own, (0, 1, 2))(*data)
        for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    with pytest.raises(lpgd.IllPosedError, match=r"'quadratic' cannot be added .* Lagrangian"):
        EnvelopeLoss(found, "quadratic", 0.2)(*data[:2], target=data[2])


def test_linear_losses_of_nonlinear_programs_have_the_numbers_of_the_qp(jax):
    from lpgd.jax import EnvelopeLoss, NonlinearProgram, solve_nlp, solve_qp

    program = NonlinearProgram.of_functions(lambda x, q: 0.5 * x @ x + q @ x, 3, ranks=(1,))
    draw = np.random.default_rng(19).normal
    data, ub = (draw(size=(4, 3)), draw(size=(4, 3))), np.full(3, 0.5)
    solve = partial(solve_nlp, program, engine="slsqp")
    mine = lambda q, t: EnvelopeLoss(solve, "linear", 0.2, "upper")(q, ub=ub, target=t)  # noqa: E731
    theirs = lambda q, t: EnvelopeLoss(solve_qp, "linear", 0.2, "upper")(  # noqa: E731
        np.eye(3), q, ub=ub, target=t
    )
    want = jax.value_and_grad(theirs, (0, 1))(*data)
    got = jax.jit(jax.value_and_grad(mine, (0, 1)))(*data)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name, kind, side", [c for c in CASES if c[2] == "lower"])
@pytest.mark.parametrize("holed", ["target", "weight"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_target_or_weight_that_is_no_number_is_named_and_costs_its_element(
    jax, name, kind, side, holed, value
):
    """A NaN in a target once kept the search for a ray of recession busy for ever."""
    function, _, data = functions(name)
    n = next(iter(data.values())).shape[-1]
    given = {"target": np.zeros((5, n)), "weight": np.ones((5, n))}
    whole = given | {}
    given[holed] = given[holed].copy()
    given[holed][2, 1] = value
    why = rf"loss: 1 of 5 elements failed \(batch index 2: {holed} has a NaN or infinite entry\)"
    with pytest.raises(lpgd.SolverError, match=why) as told:
        lpgd.jax.EnvelopeLoss(function, kind, 0.2, side)(**data, **given)
    assert told.value.statuses == (lpgd.Status.INVALID,)
    marked = lpgd.jax.EnvelopeLoss(
        partial(function, on_failure="nan"), kind, 0.2, side, reduction="none"
    )
    with pytest.warns(lpgd.SolverWarning, match=why):
        found = np.array(marked(**data, **given))
    want = np.array(marked(**data, **whole))
    assert np.isnan(found[2])
    np.testing.assert_allclose(np.delete(found, 2), np.delete(want, 2), rtol=1e-12)


@pytest.mark.parametrize("kind", ["quadratic", "absolute"])
def test_a_value_that_overflows_is_a_failure_and_is_not_left_out_of_the_mean(jax, kind):
    from lpgd.jax import EnvelopeLoss, solve_qp

    solve, target = partial(solve_qp, lb=np.zeros(2)), np.array([[1.0, 1.0], [1.0, 1e308]])
    with pytest.raises(lpgd.SolverError, match="batch index 1: the value of the loss overflows"):
        EnvelopeLoss(solve, kind, 0.1)(np.eye(2), np.ones((2, 2)), target=target)


@pytest.mark.parametrize("size", [1e200, 1e308])
def test_products_of_targets_and_weights_that_overflow_reach_no_solver(jax, size):
    from lpgd.jax import EnvelopeLoss, solve_qp

    solve, big = partial(solve_qp, lb=np.zeros(2)), np.array([1.0, size])
    with pytest.raises(lpgd.SolverError, match="numerical"):
        EnvelopeLoss(solve, "quadratic", 0.1)(np.eye(2), -np.ones(2), target=-big, weight=big)
