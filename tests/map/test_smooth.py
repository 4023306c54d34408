"""Rules that act forward: noise, random state and what they remember."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from lpgd.core.params import batched
from lpgd.core.rule import Pullback, Rule, Samples
from lpgd.core.solution import Solution, Status
from lpgd.core.tilt import Term, Tilt
from lpgd.map.smooth import averaged
from lpgd.map.solution_map import SolutionMap
from tests.maps import BOX, boxes, forward
from tests.support import cotangent


@dataclass(frozen=True)
class Perturbed(Rule):
    """The mean solution of noisy costs, and its exact derivative (Berthet et al., 2020)."""

    sigma: float = 1.0
    count: int = 2000

    def requires(self, problem):
        return None

    def begin(self):
        return {"draws": np.zeros(1, dtype=np.int64)}

    def sample(self, problem, params, memory):
        size = len(params["q"].index)
        noise = np.random.default_rng(memory["draws"][0]).normal(size=(self.count, problem.n))
        memory["draws"] = memory["draws"] + 1
        rows = np.repeat(np.arange(size), self.count)
        noise = np.tile(noise, (size, 1))
        costs = batched(params["q"].full()[rows] + self.sigma * noise)
        chosen = {name: param.take(rows) for name, param in params.items()}
        return Samples({**chosen, "q": costs}, rows, {"z": noise})

    def pullback(self, point, cotangent, backward):
        samples, solved = backward.samples
        zero = np.zeros(len(point))
        tilt = Tilt(cotangent.rows, zero, cotangent.dx, cotangent.dy, zero, point.x)
        terms = []
        for sample in range(self.count):
            rows = cotangent.rows * self.count + sample
            pulled = (cotangent.dx * solved.x[rows]).sum(axis=1)
            at = replace(point, x=samples.noise["z"][rows])
            terms.append(Term(pulled / (self.sigma * self.count), at, tilt))
        return Pullback(terms, np.full(len(point), Status.OPTIMAL, np.int8))


def test_a_rule_may_smooth_the_solution_and_differentiate_that():
    found = SolutionMap(Perturbed(), "daqp")
    costs = np.array([[0.3, -0.8], [2.0, 0.0]])
    solved = forward(found, BOX, boxes(*costs))
    from scipy.stats import norm

    np.testing.assert_allclose(solved.solution.x, norm.cdf(-costs), atol=0.05)
    pulled = found.pullback(solved, cotangent(np.eye(2), m=4), {"q": np.arange(2)[:, None]})["q"]
    np.testing.assert_allclose(pulled, -np.eye(2) * norm.pdf(costs), atol=0.06)


def test_what_a_rule_remembers_goes_on_from_call_to_call():
    first, second = (SolutionMap(Perturbed(count=3), "daqp") for _ in range(2))
    forward(first, BOX, boxes([0.1, 0.1]))
    assert first.memory["draws"].tolist() == [1]
    second.memory.update({k: v.copy() for k, v in first.memory.items()})
    here, there = (forward(found, BOX, boxes([0.1, 0.1])) for found in (first, second))
    np.testing.assert_array_equal(here.samples[1].x, there.samples[1].x)


def test_an_element_with_bad_values_is_not_sampled():
    found = SolutionMap(Perturbed(count=3), "daqp", "nan")
    with pytest.warns(UserWarning, match="1 of 3"):
        solved = forward(found, BOX, boxes([1, 1], [np.nan, 1], [-1, -1]))
    assert solved.solution.solved.tolist() == [True, False, True]
    assert solved.samples[0].rows.tolist() == [0, 0, 0, 2, 2, 2]


def test_the_mean_fails_where_one_sample_does():
    status = np.array([0, 0, Status.UNBOUNDED, 0], np.int8)
    x = np.array([[1.0], [3.0], [0.0], [4.0]])
    mean, accuracy = averaged(
        np.array([4, 4, 7, 7]), Solution(x, x, status), np.array([1, 2, 3, 4]), np.array([4, 7])
    )
    assert mean.status.tolist() == [0, Status.UNBOUNDED]
    assert mean.x.tolist() == [[2.0], [0.0]]
    assert accuracy.tolist() == [2, 4]


def test_weights_replace_the_mean():
    status = np.array([0, 0, 0, Status.UNBOUNDED], np.int8)
    x = np.array([[1.0], [3.0], [5.0], [4.0]])
    weight = np.array([0.25, 0.5, 0.25, 1.0])
    mean, accuracy = averaged(
        np.array([4, 4, 4, 7]),
        Solution(x, x, status),
        np.array([1.0, 2, 3, 4]),
        np.array([4, 7]),
        weight,
    )
    assert mean.x.tolist() == [[3.0], [0.0]]
    assert mean.status.tolist() == [0, Status.UNBOUNDED]
    assert accuracy.tolist() == [3.0, 4.0]
