"""Engines by name.

A third party adds one without touching this code: pass an instance as ``engine=``, or declare an
entry point in the group ``lpgd.engines`` whose name is the engine's and whose object is a callable
without arguments that returns it.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from lpgd.core.engine import Engine
from lpgd.core.errors import EngineError

ENGINES = {
    "daqp": "lpgd.engines.daqp.engine:DaqpEngine",
    "highs": "lpgd.engines.highs.engine:HighsEngine",
    "piqp": "lpgd.engines.piqp.engine:PiqpEngine",
    "moreau": "lpgd.engines.cones.moreau:MoreauEngine",
    "clarabel": "lpgd.engines.cones.clarabel:ClarabelEngine",
    "scs": "lpgd.engines.cones.scs:ScsEngine",
    "ipopt": "lpgd.engines.lagrangian.ipopt:IpoptEngine",
    "pounce": "lpgd.engines.lagrangian.pounce:PounceEngine",
    "slsqp": "lpgd.engines.lagrangian.slsqp:SlsqpEngine",
}


def get(name: str) -> Engine:
    """The engine of that name with its default options.

    Raises
    ------
    EngineError
        There is none.
    """
    if name in ENGINES:
        module, attribute = ENGINES[name].split(":")
        return cast(Engine, getattr(import_module(module), attribute)())
    found = entry_points(group="lpgd.engines", name=name)
    if not found:
        names = sorted({*ENGINES, *(point.name for point in entry_points(group="lpgd.engines"))})
        raise EngineError(f"unknown engine {name!r}; known engines: auto, {', '.join(names)}")
    return cast(Engine, next(iter(found)).load()())


@cache
def known() -> tuple[Engine, ...]:
    """The library's engines, among which ``engine="auto"`` chooses."""
    return tuple(map(get, ENGINES))


def check(engine: object) -> None:
    """Refuse what is neither a known name nor an engine, where it is written.

    Raises
    ------
    EngineError
        An unknown name.
    TypeError
        Anything else that is no engine.
    """
    if isinstance(engine, str):
        if engine != "auto":
            get(engine)
    elif not hasattr(engine, "solve") or isinstance(engine, type):
        raise TypeError(f"engine must be a name or an engine instance, got {engine!r}")
