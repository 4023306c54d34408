"""Settings that the configurations of all experiments share."""

import reprlib
import sys
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

from lpgd import LPGD, Exact
from lpgd.experiments.runs import ExperimentError, RunDirectory, read_json, reading, write_json

Range = tuple[int, int]
"""Least and greatest whole number."""

COUNT: Range = (1, 10**9)
_SEED: Range = (0, 2**64 - 1)  # what a generator of torch takes
_RANGES = dict.fromkeys(("epochs", "batch", "evaluations"), COUNT)
_RANGES |= dict.fromkeys(("seed", "data_seed"), _SEED)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides the numbers of a run; an experiment adds its own fields and defaults.

    ``tau`` scales with the loss gradient: a mean over the batch has already divided it.
    """

    epochs: int
    batch: int
    lr: float
    seed: int = 0
    data_seed: int = 0
    rule: str = "lpgd"
    tau: float | Literal["auto"]
    rho: float = 0.0
    side: Literal["lower", "upper", "average"] = "average"
    loss: Literal["linearised", "full"] = "linearised"  # full: added to the program as it is
    engine: str = "auto"
    threads: int | None = None
    evaluations: int = 1  # per epoch, evenly spaced, the last one at its end
    tuning: bool = False  # whether this run only serves to choose settings

    rules: ClassVar[dict[str, tuple[str, ...]]] = {"lpgd": ("tau", "side"), "exact": ()}
    """Gradient rules, and the settings that each of them alone has."""

    ranges: ClassVar[dict[str, Range]] = {}
    """Further whole numbers."""

    ranges_if_given: ClassVar[dict[str, Range]] = {"threads": COUNT}
    """Whole numbers that may also be None."""

    def __post_init__(self) -> None:
        if not (isinstance(self.lr, Real) and 0 < self.lr <= sys.float_info.max):
            raise ExperimentError(
                f"the learning rate must be a positive finite number, got {self.lr!r}"
            )
        given = {k: v for k, v in self.ranges_if_given.items() if vars(self)[k] is not None}
        for name, range_ in (_RANGES | self.ranges | given).items():
            _check_whole(name, vars(self)[name], range_)
        check_choice("rule", self.rule, tuple(self.rules))
        check_choice("loss", self.loss, ("linearised", "full"))
        if self.loss == "full":
            self._check_full()
        if not isinstance(self.engine, str):
            raise ExperimentError(f"engine must be a name, got {self.engine!r}")
        try:
            self.make_rule()
        except ValueError as error:
            raise ExperimentError(str(error)) from None

    def _check_full(self) -> None:
        if self.rule != "lpgd" or self.side != "lower":
            raise ExperimentError(
                "a full loss needs rule lpgd and side lower: other sides are non-convex problems"
            )
        if self.tau == "auto":
            raise ExperimentError("a full loss needs a tau, not auto: its value depends on it")

    def make_rule(self) -> LPGD | Exact:
        """Return the gradient rule."""
        if self.rule == "exact":
            return Exact(rho=self.rho)
        return LPGD(tau=self.tau, rho=self.rho, side=self.side)

    @property
    def method(self) -> str:
        """What makes the gradients, in words."""
        if self.loss == "full":
            return f"Full loss, tau={self.tau}, rho={self.rho}, side={self.side!r}"
        return str(self.make_rule())

    def learning_rate(self, epoch: int) -> float:
        """Return the step size in an epoch, counted from 0."""
        return self.lr

    def to_json(self) -> dict[str, Any]:
        """Return a value that JSON can hold; the class called with ``**value`` reads it back."""
        return asdict(self)

    @classmethod
    def read(cls, run: RunDirectory) -> Self:
        """Read the configuration of a run."""
        if not run.config.exists():
            raise ExperimentError(f"{run.path} is not a run directory: it has no {run.config.name}")
        with reading(run.config):
            given = read_json(run.config)
            strange = sorted(set(given) - {own.name for own in fields(cls)})
            if strange:
                raise ValueError(
                    f"a run of another experiment or version? This one has no {', '.join(strange)}"
                )
            return cls(**given)

    def write(self, run: RunDirectory) -> None:
        """Write the configuration of a run."""
        write_json(run.config, self.to_json())


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise `ExperimentError` unless a setting is one of the known words."""
    if value not in choices:
        raise ExperimentError(f"{name} must be {' or '.join(choices)}, got {value!r}")


def check_size(name: str, value: float) -> None:
    """Raise `ExperimentError` unless a setting is a finite number >= 0."""
    if not (isinstance(value, Real) and 0 <= value <= sys.float_info.max):
        raise ExperimentError(f"{name} must be a finite number >= 0, got {value!r}")


def _check_whole(name: str, value: Any, range_: Range) -> None:
    least, most = range_
    whole = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
    if whole is None or not least <= whole <= most:
        limit = f"<= {most}" if whole is not None and whole > most else f">= {least}"
        shown = reprlib.repr(value)  # a number may have a thousand digits
        raise ExperimentError(f"{name} must be a whole number {limit}, got {shown}")
