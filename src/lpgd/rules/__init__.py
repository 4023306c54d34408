"""Rules: what stands in for the derivative of a solver.

``lpgd.LPGD`` and ``lpgd.Exact`` are the library's own; here are earlier methods under their names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpgd.rules.frank_wolfe import FrankWolfe
    from lpgd.rules.identity import Identity
    from lpgd.rules.imle import IMLE, AdaptiveIMLE
    from lpgd.rules.named import blackbox, direct_loss, implicit_perturbation
    from lpgd.rules.noise import Gaussian, SumOfGamma
    from lpgd.rules.optimizer import Perturbed
    from lpgd.rules.steered import AdaptiveLPGD

_HOMES = {
    "IMLE": "imle",
    "AdaptiveIMLE": "imle",
    "AdaptiveLPGD": "steered",
    "FrankWolfe": "frank_wolfe",
    "Gaussian": "noise",
    "Identity": "identity",
    "Perturbed": "optimizer",
    "SumOfGamma": "noise",
    "blackbox": "named",
    "direct_loss": "named",
    "implicit_perturbation": "named",
}

__all__ = [
    "IMLE",
    "AdaptiveIMLE",
    "AdaptiveLPGD",
    "FrankWolfe",
    "Gaussian",
    "Identity",
    "Perturbed",
    "SumOfGamma",
    "blackbox",
    "direct_loss",
    "implicit_perturbation",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"lpgd.rules.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lpgd.rules' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
