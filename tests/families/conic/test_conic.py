from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from lpgd.core.params import Param, batched
from lpgd.core.solution import Solution
from lpgd.core.tilt import Term, Tilt
from lpgd.testing import ProblemBattery
from lpgd.testing.cone_programs import KINDS, plant


def linear(case):
    """The same without P."""
    params = {name: param for name, param in case.params.items() if name != "P"}
    patterns = {name: p for name, p in case.problem.patterns.items() if name != "P"}
    return replace(
        case, problem=replace(case.problem, quadratic=False, patterns=patterns), params=params
    )


CASES = st.builds(
    plant, st.sampled_from(list(KINDS.values())), st.integers(0, 1000),
    st.sampled_from([1, 3]), sparse=st.booleans(), n=st.sampled_from([2, 4]),
)  # fmt: skip


class TestConic(ProblemBattery):
    cases = CASES | CASES.map(linear)
    tolerance = 1e-8


def tilted(case, rho=0.0):
    rng, size = np.random.default_rng(0), len(case.solution)
    n, m = case.problem.n, case.problem.m
    return Tilt(
        np.arange(size), np.full(size, 0.3), rng.normal(size=(size, n)), rng.normal(size=(size, m)),
        np.full(size, rho), rng.normal(size=(size, n)), rng.normal(size=(size, m)),
    )  # fmt: skip


def point(case, seed):
    rng, old = np.random.default_rng(seed), case.solution
    return Solution(rng.normal(size=old.x.shape), rng.normal(size=old.y.shape), old.status)


SLACKS = [
    plant(KINDS["mixed"], 1, 2),
    plant(KINDS["mixed"], 2, 2, sparse=True),
    linear(plant(KINDS["soc"], 3, 2)),
]


@pytest.mark.parametrize("rho", [0.0, 0.7])
@pytest.mark.parametrize("case", SLACKS)
def test_a_cotangent_of_the_slacks_folds_into_the_data(case, rho):
    tilt = tilted(case, rho)
    problem, params = case.problem.tilt(case.params, tilt)
    still = replace(tilt, t=0 * tilt.t, rho=0 * tilt.rho)
    gaps = []
    for seed in range(3):
        at = point(case, seed)
        after = problem.lagrangian(params, at, still)
        gaps.append(after - case.problem.lagrangian(case.params, at, tilt))
    np.testing.assert_allclose(gaps[1:], gaps[:1] * 2, atol=1e-9)


@pytest.mark.parametrize("case", SLACKS)
def test_slack_cotangents_enter_the_gradient_directly(case):
    tilt, at = tilted(case), point(case, 0)
    term = Term(np.array([1.0, -2.0]), at, tilt)
    rng = np.random.default_rng(1)
    for name, param in case.params.items():
        way = rng.normal(size=param.values.shape)
        found = case.problem.grad(case.params, [term], {name: np.arange(2)[:, None]})[name]
        ends = [
            case.problem.lagrangian(
                {**case.params, name: Param(param.values + sign * way, param.index)}, at, tilt
            )
            for sign in (0.5, -0.5)
        ]
        expected = term.weight * (ends[0] - ends[1])
        np.testing.assert_allclose((found * way).reshape(2, -1).sum(1), expected, atol=1e-9)


def test_the_planted_point_solves_the_program():
    case = plant(KINDS["mixed"], 0, 3)
    slope = case.problem.transposed_product(case.params, case.solution.y)
    curve = (case.params["P"].full() @ case.solution.x[:, :, None])[..., 0]
    np.testing.assert_allclose(curve + case.params["q"].full() + slope, 0, atol=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
def test_check_symmetrises_p_and_names_the_cost_q(sparse):
    case = plant(KINDS["nonneg"], 0, 2, sparse=sparse)
    params, unfit = case.problem.check(case.params, 2.0**-52)
    assert not unfit
    np.testing.assert_allclose(params["P"].values, case.params["P"].values)
    spoilt = {**case.params, "P": batched(-case.params["P"].values)}
    assert set(case.problem.check(spoilt, 2.0**-52)[1].values()) == {"P has a negative eigenvalue"}
    spoilt = {**linear(case).params, "q": batched(np.full((2, 10), np.nan))}
    _, unfit = linear(case).problem.check(spoilt, 2.0**-52)
    assert unfit == dict.fromkeys((0, 1), "q has a NaN or infinite entry")
