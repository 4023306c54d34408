"""Engines by name.

A third party adds one without touching this code: pass an instance as ``engine=``, or declare an
entry point in the group ``lpgd.engines`` whose name is the engine's and whose object is a callable
without arguments that returns it.
"""

from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import cast

from lpgd.engines.base import Engine
from lpgd.errors import EngineError
from lpgd.problems.base import Problem

ENGINES = {
    "daqp": "lpgd.engines._daqp:DaqpEngine",
    "highs": "lpgd.engines._highs:HighsEngine",
    "moreau": "lpgd.engines._moreau:MoreauEngine",
    "clarabel": "lpgd.engines._clarabel:ClarabelEngine",
}

# Dense LPs up to this many variables go to DAQP, larger ones to HiGHS. Forward and one-side
# backward together, they meet near 100 variables on assignment, transport and shortest-path LPs,
# where HiGHS is 2 to 10 times faster at 130 to 200 and 200 times at 900; on LPs without zeros DAQP
# stays up to 9 times faster at 400, so such users name it (benchmarks/crossover.py measures both).
# The number of rows predicts less, and the share of zeros is no structure: answers must not
# depend on the values of a batch.
SMALL_LP = 150
# With rho > 0 only DAQP serves. Dense LPs with more variables than this are refused unless it is
# named: forward and tilted solve of one element then take seconds.
LARGE_TILT = 1000


def get(name: str) -> Engine:
    """The engine of that name with its default options."""
    if name in ENGINES:
        module, attribute = ENGINES[name].split(":")
        return cast(Engine, getattr(import_module(module), attribute)())
    found = entry_points(group="lpgd.engines", name=name)
    if not found:
        known = sorted({*ENGINES, *(point.name for point in entry_points(group="lpgd.engines"))})
        raise EngineError(f"unknown engine {name!r}; known engines: auto, {', '.join(known)}")
    return cast(Engine, next(iter(found)).load()())


def choose(problem: Problem, tilted: str | None) -> str:
    """Name of the engine for ``engine="auto"``.

    ``tilted`` is the family of the tilted problem. DAQP is the fastest for dense QPs and small
    LPs; HiGHS takes large or sparse LPs, but solves no tilted QP. Cone programs go to Moreau, or
    to Clarabel where Moreau is not installed.
    """
    if problem.family == "conic":
        return "clarabel" if find_spec("moreau") is None and find_spec("clarabel") else "moreau"
    if problem.family == "LP" and (problem.sparse or problem.n > SMALL_LP):
        if tilted != "QP":
            return "highs"
        if problem.sparse or problem.n > LARGE_TILT:
            raise EngineError(
                "rho > 0 turns the tilted LP into a QP, which engine='highs' does not solve, and "
                f"this LP is beyond the reach of engine='daqp' ({_size(problem)}). Use rho = 0, "
                "or pass dense data with engine='daqp'."
            )
    return "daqp"


def _size(problem: Problem) -> str:
    kind = "sparse" if problem.sparse else "dense"
    return f"{kind}, {problem.n} variables, {problem.m} multipliers"
