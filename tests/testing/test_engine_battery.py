"""The battery fails for engines with typical mistakes."""

import time
from dataclasses import dataclass, replace
from pickle import PicklingError

import numpy as np
import pytest

from lpgd import DaqpEngine, HighsEngine
from lpgd.core.engine import Answer
from lpgd.core.solution import Status
from lpgd.testing import EngineBattery


@dataclass(frozen=True)
class Wrapped:
    """DAQP with its answers changed."""

    change: object
    name = "wrapped"
    capabilities = DaqpEngine.capabilities

    def solve(self, problem, params, **options):
        answer = DaqpEngine().solve(problem, params, **options)
        return Answer(self.change(answer.solution), answer.set_ups, answer.workspace)


def flipped(solution):
    return replace(solution, y=-solution.y)


def by_position(solution):
    return replace(solution, x=solution.x + 1e-15 * np.arange(len(solution.x))[:, None])


def by_company(solution):
    return replace(solution, x=solution.x + 1e-9 * np.abs(solution.x).max())


def hopeful(solution):
    return replace(solution, status=np.full_like(solution.status, Status.OPTIMAL))


@pytest.mark.parametrize(
    "change, test",
    [
        (flipped, "test_solves_to_known_solutions"),
        (hopeful, "test_names_what_has_no_solution"),
        (by_position, "test_batch_order_and_split_change_nothing"),
        (by_company, "test_what_one_element_does_touches_no_other"),
        (lambda solution: solution, "test_pickles"),
    ],
)
def test_mistakes_of_engines_are_found(change, test):
    class Battery(EngineBattery):
        engine = Wrapped(change)

    arguments = [1] if "order" in test else []
    with pytest.raises((AssertionError, AttributeError, PicklingError)):
        getattr(Battery(), test)(*arguments)


@dataclass(frozen=True)
class Faulty:
    """HiGHS with one of its virtues missing."""

    name = "faulty"
    capabilities = HighsEngine.capabilities

    def solve(self, problem, params, **options):
        return HighsEngine().solve(problem, params, **options)

    def restore(self, problem, params, solution, threads):
        return HighsEngine().restore(problem, params, solution, threads)


class Forgetful(Faulty):
    def restore(self, problem, params, solution, threads):
        return super().restore(problem, params, replace(solution, basis=None), threads)


class Unproven(Faulty):
    def solve(self, problem, params, **options):
        return replace(super().solve(problem, params, **options), ray=None)


class Absolute(Faulty):
    def solve(self, problem, params, **options):
        answer = super().solve(problem, params, **options)
        x = np.where(np.abs(answer.solution.x) < 1e-6, 0.0, answer.solution.x)
        return replace(answer, solution=replace(answer.solution, x=x))


class Placed(Faulty):
    """Its answers depend on where the costs lie in memory."""

    def solve(self, problem, params, **options):
        answer = super().solve(problem, params, **options)
        solution = replace(answer.solution, x=answer.solution.x + self.shift(params["q"]))
        return replace(answer, solution=solution)


class ByLayout(Placed):
    def shift(self, costs):
        return 1e-15 * (costs.values.ctypes.data % 64 == 0)


class ByOrder(Placed):
    def shift(self, costs):
        return 1e-15 * costs.index[0]


class Deaf(Faulty):
    def solve(self, problem, params, **options):
        size, many = len(params["q"].index), {}
        if size > 100:
            many, params = params, {k: p.take(np.arange(2)) for k, p in params.items()}
        for _ in range(size // 2 if many else 1):
            try:
                answer = super().solve(problem, params, **options)
            except KeyboardInterrupt:
                time.sleep(3.0)
                raise
        return answer


@pytest.mark.parametrize(
    "made, test",
    [
        (Forgetful, "test_losing_the_workspace_changes_no_answer"),
        (Unproven, "test_verdicts_are_proven"),
        (Absolute, "test_units_scale_the_answer"),
        (ByLayout, "test_memory_layouts_change_nothing"),
        (ByOrder, "test_memory_layouts_change_nothing"),
        (Deaf, "test_an_interrupt_ends_a_batch_soon"),
    ],
)
def test_missing_virtues_are_found(made, test):
    class Battery(EngineBattery):
        engine = made()
        families = ("LP",)

    arguments = [1] if "interrupt" in test else []
    with pytest.raises(AssertionError):
        getattr(Battery(), test)(*arguments)
