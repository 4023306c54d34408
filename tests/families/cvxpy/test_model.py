"""The family of CVXPY models: gradients of parameters, sharing, bad values."""

from dataclasses import replace

import numpy as np
import pytest

from lpgd.core.params import Param, batched, shared
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Term, Tilt
from lpgd.families.conic.polyhedral import Polyhedral
from lpgd.families.cvxpy.compile import compile_model
from tests.cvxpy_programs import LINEAR, MAKERS, ball, box, make, qp, sdp

EPS = np.finfo(np.float64).eps


def model_of(case, *, flat=False):
    model = compile_model(case.problem, case.parameters, case.variables, gp=case.gp)
    return replace(model, inner=Polyhedral(model.inner)) if flat else model


def elements(model, case, size, names=()):
    """Parameters of a batch: those named differ between the elements."""
    draw = np.random.default_rng(1)
    found: dict[str, Param] = {}
    for key, given in model.inputs.items():
        value = case.values[given.parameter]
        value = np.log(value) if given.log else value
        if key in names:
            spread = draw.normal(size=(size, *value.shape)) * 0.1
            if value.ndim == 2 and value.shape[0] == value.shape[1]:
                spread = 0.5 * (spread + spread.swapaxes(1, 2))
            found[key] = batched(value + spread)
        else:
            found[key] = shared(value, size)
    return found


def terms_at(model, size, seed=2):
    """Two weighted Lagrangians at points that need not solve anything."""
    draw = np.random.default_rng(seed)
    zero = np.zeros(size)
    for _ in range(2):
        x, y = draw.normal(size=(size, model.n)), draw.normal(size=(size, model.m))
        point = Solution(x, y, np.full(size, Status.OPTIMAL, dtype=np.int8))
        tilt = Tilt(np.arange(size), zero, np.zeros_like(x), np.zeros_like(y), zero, x)
        yield Term(draw.normal(size=size), point, tilt)


def value(model, params, terms):
    data, _ = model.check(params, EPS)
    sums = (term.weight * model.lagrangian(data, term.point, term.tilt) for term in terms)
    return sum(sums).sum()


FLAT = [(maker, False) for maker in MAKERS] + [(m, True) for m in MAKERS if make(m).cones == LINEAR]


@pytest.mark.parametrize("maker, flat", FLAT)
def test_gradients_are_directional_differences_of_the_lagrangian(maker, flat):
    case = make(maker)
    model = model_of(case, flat=flat)
    keys = list(model.inputs)
    params, terms = elements(model, case, 3, keys[:1]), list(terms_at(model, 3))
    groups = {k: np.arange(3)[:, None] if k in keys[:1] else np.arange(3)[None] for k in keys}
    data, unfit = model.check(params, EPS)
    assert not unfit
    found = model.grad(data, terms, groups)
    draw = np.random.default_rng(4)
    for key, param in params.items():
        way = draw.normal(size=param.values.shape)
        if way.ndim == 3 and way.shape[1] == way.shape[2]:
            way = way + way.swapaxes(1, 2)
        ends = [
            value(model, {**params, key: Param(param.values + t * way, param.index)}, terms)
            for t in (1e-6, -1e-6)
        ]
        assert found[key].shape == param.values.shape
        np.testing.assert_allclose((found[key] * way).sum(), (ends[0] - ends[1]) / 2e-6, rtol=1e-6,
                                   atol=1e-7)  # fmt: skip


def test_only_what_is_wanted_is_formed():
    case = make(qp)
    model, asked = model_of(case), []
    data, _ = model.check(elements(model, case, 2), EPS)

    class Spy:
        def grad(self, params, terms, wanted):
            asked.extend(wanted)
            return model.inner.grad(params, terms, wanted)

    key = next(k for k, given in model.inputs.items() if given.parameter == 1)
    replace(model, inner=Spy()).grad(data, list(terms_at(model, 2)), {key: np.arange(2)[None]})
    assert asked == ["q"]


def test_what_depends_on_shared_parameters_is_shared():
    case = make(qp)
    model = model_of(case)
    names = [k for k, given in model.inputs.items() if given.parameter in (1, 3)]  # q and b
    data = model.data(elements(model, case, 5, names))
    assert {name: len(param.values) for name, param in data.items()} == {
        "P": 1, "q": 5, "A": 1, "b": 5,
    }  # fmt: skip


def test_costs_are_the_parameters_of_the_objective():
    model = model_of(make(qp))
    assert sorted(model.inputs[key].parameter for key in model.costs) == [0, 1]
    model = model_of(make(ball))
    assert [model.inputs[key].parameter for key in model.costs] == [0]


def test_a_constant_hessian_is_not_checked_again(monkeypatch):
    case = make(box)
    for flat in (False, True):
        model = model_of(case, flat=flat)
        params = elements(model, case, 2)
        want = model.inner.check(model.data(params), EPS)[0]["P"].full()
        monkeypatch.setattr("lpgd.families.quadratic.check._convex", None)
        np.testing.assert_array_equal(model.check(params, EPS)[0]["P"].full(), want)
        monkeypatch.undo()


def test_bad_values_are_named_by_parameter_and_element():
    case = make(sdp)
    model = model_of(case)
    params = elements(model, case, 3, list(model.inputs))
    params["0"].values[1, 0, 2] = np.inf
    params["1"].values[2] = np.nan
    _, unfit = model.check(params, EPS)
    names = [parameter.name() for parameter in case.parameters]
    assert unfit == {
        1: f"parameter {names[0]} has a NaN or infinite entry",
        2: f"parameter {names[1]} has a NaN or infinite entry",
    }


def test_negative_parameters_of_geometric_programs_have_no_logarithm():
    model = model_of(make(next(m for m in MAKERS if m.__name__ == "geometric")))
    key = next(key for key, given in model.inputs.items() if given.log)
    params = {k: shared(np.array(0.5), 1) for k in model.inputs} | {
        key: shared(np.array(np.nan), 1)
    }
    _, unfit = model.check(params, EPS)
    assert unfit[0].startswith("the logarithm of parameter ")


def test_it_says_what_it_compiles_to():
    case = make(box)
    model, flat = model_of(case), model_of(case, flat=True)
    assert (model.family, model.program.family, flat.program.family) == ("cvxpy", "conic", "QP")
    assert "sparse" in model.program.needs
    assert "sparse" not in flat.program.needs
    assert (model.n, model.m) == (flat.program.n, flat.program.m)
    tilt = next(terms_at(model, 1)).tilt
    data, _ = model.check(elements(model, case, 1), EPS)
    problem, tilted = model.tilt(data, replace(tilt, t=np.ones(1), dx=np.ones_like(tilt.dx)))
    assert problem is model.program
    np.testing.assert_allclose(tilted["q"].full(), data["q"].full() + 1)
