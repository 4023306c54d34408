"""Settings that experiments with predicted costs share."""

import sys
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Literal

from lpgd import LPGD
from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.settings import COUNT, Range, Settings, check_choice
from lpgd.rules import IMLE, Identity, SumOfGamma, blackbox

LAYERS = ("lpgd", "blackbox", "identity", "imle")  # the other rules are losses of their own
_SIZED = ("blackbox", "imle")  # of a tau that is a number


@dataclass(frozen=True, kw_only=True)
class DecisionConfig(Settings):
    """Settings of one run.

    The loss is summed over the batch, so that ``tau`` weighs an instance's own loss; costs are in
    units of their mean size. ``sigma`` is the size of the noise and ``samples`` how often it is
    drawn. ``task_loss`` is what follows a layer; the other rules are losses themselves.
    """

    rules: ClassVar[dict[str, tuple[str, ...]]] = {
        "lpgd": ("tau", "side"),
        "blackbox": ("tau",),
        "identity": (),
        "imle": ("tau", "sigma", "samples"),
        "two-stage": (),
        "spo-plus": (),
        "fenchel-young": ("sigma", "samples"),
    }
    ranges: ClassVar[dict[str, Range]] = dict.fromkeys(
        ("train_size", "test_size", "samples"), COUNT
    )

    epochs: int = 20
    batch: int = 32
    lr: float = 0.03
    tau: float | Literal["auto"] = "auto"
    sigma: float = 0.5
    samples: int = 10
    task_loss: Literal["regret", "hamming"] = "regret"
    train_size: int = 1000
    test_size: int = 1000

    def __post_init__(self) -> None:
        if self.rule in _SIZED and self.tau == "auto":
            raise ExperimentError(f"tau of {self.rule} must be a number")
        super().__post_init__()
        if not (isinstance(self.sigma, Real) and 0 < self.sigma <= sys.float_info.max):
            raise ExperimentError(f"sigma must be a positive finite number, got {self.sigma!r}")
        check_choice("task_loss", self.task_loss, ("regret", "hamming"))

    def make_rule(self) -> Any:
        """Return the gradient rule of a layer; None for a rule that is a loss."""
        rules: dict[str, Any] = {
            "lpgd": lambda: LPGD(self.tau, side=self.side),
            "blackbox": lambda: blackbox(float(self.tau)),
            "identity": lambda: Identity("both"),
            "imle": lambda: IMLE(
                float(self.tau), self.sigma, self.samples, SumOfGamma(seed=self.seed)
            ),
        }
        return rules[self.rule]() if self.rule in LAYERS else None

    @property
    def method(self) -> str:
        """The rule and the loss in words."""
        if self.rule in LAYERS:
            return f"{self.make_rule()}, {self.task_loss} loss"
        noise = f", sigma {self.sigma:g}" if "sigma" in self.rules[self.rule] else ""
        return f"{self.rule} loss{noise}"
