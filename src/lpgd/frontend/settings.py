"""Options of a call that change its engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

from lpgd.core.warn import warn
from lpgd.engines import registry
from lpgd.engines.options import configure, named_engine
from lpgd.families.conic.conic import Conic
from lpgd.families.conic.polyhedral import forms
from lpgd.families.cvxpy.model import CvxpyModel
from lpgd.map.solution_map import SolutionMap

# Options of cvxpylayers' default solver that cannot change an answer.
THEIRS = {"acceleration_lookback", "n_jobs_forward", "n_jobs_backward"}
MOST = 32  # settings that a layer keeps, for those who vary an option from call to call


class Setting(NamedTuple):
    """An engine with its options, and the form in which it takes the problem."""

    map: SolutionMap
    model: CvxpyModel


def options(args: Any) -> dict[str, Any]:
    """Options as the user gave them, those in ``ipm_settings`` (of Moreau) beside the others."""
    flat = _copied("solver_args", args)
    return {**_copied("ipm_settings", flat.pop("ipm_settings", None)), **flat}


def _copied(name: str, given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} must be a dict of options, got {given!r}")
    return dict(cast(Mapping[str, Any], given))


@dataclass
class Settings:
    """The settings of a layer by their options, each made once.

    Attributes
    ----------
    base : Setting
        The layer's engine without options, and the model with a cone program inside.
    defaults : mapping from str to value
        Options that a call may override.
    """

    base: Setting
    defaults: Mapping[str, Any]
    made: dict[tuple[tuple[str, str], ...], Setting] = field(default_factory=dict)
    warned: set[str] = field(default_factory=set)
    plain: Setting | None = field(default=None, init=False, repr=False)

    def of(self, args: Mapping[str, Any] | None) -> Setting:
        """The setting for the options of a call.

        Raises
        ------
        ValueError
            An option is unknown or out of range.
        EngineError
            The engine cannot do what problem and rule ask of it.
        """
        if args is None and self.plain is not None:
            return self.plain
        merged = {**self.defaults, **options(args)}
        key = tuple(sorted((name, repr(value)) for name, value in merged.items()))
        found = self.made.get(key)
        if found is None:
            if len(self.made) == MOST:
                self.made.pop(next(iter(self.made)), None)  # the oldest
            found = self.made[key] = self._make(merged)
        if args is None:
            self.plain = found
        return found

    def _make(self, args: dict[str, Any]) -> Setting:
        chosen, compiled = self.base
        method = named_engine(args)
        if method in registry.ENGINES and chosen.engine == "auto":
            chosen = replace(chosen, engine=method)
            del args["solve_method"]
        choice = chosen.choose(*forms(cast(Conic, compiled.inner)))
        model = replace(compiled, inner=choice.problem)
        engine, unused = configure(choice.engine, args)
        new = [name for name in unused if name not in THEIRS | self.warned]
        if new:
            self.warned.update(new)
            listed = ", ".join(map(repr, new))
            warn(f"engine {engine.name!r} has no use for the option {listed}", UserWarning)
        return Setting(replace(chosen, engine=engine), model)
