"""What a call gives to the rule itself, beside the problem's data: a key, and what it remembers."""

from collections.abc import Mapping
from typing import TypeVar

from lpgd.core.errors import EngineError
from lpgd.core.params import Params
from lpgd.core.problem import Groups
from lpgd.core.rule import KEY, OWN, Memory, Rule
from lpgd.core.solution import FloatArray

Item = TypeVar("Item")


def parted(named: Mapping[str, Item]) -> tuple[Mapping[str, Item], dict[str, Item]]:
    """What belongs to the problem's data, and to the rule itself."""
    own = {name: item for name, item in named.items() if name.startswith(OWN)}
    return {name: named[name] for name in named if name not in own} if own else named, own


def smooths(rule: Rule) -> bool:
    """Whether the rule may solve other problems in the place of a batch."""
    own = type(rule)
    return own.sample is not Rule.sample or own.explore is not Rule.explore


def remembered(rule: Rule, own: Params, memory: Memory) -> Memory:
    """What the rule remembers: what the call says of it, else what the layer keeps.

    Raises
    ------
    EngineError
        The call says several things.
    """
    told = {name: param for name, param in own.items() if name != KEY}
    if not told:
        return memory
    if any(len(param.values) != 1 for param in told.values()):
        raise EngineError(_several(rule))
    return {name.removeprefix(OWN): param.values[0] for name, param in told.items()}


def changed(
    rule: Rule, own: Params, memory: Memory, wanted: Mapping[str, Groups]
) -> dict[str, FloatArray]:
    """By how much a pullback changed what the call said that the rule remembers.

    Raises
    ------
    EngineError
        Elements are to change it each on its own.
    """
    if any(len(groups) != 1 for groups in wanted.values()):
        raise EngineError(_several(rule))
    return {name: memory[name.removeprefix(OWN)] - own[name].values for name in wanted}


def _several(rule: Rule) -> str:
    return (
        f"the state of {type(rule).__name__} belongs to a batch as a whole: give the batch to one "
        "call, or take the gradient outside of vmap, not within"
    )
