"""`lpgd compare markowitz`: gradient rules and sizes of the tilt, each at its best step size.

The learning rate of every method (a side and a tau are a method of their own) is chosen on one
grid, by the least validation loss of a tuning run. The final runs start from other seeds. They are
measured by the effort until the validation loss is ``best + 0.1·(start - best)``, best being what
gradient descent (`Exact`) reaches from the same seed. Seconds count training steps, without judging
and writing.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from lpgd.experiments import comparison
from lpgd.experiments.comparison import Final
from lpgd.experiments.contest import Comparable, Outcome
from lpgd.experiments.markowitz.config import MarkowitzConfig
from lpgd.experiments.markowitz.methods import EXACT
from lpgd.experiments.markowitz.task import MARKOWITZ, least_loss
from lpgd.experiments.methods import Method, show_tau
from lpgd.experiments.summaries import median

Axis = Literal["epoch", "seconds"]
_EVALUATIONS = 10  # per epoch of a final run
_TUNING_EVALUATIONS = 2
_REMAINING = 0.1  # of the way from the start to the best loss


@dataclass(frozen=True, kw_only=True)
class Study(comparison.Study):
    """What decides the numbers of a comparison, besides the methods."""

    experiment: ClassVar[Comparable] = MARKOWITZ
    always: ClassVar[tuple[Method, ...]] = (EXACT,)

    data: Literal["synthetic", "historical"] = "synthetic"
    prices: Literal["sp500", "factors"] = "sp500"
    assets: int = 12
    months: int = 120
    noise: float = 0.005
    portfolios: int = 8
    engine: str = "auto"
    threads: int | None = None

    def config(self, seed: int, *, tuning: bool) -> MarkowitzConfig:
        evaluations = _TUNING_EVALUATIONS if tuning else _EVALUATIONS
        return replace(super().config(seed, tuning=tuning), evaluations=evaluations)


def goals(finals: list[Final]) -> dict[int, float]:
    """Return the loss to reach, for each seed."""
    exact = next(final for final in finals if final.method == EXACT)
    return {outcome.config.seed: _goal(outcome) for outcome in exact.outcomes}


def start_loss(outcome: Outcome) -> float:
    """Return the validation loss before training."""
    return outcome.result["start_validation_loss"]


def _goal(outcome: Outcome) -> float:
    best = least_loss(outcome)
    return best + _REMAINING * (start_loss(outcome) - best)


def efforts(final: Final, axis: Axis, reach: dict[int, float]) -> list[float | None]:
    """Return the epochs or seconds to the goal, run by run; None if it was not reached."""
    return [
        outcome.when(axis, "validation_loss", reach[outcome.config.seed])
        for outcome in final.outcomes
    ]


def last_loss(outcome: Outcome) -> float:
    """Return the validation loss at the end; infinite if nothing could be measured."""
    loss = outcome.curves["validation_loss"][-1]
    return float("inf") if loss is None else loss


def median_last_loss(final: Final) -> float:
    """Return the median over the seeds of `last_loss`."""
    return median([last_loss(outcome) for outcome in final.outcomes])


def tau_of(final: Final) -> str:
    """Write the tau of a method."""
    return "-" if final.chosen.rule == "exact" else show_tau(final.chosen.tau)
