"""Differentiable optimization layers with Lagrangian proximal gradient descent (LPGD).

``lpgd.LPGD`` and ``lpgd.Exact`` say how a solution is differentiated; ``lpgd.torch`` holds the
layers. Importing this package loads numpy and nothing else of weight: no torch, no jax, no solver.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpgd.core.errors import (
        EngineError,
        IllPosedError,
        LpgdError,
        MissingExtraError,
        OracleWarning,
        SolverError,
        SolverWarning,
        StructureError,
        StuckWarning,
    )
    from lpgd.core.solution import Status
    from lpgd.diagnosis.causes import Finding
    from lpgd.diagnosis.diagnose import diagnose
    from lpgd.diagnosis.elements import Elements
    from lpgd.diagnosis.report import Diagnosis
    from lpgd.engines.cones.clarabel import ClarabelEngine
    from lpgd.engines.cones.moreau import MoreauEngine
    from lpgd.engines.cones.scs import ScsEngine
    from lpgd.engines.daqp.engine import DaqpEngine
    from lpgd.engines.highs.engine import HighsEngine
    from lpgd.engines.lagrangian.ipopt import IpoptEngine
    from lpgd.engines.lagrangian.pounce import PounceEngine
    from lpgd.engines.lagrangian.slsqp import SlsqpEngine
    from lpgd.engines.piqp.engine import PiqpEngine
    from lpgd.engines.workers import Workers
    from lpgd.families.conic.cones import Cones
    from lpgd.rules.exact import Exact
    from lpgd.rules.lpgd import LPGD

__version__ = "0.1.0"

_HOMES = {
    "LPGD": "lpgd.rules.lpgd",
    "ClarabelEngine": "lpgd.engines.cones.clarabel",
    "Cones": "lpgd.families.conic.cones",
    "DaqpEngine": "lpgd.engines.daqp.engine",
    "Diagnosis": "lpgd.diagnosis.report",
    "Elements": "lpgd.diagnosis.elements",
    "EngineError": "lpgd.core.errors",
    "Exact": "lpgd.rules.exact",
    "Finding": "lpgd.diagnosis.causes",
    "HighsEngine": "lpgd.engines.highs.engine",
    "IllPosedError": "lpgd.core.errors",
    "IpoptEngine": "lpgd.engines.lagrangian.ipopt",
    "LpgdError": "lpgd.core.errors",
    "MissingExtraError": "lpgd.core.errors",
    "MoreauEngine": "lpgd.engines.cones.moreau",
    "OracleWarning": "lpgd.core.errors",
    "PiqpEngine": "lpgd.engines.piqp.engine",
    "PounceEngine": "lpgd.engines.lagrangian.pounce",
    "ScsEngine": "lpgd.engines.cones.scs",
    "SlsqpEngine": "lpgd.engines.lagrangian.slsqp",
    "SolverError": "lpgd.core.errors",
    "SolverWarning": "lpgd.core.errors",
    "Status": "lpgd.core.solution",
    "StructureError": "lpgd.core.errors",
    "StuckWarning": "lpgd.core.errors",
    "Workers": "lpgd.engines.workers",
    "diagnose": "lpgd.diagnosis.diagnose",
}

# importing lpgd loads none of these; lpgd.torch does, as import lpgd.torch would
_PACKAGES = (
    "generators", "jax", "losses", "metrics", "oracles", "pyepo", "rules", "testing", "torch",
)  # fmt: skip

__all__ = [
    "LPGD",
    "ClarabelEngine",
    "Cones",
    "DaqpEngine",
    "Diagnosis",
    "Elements",
    "EngineError",
    "Exact",
    "Finding",
    "HighsEngine",
    "IllPosedError",
    "IpoptEngine",
    "LpgdError",
    "MissingExtraError",
    "MoreauEngine",
    "OracleWarning",
    "PiqpEngine",
    "PounceEngine",
    "ScsEngine",
    "SlsqpEngine",
    "SolverError",
    "SolverWarning",
    "Status",
    "StructureError",
    "StuckWarning",
    "Workers",
    "diagnose",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return import_module(f"lpgd.{name}")
    raise AttributeError(f"module 'lpgd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_PACKAGES, "__version__"])
