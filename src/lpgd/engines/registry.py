"""Engines by name.

A third party adds one without touching this code: pass an instance as ``engine=``, or declare an
entry point in the group ``lpgd.engines`` whose name is the engine's and whose object is a callable
without arguments that returns it.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import cast

from lpgd.core.engine import Engine
from lpgd.core.errors import EngineError
from lpgd.core.problem import Problem
from lpgd.core.rule import ADJOINT, Rule
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import Polyhedral

ENGINES = {
    "daqp": "lpgd.engines.daqp.engine:DaqpEngine",
    "highs": "lpgd.engines.highs.engine:HighsEngine",
    "moreau": "lpgd.engines.cones.moreau:MoreauEngine",
    "clarabel": "lpgd.engines.cones.clarabel:ClarabelEngine",
    "scs": "lpgd.engines.cones.scs:ScsEngine",
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
# Cone programs with zero and nonnegative rows alone. Forward and one tilted solve, DAQP on dense
# matrices over Moreau on patterns (benchmarks/crossover.py): strictly convex ones without zeros
# 0.05 to 0.13 times at 20 x 20, 0.03 to 0.06 at 50 x 50 to 500 x 500; lasso with residuals as
# variables (P has empty rows, so set up afresh every time) 0.1 to 1.0 times at 20 to 300 variables;
# control problems (2 % of the entries stored) 0.1 to 0.2 times at 60, 1.0 at 180, 1.2 to 2.6 at
# 240, 12 at 960.
CONIC = ("moreau", "clarabel", "scs")  # the first one installed
POLYHEDRAL = frozenset({"zero", "nonneg"})
SMALL_QP = 150  # variables up to which QPs go to DAQP whatever their pattern
FULL = 0.1  # share of stored entries from which they go there at any size
LARGE_DENSE = 4_000_000  # entries of P and A up to which patterns are made dense: 32 MB an element


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
    to Clarabel or SCS where it is not installed.
    """
    if problem.family == "conic":
        return next((name for name in CONIC if find_spec(name)), CONIC[0])
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


def require(engine: Engine, problem: Problem, rule: Rule) -> None:
    """Refuse an engine that cannot do what a problem and a rule need.

    Raises
    ------
    EngineError
    """
    able, tilted = engine.capabilities, rule.requires(problem)
    if problem.family not in able.families:
        raise EngineError(f"engine {engine.name!r} does not solve a {problem.family}")
    if isinstance(problem, Conic):
        require_cones(engine, problem.cones)
    if problem.sparse and not able.sparse:
        raise EngineError(f"engine {engine.name!r} takes dense arguments only, not Sparse ones")
    if tilted == ADJOINT:
        if not able.adjoint:
            raise EngineError(
                f"Exact() needs the adjoint of a {problem.family} program, which engine "
                f"{engine.name!r} does not have; use LPGD, or another engine."
            )
    elif tilted is not None and tilted not in able.families:
        raise EngineError(
            f"rho > 0 turns the tilted {problem.family} into a {tilted}, which engine "
            f"{engine.name!r} does not solve. Use rho = 0, or dense data with engine='daqp'."
        )


def require_cones(engine: str | Engine, cones: Cones) -> None:
    """Refuse an engine that does not take these cones; ``"auto"`` takes all.

    Raises
    ------
    EngineError
    """
    if engine == "auto":
        return
    engine = get(engine) if isinstance(engine, str) else engine
    able = engine.capabilities
    taken = able.cones if "conic" in able.families else POLYHEDRAL
    missing = sorted(cones.kinds - taken)
    if missing or not able.families & {"conic", "QP", "LP"}:
        raise EngineError(
            f"engine {engine.name!r} takes cone programs with {_listed(taken)} rows only, not with "
            f"{_listed(missing)} rows; engine='auto' finds one that does"
        )


def form(conic: Conic, engine: str | Engine, rule: Rule) -> Conic | Polyhedral:
    """How a cone program is handed to the engine: as it is, or as a QP or an LP.

    Engines for QPs and LPs (DAQP, HiGHS) get programs with zero and nonnegative rows as such, and
    ``"auto"`` does so where that is the faster way. Structure decides, never values.

    Raises
    ------
    EngineError
        The named engine cannot solve the program, or its tilted version.
    """
    require_cones(engine, conic.cones)
    polyhedral = conic.cones.kinds <= POLYHEDRAL
    if engine == "auto":
        return _fast_form(conic, rule) if polyhedral else conic
    engine = get(engine) if isinstance(engine, str) else engine
    families = engine.capabilities.families
    if "conic" in families:
        return conic
    if conic.quadratic and "QP" not in families:
        raise EngineError(f"engine {engine.name!r} solves LPs only, but P is given; name another")
    flat = Polyhedral(conic, dense=not (engine.capabilities.sparse and _sparse_lp(conic)))
    if flat.dense and conic.sparse and _entries(conic) > LARGE_DENSE:
        raise EngineError(
            f"engine {engine.name!r} needs dense matrices, which for this program have "
            f"{_entries(conic):.1e} entries; use engine='auto'"
        )
    require(engine, flat.program, rule)
    return flat


def _fast_form(conic: Conic, rule: Rule) -> Conic | Polyhedral:
    if conic.quadratic:
        small = conic.n <= SMALL_QP or _filled(conic) >= FULL
        return Polyhedral(conic) if small and _entries(conic) <= LARGE_DENSE else conic
    large = conic.n > SMALL_LP
    flat = Polyhedral(conic, dense=not (large and _sparse_lp(conic)))
    return conic if large and rule.requires(flat.program) == "QP" else flat


def _sparse_lp(conic: Conic) -> bool:
    return not conic.quadratic and "A" in conic.patterns


def _entries(conic: Conic) -> int:
    """Entries of P and A as dense matrices."""
    return conic.n * (conic.m + (conic.n if conic.quadratic else 0))


def _filled(conic: Conic) -> float:
    """Share of the entries of P and A that are stored."""
    sizes = {"A": conic.m * conic.n, "P": conic.n**2 if conic.quadratic else 0}
    stored = sum(
        len(conic.patterns[name].rows) if name in conic.patterns else size
        for name, size in sizes.items()
    )
    return stored / max(_entries(conic), 1)


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(kinds)) or "no"


def _size(problem: Problem) -> str:
    kind = "sparse" if problem.sparse else "dense"
    return f"{kind}, {problem.n} variables, {problem.m} multipliers"
