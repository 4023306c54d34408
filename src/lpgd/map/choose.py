"""Which engine solves a problem, and in which of its forms.

Engines declare what they can do and where they are a good choice (``Capabilities``); problems
declare what they need. Nothing here knows a family or an engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

from lpgd.core.abilities import demand
from lpgd.core.engine import Engine
from lpgd.core.errors import EngineError
from lpgd.core.problem import Problem, a
from lpgd.core.rule import Rule
from lpgd.engines import registry


class Choice(NamedTuple):
    """Which of the forms of a problem is solved, and by which engine."""

    place: int
    engine: Engine


def traits(problem: Problem) -> tuple[object, ...]:
    """What decides the choice for a problem."""
    program = problem.program
    return program.family, program.n, program.m, program.needs, program.stored


def choose(forms: Sequence[Problem], engine: str | Engine, rule: Rule) -> Choice:
    """The form and the engine for a problem, before any solve.

    Parameters
    ----------
    forms : sequence of Problem
        What the problem can be stated as, the first one being the problem itself.
    engine : str or Engine
        ``"auto"``, a name, or an instance.
    rule : Rule

    Raises
    ------
    EngineError
        No engine, or not the named one, can do what problem and rule need.
    """
    for form in forms:
        demand(form.program, rule.needs(form.program), name_of(rule))
    if engine == "auto":
        return _best(forms, rule)
    named = registry.get(engine) if isinstance(engine, str) else engine
    faults = [fault_of(named, form.program, rule) for form in forms]
    for place, fault in enumerate(faults):
        if fault is None:
            return Choice(place, named)
    raise EngineError(_deepest(faults))


def _deepest(faults: Sequence[Fault | None]) -> str:
    """What is wrong with the form that came closest to being solved."""
    return max((fault for fault in faults if fault), key=lambda fault: fault.depth).text


def refuse(forms: Sequence[Problem], engine: str | Engine) -> None:
    """Refuse an engine that takes no form of a problem, whatever the rule.

    Raises
    ------
    EngineError
    """
    if engine == "auto":
        return
    named = registry.get(engine) if isinstance(engine, str) else engine
    faults = [_unable(named, form.program) for form in forms]
    if all(faults):
        raise EngineError(_deepest(faults))


def name_of(rule: Rule) -> str:
    """What messages call a rule."""
    return f"{type(rule).__name__}()"


@dataclass(frozen=True)
class Fault:
    """Why an engine cannot serve; the deeper, the more of what is needed it could do."""

    depth: int
    text: str


def fault_of(engine: Engine, problem: Problem, rule: Rule) -> Fault | None:
    """What keeps an engine from solving a problem and its tilted versions."""
    unable = _unable(engine, problem)
    if unable:
        return unable
    able, tilted = engine.capabilities, rule.requires(problem)
    who, family = f"engine {engine.name!r}", problem.family
    if tilted is not None and tilted not in able.families:
        return Fault(
            2,
            f"rho > 0 turns the tilted {family} into {a(tilted)}, which {who} does not solve. "
            "Use rho = 0, or engine='auto': 'daqp' for dense data, 'piqp' for sparse ones.",
        )
    stored, dense = problem.stored
    if stored < dense and dense > able.entries:
        return Fault(
            3,
            f"{who} needs dense matrices, which for this program have {dense:.1e} entries; {TRY}",
        )
    return None


def _unable(engine: Engine, problem: Problem) -> Fault | None:
    able, who = engine.capabilities, f"engine {engine.name!r}"
    if problem.family not in able.families:
        return Fault(0, f"{who} {problem.refusal(able.families)}; {TRY}")
    missing = problem.needs - able.takes
    return Fault(1, f"{who} {_lacks(missing, able.takes)}; {TRY}") if missing else None


TRY = "engine='auto' finds one that does"


def _lacks(missing: frozenset[str], takes: frozenset[str]) -> str:
    if "sparse" in missing:
        return "takes dense arguments only, not Sparse ones"
    return f"takes {_listed(takes - {'sparse'})} rows only, not {_listed(missing)} rows"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "no"


def _best(forms: Sequence[Problem], rule: Rule) -> Choice:
    """The choice of lowest rank; among equals the first form, then the first engine."""
    engines = registry.known()
    found = [
        (span.rank, place, order)
        for place, form in enumerate(forms)
        for order, engine in enumerate(engines)
        for span in engine.capabilities.ranges
        if span.holds(form.program) and fault_of(engine, form.program, rule) is None
    ]
    if not found:
        raise EngineError(_why_none(forms[0].program, rule, engines))
    best = sorted(found)
    for _, place, order in best:
        if installed(engines[order]):
            return Choice(place, engines[order])
    _, place, order = best[0]  # which will name what to install
    return Choice(place, engines[order])


def installed(engine: Engine) -> bool:
    """Whether the engine's solver is there."""
    package = engine.capabilities.package
    return package is None or find_spec(package) is not None


def _why_none(problem: Problem, rule: Rule, engines: Sequence[Engine]) -> str:
    family, tilted = problem.family, rule.requires(problem)
    solving = [e.name for e in engines if family in e.capabilities.families]
    if not solving:
        return (
            f"no engine of this library solves {a(family)}; pass an instance of yours as engine=, "
            "or its name if it is registered"
        )
    size = f"{'sparse' if 'sparse' in problem.needs else 'dense'}, {problem.n} variables, "
    size += f"{problem.m} multipliers"
    if tilted not in (None, family):
        return (
            f"rho > 0 turns the tilted {family} into {a(tilted)}, and no engine solves both at "
            f"this size ({size}). Use rho = 0, or pass dense data with engine='daqp'."
        )
    return (
        f"engine='auto' has no engine for this {family} ({size}; it needs "
        f"{_listed(problem.needs)}); name one of {', '.join(solving)}"
    )
