"""A case from a seed, and all that is wrong with how the layers answer it."""

import time
from collections.abc import Callable
from math import prod

from tests.fuzz import checks, company, hygiene, misuse, slopes
from tests.fuzz.cases import Case
from tests.fuzz.draws import Draw
from tests.fuzz.findings import Finding
from tests.fuzz.modelling import model_case
from tests.fuzz.planning import conic_case, quadratic_case

PATIENCE = 1.0  # seconds, beyond which the call is not made again and again
SLOW = 3.0  # seconds of the processor that no call of such a size may take


def qp(draw: Draw) -> Case:
    """A call of QPLayer."""
    return quadratic_case(draw, "qp")


def lp(draw: Draw) -> Case:
    """A call of LPLayer."""
    return quadratic_case(draw, "lp")


DRAWN: dict[str, Callable[[Draw], Case]] = {
    "qp": qp,
    "lp": lp,
    "conic": conic_case,
    "cvxpy": model_case,
}
NAMES = (*DRAWN, "misuse")


def examine(name: str, draw: Draw) -> tuple[list[Finding], int]:
    """Faults that one case shows, and the number of calls that it took."""
    if name == "misuse":
        return misuse.examine(draw)
    case = DRAWN[name](draw)
    began = time.process_time()
    outcome = case.run()
    took = time.process_time() - began
    found = hygiene.escaped(outcome)
    if took > SLOW:
        found.append(Finding("slow", f"{took:.1f} s"))
    if outcome.outputs:
        found += checks.answers(case, outcome)
    if outcome.gradients:
        found += checks.pulled(case, outcome)
    if took > PATIENCE:
        return found, 1
    if outcome.gradients and name == "conic" and prod(case.shape):
        rng = draw.numbers("slopes")
        found += slopes.compared(case, int(rng.integers(prod(case.shape))), rng)
    more, calls = company.compared(draw, case, outcome)
    return found + more, calls + 1
