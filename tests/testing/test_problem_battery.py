"""The battery fails for families with typical mistakes."""

from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lpgd.testing import ProblemBattery, programs

unshrunk = settings(phases=[Phase.generate])


def spoil(case, **changes):
    problem = type("Spoilt", (), {})()
    for name in ("n", "m", "tilt", "lagrangian", "grad", "check"):
        setattr(problem, name, getattr(case.problem, name))
    vars(problem).update({name: change(case.problem) for name, change in changes.items()})
    return replace(case, problem=problem)


def doubled(problem):
    return lambda *given: {name: 2 * g for name, g in problem.grad(*given).items()}


def untouched(problem):
    return lambda params, tilt: (problem, {k: p.take(tilt.rows) for k, p in params.items()})


def blind(problem):
    return lambda params, resolution: (params, {})


@pytest.mark.parametrize(
    "test, mistake",
    [
        ("test_grad_is_the_derivative_of_the_lagrangian", {"grad": doubled}),
        ("test_tilt_adds_the_loss_and_the_proximal_term", {"tilt": untouched}),
        ("test_check_names_the_unfit", {"check": blind}),
    ],
)
def test_mistakes_are_found(test, mistake):
    class Battery(ProblemBattery):
        cases = programs().map(lambda case: spoil(case, **mistake))

    inner = getattr(Battery, test).hypothesis.inner_test
    with pytest.raises(AssertionError):
        unshrunk(given(st.data())(inner))(Battery())
