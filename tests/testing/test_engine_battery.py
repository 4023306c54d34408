"""The battery fails for engines with typical mistakes."""

from dataclasses import dataclass, replace
from pickle import PicklingError

import numpy as np
import pytest

from lpgd import DaqpEngine
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


def hopeful(solution):
    return replace(solution, status=np.full_like(solution.status, Status.OPTIMAL))


@pytest.mark.parametrize(
    "change, test",
    [
        (flipped, "test_solves_to_known_solutions"),
        (hopeful, "test_names_what_has_no_solution"),
        (by_position, "test_batch_order_and_split_change_nothing"),
        (lambda solution: solution, "test_pickles"),
    ],
)
def test_mistakes_of_engines_are_found(change, test):
    class Battery(EngineBattery):
        engine = Wrapped(change)

    arguments = [1] if "order" in test else []
    with pytest.raises((AssertionError, AttributeError, PicklingError)):
        getattr(Battery(), test)(*arguments)
