import numpy as np
import pytest

from lpgd.core.params import Param, batched, shared
from lpgd.families.quadratic.check import ROUNDING, check, positive_definite

DOUBLE = 2.0**-52
GOOD = {
    "P": np.eye(2), "q": np.ones(2), "G": np.ones((1, 2)), "h": np.ones(1),
    "A": np.ones((1, 2)), "b": np.ones(1), "lb": np.zeros(2), "ub": np.ones(2),
}  # fmt: skip


def three(**changes):
    """A batch of three in which the middle element has other values."""
    params = {name: shared(value, 3) for name, value in GOOD.items()}
    for name, value in changes.items():
        params[name] = batched(np.stack([GOOD[name], np.array(value, dtype=float), GOOD[name]]))
    return params


def test_good_data_pass():
    params, unfit = check(three(), DOUBLE)
    assert unfit == {}
    np.testing.assert_array_equal(params["P"].values[0], GOOD["P"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["P", "q", "G", "A", "b", "h", "lb", "ub"])
def test_values_that_no_solver_should_see(name, bad):
    value = GOOD[name].copy()
    value.flat[-1] = bad
    legal = {("h", np.inf), ("ub", np.inf), ("lb", -np.inf)}
    _, unfit = check(three(**{name: value}), DOUBLE)
    if (name, bad) in legal:
        assert unfit == {}
    else:
        assert list(unfit) == [1]
        assert unfit[1].startswith(f"{name} has a NaN or ")


def test_an_lp_calls_its_cost_c():
    params = {name: p for name, p in three(q=[np.nan, 0]).items() if name != "P"}
    assert check(params, DOUBLE)[1] == {1: "c has a NaN or infinite entry"}


def test_crossed_bounds():
    assert check(three(lb=[0, 2]), DOUBLE)[1] == {1: "lb exceeds ub"}
    assert check(three(lb=[1, 1]), DOUBLE)[1] == {}


def test_the_first_fault_is_named():
    _, unfit = check(three(q=[np.nan, 0], lb=[0, 2]), DOUBLE)
    assert "q has" in unfit[1]


def test_every_element_that_shares_a_bad_value_is_unfit():
    params = three()
    params["h"] = Param(np.array([[1.0], [np.nan]]), np.array([1, 0, 1]))
    assert sorted(check(params, DOUBLE)[1]) == [0, 2]


@pytest.mark.parametrize("resolution", [DOUBLE, 2.0**-23])
def test_asymmetry_within_rounding_is_mended(resolution):
    slip = 0.5 * ROUNDING * resolution
    params, unfit = check(three(P=[[9, slip], [-slip, 9]]), resolution)
    assert unfit == {}
    np.testing.assert_array_equal(params["P"].values[1], np.diag([9, 9]))
    _, unfit = check(three(P=[[1, 1e3 * slip], [0, 1]]), resolution)
    assert unfit == {1: "P is not symmetric"}


@pytest.mark.parametrize("resolution", [DOUBLE, 2.0**-23])
def test_negative_curvature_within_rounding_passes(resolution):
    slip = 0.5 * ROUNDING * resolution
    assert check(three(P=[[1, 0], [0, -slip]]), resolution)[1] == {}
    bad = check(three(P=[[1, 0], [0, -4 * slip]]), resolution)[1]
    assert bad == {1: "P has a negative eigenvalue"}


def test_no_resolution_hides_more_than_a_tenth():
    """As 1000 machine epsilons of bfloat16 would."""
    for P, fault in (
        ([[1.0, 0.5], [-0.5, 1.0]], "P is not symmetric"),
        ([[1.0, 0.0], [0.0, -0.5]], "P has a negative eigenvalue"),
    ):
        assert check(three(P=P), 2.0**-7)[1] == {1: fault}


def test_zero_and_singular_hessians_pass():
    assert check(three(P=np.zeros((2, 2))), DOUBLE)[1] == {}
    assert check(three(P=np.ones((2, 2))), DOUBLE)[1] == {}


def test_the_callers_data_stay_as_they_are():
    params = three(P=[[1, 1e-15], [0, 1]])
    before = params["P"].values.copy()
    check(params, DOUBLE)
    np.testing.assert_array_equal(params["P"].values, before)


@pytest.mark.parametrize("size", [1e155, 1e300, 1e-155, 5e-320])
def test_verdicts_on_p_do_not_depend_on_its_size(size):
    cases = {
        "P is not symmetric": [[1.0, 0.0], [-1.0, 1.0]],
        "P has a negative eigenvalue": [[1.0, 2.0], [2.0, 1.0]],
        None: [[2.0, 1.0], [1.0, 2.0]],
    }
    P = size * np.array([*cases.values(), np.eye(2)])
    with np.errstate(all="raise"):
        params, unfit = check({"P": batched(P), "q": batched(np.ones((4, 2)))}, DOUBLE)
        definite = positive_definite(params["P"])
    assert [unfit.get(row) for row in range(3)] == list(cases)
    np.testing.assert_array_equal(params["P"].values[1:], P[1:])
    assert definite.tolist()[1:] == [False, True, True]


def test_an_element_beyond_all_sizes_costs_no_other():
    P = np.array([[[1.0, 0.0], [-1e155, 1.0]], [[1.7e308, 1.6e308], [1.6e308, 1.7e308]], np.eye(2)])
    with np.errstate(all="raise"):
        params, unfit = check({"P": batched(P), "q": batched(np.ones((3, 2)))}, DOUBLE)
    assert unfit == {0: "P is not symmetric"}
    np.testing.assert_array_equal(params["P"].values[1:], P[1:])


@pytest.mark.parametrize("beside", [np.zeros((2, 2)), 1e-160 * np.eye(2)])
def test_small_entries_keep_their_digits_beside_a_program_of_another_size(beside):
    P = np.array([[[1.47e38, 8.507059173023436e-273], [8.507059173023436e-273, 1e38]], beside])
    with np.errstate(all="ignore"):
        params, _ = check({"P": batched(P), "q": batched(np.ones((2, 2)))}, DOUBLE)
    np.testing.assert_array_equal(params["P"].values, P)
