"""The gradient rules that a comparison compares, and the settings each may choose from."""

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.settings import Settings

Tau = float | Literal["auto"]
Config = TypeVar("Config", bound=Settings)


@dataclass(frozen=True)
class Method:
    """A rule with what is fixed about it; ``taus`` and ``learning_rates`` list what is tuned.

    ``taus`` is empty for a rule that has none, and ``sigmas`` (sizes of noise) for one without.
    """

    name: str
    label: str
    rule: str
    rho: float
    taus: tuple[Tau, ...]
    learning_rates: tuple[float, ...]
    side: Literal["lower", "upper", "average"] = "average"
    sigmas: tuple[float, ...] = ()
    loss: Literal["linearised", "full"] = "linearised"

    def candidates(self, base: Config) -> list[Config]:
        """Return every setting to be tried."""
        fixed = {"rule": self.rule, "rho": self.rho, "side": self.side, "loss": self.loss}
        noises = [{"sigma": sigma} for sigma in self.sigmas] or [{}]
        return [
            replace(base, tau=tau, lr=lr, **fixed, **noise)
            for tau in self.taus or (base.tau,)  # not used then, but it has to be well formed
            for noise in noises
            for lr in self.learning_rates
        ]


def setting_name(config: Settings) -> str:
    """Name the tuned part of a configuration, for files and messages."""
    return "_".join([*sizes(config, "-"), f"lr-{config.lr:g}"])


def sizes(config: Settings, equals: str = " ") -> list[str]:
    """Write tau and sigma, as far as the rule has them."""
    named = [name for name in ("tau", "sigma") if name in config.rules[config.rule]]
    return [f"{name}{equals}{show_tau(getattr(config, name))}" for name in named]


def show_tau(tau: Tau) -> str:
    """Write a tau."""
    return tau if isinstance(tau, str) else f"{tau:g}"


def choose_methods(methods: tuple[Method, ...], names: list[str] | None) -> list[Method]:
    """Return the methods of these names, or all if none is given."""
    known = {method.name: method for method in methods}
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise ExperimentError(f"unknown method {unknown[0]}; choose from {', '.join(known)}")
    return [known[name] for name in names or known]
