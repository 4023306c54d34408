"""The benchmark of truth tells right gradients from wrong ones, and kinks from derivatives."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import lpgd

PLACE = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture(scope="module")
def truth():
    sys.path.insert(0, PLACE)
    try:
        import truth

        yield truth
    finally:
        sys.path.remove(PLACE)


@pytest.fixture(scope="module")
def measure(truth):
    import _truth_measure

    return _truth_measure


class Gradient(torch.nn.Module):
    """x = p, with a gradient that is off by a factor."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.stats = SimpleNamespace(re_solves=0, degenerate=None)

    def forward(self, p):
        return [self.factor * p + (1 - self.factor) * p.detach()]


def planted(measure, factor, function=lambda p: p):
    """Truth about x = function(p), and the judgement of a layer whose gradient is off."""
    from _truth_programs import Program

    program = Program(
        lambda rule: Gradient(factor), lambda r, u: [np.array([1.0, 2.0, 3.0])],
        lambda values: [function(values[0])], ("free",), closed=True,
    )  # fmt: skip
    one = measure.instance(program, np.random.default_rng(0), odd=False)
    outputs = [np.stack([function(values[0]) for values in measure.points(one)])]
    one = measure.weighed(one, np.random.default_rng(1), [outputs[0][0]])
    known = measure.truth(program, one, outputs)
    return known, measure.judge(Gradient(factor), program, one, known)


@pytest.mark.parametrize(
    "factor, wrong", [(1.0, False), (1 + 1e-4, False), (1.01, True), (0, True)]
)
def test_a_gradient_off_by_more_than_a_thousandth_is_wrong(truth, measure, factor, wrong):
    known, found = planted(measure, factor)
    assert known.verdict == "derivative"
    assert truth.wrong(found) is wrong
    assert found.error == pytest.approx(abs(factor - 1), rel=0.5, abs=1e-9)


def test_curvature_is_no_kink_and_a_kink_has_no_derivative(measure):
    assert planted(measure, 1.0, lambda p: p**3 / 9 + np.exp(p / 3))[0].verdict == "derivative"
    at = np.array([1.0, 2.0, 3.0])
    for kink in (0.0, 1e-9):
        known, _ = planted(measure, 1.0, lambda p, kink=kink: p + 0.1 * np.abs(p - at - kink))
        assert known.verdict == "kink"


def test_a_forward_solution_that_the_other_solver_contradicts_is_left_out(measure, monkeypatch):
    monkeypatch.setattr(measure, "_same", lambda *_: False)
    assert planted(measure, 1.0)[0].verdict == "unconfirmed"


@pytest.mark.parametrize("name", ["QP, inequalities", "LP, one vertex", "projection on a ball"])
def test_exact_is_right_and_seeds_repeat(truth, name):
    cases = truth.examine(name, [0, 1, 9], ["exact"])
    assert [case.seed for case in cases] == [0, 1, 9]
    (again,) = truth.examine(name, [1], ["exact"])
    assert np.array_equal(again.known.slopes, cases[1].known.slopes)
    for case in cases:
        assert case.known.verdict == "derivative"
        assert not truth.wrong(case.found["exact"])


def test_every_family_draws_data_that_its_layer_takes(truth):
    from _truth_programs import Units

    assert len(truth.FAMILIES) >= 40
    for name in truth.FAMILIES:
        if truth.SHARES[name] == 1:
            program = truth.structure(name, 0)
            values = program.draw(truth.rng_of(name, 0), Units(1.0, 1.0))
            assert len(values) == len(program.kinds)


def test_silent_means_wrong_and_not_unverified(truth):
    def found(error, unverified):
        return truth.Found(error, np.zeros(2), 0.0, unverified, 0)

    assert truth.silent(found(1.0, 0.0))
    assert not truth.silent(found(1.0, 1.0))
    assert not truth.silent(found(1e-6, 0.0))
    assert truth.RULES["auto"] == lpgd.LPGD()
