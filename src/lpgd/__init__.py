"""Differentiable optimization layers with Lagrangian proximal gradient descent (LPGD).

``lpgd.LPGD`` and ``lpgd.Exact`` say how a solution is differentiated; ``lpgd.torch`` holds the
layers. Importing this package loads numpy and nothing else of weight: no torch, no jax, no solver.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpgd.engines._clarabel import ClarabelEngine
    from lpgd.engines._daqp import DaqpEngine
    from lpgd.engines._highs import HighsEngine
    from lpgd.engines._moreau import MoreauEngine
    from lpgd.engines._scs import ScsEngine
    from lpgd.errors import (
        EngineError,
        LpgdError,
        MissingExtraError,
        SolverError,
        SolverWarning,
        StructureError,
        StuckWarning,
    )
    from lpgd.problems.cones import Cones
    from lpgd.rules.exact import Exact
    from lpgd.rules.lpgd import LPGD
    from lpgd.solution import Status

__version__ = "0.1.0"

_HOMES = {
    "LPGD": "lpgd.rules.lpgd",
    "ClarabelEngine": "lpgd.engines._clarabel",
    "Cones": "lpgd.problems.cones",
    "DaqpEngine": "lpgd.engines._daqp",
    "EngineError": "lpgd.errors",
    "Exact": "lpgd.rules.exact",
    "HighsEngine": "lpgd.engines._highs",
    "LpgdError": "lpgd.errors",
    "MissingExtraError": "lpgd.errors",
    "MoreauEngine": "lpgd.engines._moreau",
    "ScsEngine": "lpgd.engines._scs",
    "SolverError": "lpgd.errors",
    "SolverWarning": "lpgd.errors",
    "Status": "lpgd.solution",
    "StructureError": "lpgd.errors",
    "StuckWarning": "lpgd.errors",
}

__all__ = [
    "LPGD",
    "ClarabelEngine",
    "Cones",
    "DaqpEngine",
    "EngineError",
    "Exact",
    "HighsEngine",
    "LpgdError",
    "MissingExtraError",
    "MoreauEngine",
    "ScsEngine",
    "SolverError",
    "SolverWarning",
    "Status",
    "StructureError",
    "StuckWarning",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lpgd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
