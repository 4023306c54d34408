"""`lpgd compare markowitz`: gradient rules and sizes of the tilt, each at its best step size.

The learning rate of every method (a side and a tau are a method of their own) is chosen on one
grid, by the least validation loss of a tuning run. The final runs start from other seeds. They are
measured by the effort until the validation loss is ``best + 0.1·(start - best)``, best being what
gradient descent (`Exact`) reaches from the same seed. Seconds count training steps, without judging
and writing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from rich.console import Console

from lpgd.experiments import comparison
from lpgd.experiments.comparison import Effort, Final, Report
from lpgd.experiments.contest import Comparable, Outcome
from lpgd.experiments.markowitz.config import MarkowitzConfig
from lpgd.experiments.markowitz.methods import EXACT
from lpgd.experiments.markowitz.task import MARKOWITZ, least_loss
from lpgd.experiments.methods import Method

_EVALUATIONS = 10  # per epoch of a final run
_TUNING_EVALUATIONS = 2
_REMAINING = 0.1  # of the way from the start to the best loss


@dataclass(frozen=True)
class Study:
    """What decides the numbers of a comparison, besides the methods."""

    experiment: ClassVar[Comparable] = MARKOWITZ

    data: Literal["synthetic", "historical"] = "synthetic"
    prices: Literal["sp500", "factors"] = "sp500"
    assets: int = 12
    months: int = 120
    noise: float = 0.005
    portfolios: int = 8
    tuning_epochs: int = 8
    engine: str = "auto"
    threads: int | None = None

    @property
    def stages(self) -> tuple[int]:
        """All tuning runs have the same length."""
        return (self.tuning_epochs,)

    def config(self, seed: int, *, tuning: bool) -> MarkowitzConfig:
        """Return the part of the configuration that all methods share."""
        return MarkowitzConfig(
            seed=seed,
            data=self.data,
            prices=self.prices,
            assets=self.assets,
            months=self.months,
            noise=self.noise,
            portfolios=self.portfolios,
            engine=self.engine,
            threads=self.threads,
            evaluations=_TUNING_EVALUATIONS if tuning else _EVALUATIONS,
            tuning=tuning,
        )


def compare(
    study: Study,
    methods: list[Method],
    effort: Effort,
    out: Path,
    console: Console,
    report: Report | None = None,
) -> list[Final]:
    """Tune every method, then run the chosen settings from several seeds; Exact is always there."""
    methods = [EXACT, *(method for method in methods if method != EXACT)]
    return comparison.compare(study, methods, effort, out, console, report=report)


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
