"""Everything that decides the numbers of a Markowitz run."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.settings import Range, Settings, check_choice, check_size

_HALVINGS = "utility"  # the objective whose step size is halved with every epoch


@dataclass(frozen=True, kw_only=True)
class MarkowitzConfig(Settings):
    """Settings of one run.

    ``months`` are those of a synthetic market to train on (half as many each serve for validation
    and for the test), ``noise`` the standard deviation of what its expert trades besides, as a
    share of wealth. ``portfolios`` is how many holdings stand for each month when trades are
    tracked; ``rollouts`` how many serve for training when utility is maximised. A mean over the
    batch has divided the loss gradient by its size; tau refers to that.
    """

    ranges: ClassVar[dict[str, Range]] = {
        "assets": (2, 1_000),
        "months": (1, 100_000),
        "portfolios": (1, 100_000),
        "rollouts": (1, 1_000_000),
        "horizon": (1, 10_000),
    }

    epochs: int = 10
    batch: int = 48
    lr: float = 0.05
    tau: float | Literal["auto"] = "auto"
    data: Literal["synthetic", "historical"] = "synthetic"
    prices: Literal["sp500", "factors"] = "sp500"
    objective: Literal["tracking", "utility"] = "tracking"
    assets: int = 12
    months: int = 120
    noise: float = 0.005
    portfolios: int = 8
    rollouts: int = 1000
    horizon: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("noise", self.noise)
        check_choice("data", self.data, ("synthetic", "historical"))
        check_choice("prices", self.prices, ("sp500", "factors"))
        check_choice("objective", self.objective, ("tracking", "utility"))

        if self.loss == "full" and self.objective != "tracking":
            raise ExperimentError("a full loss needs objective tracking: a rollout has many solves")

    def learning_rate(self, epoch: int) -> float:
        """Return the step size; that for utility is halved after each epoch, as in the study."""
        return math.ldexp(self.lr, -epoch) if self.objective == _HALVINGS else self.lr
