"""The battery fails for engines with typical mistakes."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from lpgd import MoreauEngine
from lpgd.core.engine import Answer, Capabilities
from lpgd.core.solution import Status
from lpgd.families.conic.cones import KINDS
from lpgd.testing import ConeBattery


@dataclass(frozen=True)
class Wrapped:
    """Moreau with its answers changed."""

    change: object = field(default=lambda solution: solution)
    iteration_limit: int = 200
    time_limit: float = 0.0
    name = "wrapped"
    capabilities = Capabilities(frozenset({"conic"}), KINDS | {"sparse"})

    def solve(self, problem, params, **options):
        engine = MoreauEngine(iteration_limit=self.iteration_limit)
        answer = engine.solve(problem, params, **options)
        return Answer(self.change(answer.solution), answer.set_ups)


def flipped(solution):
    return replace(solution, y=-solution.y)


def by_position(solution):
    return replace(solution, x=solution.x + 1e-15 * np.arange(len(solution.x))[:, None])


def hopeful(solution):
    return replace(solution, status=np.full_like(solution.status, Status.OPTIMAL))


def battery(change=None):
    case = ConeBattery()
    case.engine = Wrapped() if change is None else Wrapped(change)
    return case


@pytest.mark.parametrize(
    "change, test, arguments",
    [
        (flipped, "finds_the_planted_solution", ("soc", False)),
        (flipped, "tilted_solutions_are_optimal", ("psd", 0.05, 0.0)),
        (by_position, "answers_do_not_depend_on_the_batch", ("dense", "richest")),
        (hopeful, "names_what_has_no_solution", ("exp",)),
        (None, "limits_are_statuses", ({"time_limit": 1e-9}, Status.TIME_LIMIT)),
    ],
)
def test_it_notices(change, test, arguments):
    with pytest.raises(AssertionError):
        getattr(battery(change), f"test_{test}")(*arguments)


@pytest.mark.parametrize("sparse", [False, True])
def test_engines_are_tested_on_what_they_claim(sparse):
    case, able = battery(), Capabilities(frozenset({"conic"}), frozenset({"soc"}))
    case.engine = replace(case.engine)
    object.__setattr__(case.engine, "capabilities", able)
    with pytest.raises(pytest.skip.Exception, match="does not claim exp"):
        case.test_finds_the_planted_solution("exp", sparse)
    if sparse:
        with pytest.raises(pytest.skip.Exception, match="dense"):
            case.test_finds_the_planted_solution("soc", sparse)
    else:
        case.test_finds_the_planted_solution("soc", sparse)
