"""Numbers read from the finished runs of a comparison."""

from typing import Literal

from lpgd.experiments.comparison import Final
from lpgd.experiments.contest import Outcome
from lpgd.experiments.methods import show_tau
from lpgd.experiments.summaries import median

Axis = Literal["epoch", "seconds"]


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
