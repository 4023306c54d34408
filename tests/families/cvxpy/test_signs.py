"""Values against a parameter's declared sign are refused where the problem needs that sign."""

import numpy as np
import pytest

cp = pytest.importorskip("cvxpy")

from lpgd.core.params import batched  # noqa: E402
from lpgd.families.cvxpy.compile import compile_model  # noqa: E402

X = cp.Variable(3)


def positive(**more):
    return cp.Parameter(name="p", nonneg=True, **more)


def weighted(p):
    return cp.Problem(cp.Minimize(cp.sum_squares(X - 1) + p * cp.norm(X)))


def within(p):
    return cp.Problem(cp.Minimize(cp.sum_squares(X - 1)), [cp.norm(X) <= p])


def bounded(p):
    return cp.Problem(cp.Minimize(cp.sum_squares(X - 1)), [p * cp.norm(X) <= -1])


def utility(p):
    return cp.Problem(cp.Maximize(p * cp.sum(cp.sqrt(X))), [cp.sum(X) <= 1])


def form(p):
    return cp.Problem(cp.Minimize(cp.quad_form(X, p) + cp.sum(X)))


def signs(problem, *parameters):
    model = compile_model(problem, parameters, problem.variables())
    return [given.sign for given in model.inputs.values()], model


@pytest.mark.parametrize(
    ("make", "p", "sign"),
    [
        (weighted, positive(), 1),
        (weighted, cp.Parameter(name="p", pos=True), 1),
        (within, positive(), 0),
        (bounded, positive(), 1),
        (utility, positive(), 1),
        (lambda p: weighted(-p), cp.Parameter(name="p", nonpos=True), -1),
        (form, cp.Parameter((3, 3), name="p", PSD=True), 0),  # its convexity is checked as P's
        (form, positive(shape=(3, 3), PSD=True), 0),
    ],
)
def test_which_signs_a_problem_needs(make, p, sign):
    assert signs(make(p), p)[0] == [sign]


def test_each_parameter_for_itself():
    p, r, free = positive(), cp.Parameter(name="r", nonneg=True), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(p * cp.norm(X) + free @ X), [cp.norm(X) <= r])
    assert signs(problem, p, r, free)[0] == [1, 0, 0]


@pytest.mark.parametrize(("sign", "word"), [(1, "negative"), (-1, "positive")])
def test_elements_against_the_sign_are_unfit_by_name(sign, word):
    p = positive() if sign > 0 else cp.Parameter(name="p", nonpos=True)
    _, model = signs(weighted(sign * p), p)
    values = sign * np.array([0.5, -1e-30, 0.0, -0.0, np.nan, -2.0])
    _, unfit = model.check({"0": batched(values)}, 2.0**-52)
    assert sorted(unfit) == [1, 4, 5]
    assert f"parameter p has {word} entries" in unfit[5]
    assert "parameter p has a NaN" in unfit[4]
