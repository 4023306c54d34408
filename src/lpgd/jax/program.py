"""A call of a function: arguments in, outputs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from lpgd.core.engine import Engine
from lpgd.core.problem import Problem
from lpgd.core.rule import Rule
from lpgd.frontend.program import Program
from lpgd.frontend.replay import Last, Replay
from lpgd.frontend.views import View
from lpgd.jax.arguments import Arguments
from lpgd.jax.bridge import Call, solve
from lpgd.jax.host import HOST
from lpgd.jax.own import Own
from lpgd.jax.traced import Traced
from lpgd.map.report import OnFailure
from lpgd.map.solution_map import SolutionMap
from lpgd.rules.lpgd import LPGD


def solver_of(
    rule: Rule | None,
    engine: str | Engine,
    on_failure: OnFailure,
    threads: int | None = None,
    *,
    accept_inexact: bool = False,
    own: Own | None = None,
) -> SolutionMap:
    """The solution map of a function's options.

    Raises
    ------
    EngineError
        The rule needs a key or a state, and it is not given.
    """
    rule = LPGD() if rule is None else rule
    found = SolutionMap(rule, engine, on_failure, threads, accept_inexact)
    (own or Own()).fits(found.rule)
    return found


@dataclass(frozen=True)
class Posed:
    """A problem, how its outputs look, and who solves it.

    Attributes
    ----------
    map : SolutionMap
    problem : Problem
    view : View
    widths : tuple of int
        Length of a row of each output.
    opaque : mapping from name to array of objects
        See ``Program``.
    last : Last or None
        Where to remember the solution.
    warm : bool
        Whether to start from the one that is remembered.
    asked : Traced or None
        What the host may ask of JAX.
    """

    map: SolutionMap
    problem: Problem
    view: View
    widths: tuple[int, ...]
    opaque: Mapping[str, np.ndarray] = field(default_factory=dict)
    last: Last | None = None
    warm: bool = False
    asked: Traced | None = None

    def program(self, arguments: Arguments) -> Program:
        """What a call with these arguments solves."""
        names = tuple(arguments.every)
        return Program(self.map, self.problem, self.view, names, arguments.ranks, self.opaque)

    def followed(self, arguments: Arguments, own: Own) -> Arguments:
        """The arguments of a call, with what it gives to the rule."""
        shapes = [array.shape for array in arguments.arrays.values()]
        batch = self.program(arguments).batch(shapes)
        return replace(arguments, own=own.arrays(self.map.rule, batch))


@dataclass(frozen=True)
class Asked:
    """A call of a function that is not solved yet.

    Attributes
    ----------
    posed : Posed
    arguments : Arguments
    present : callable
        From the outputs (*batch, k) to what the function returns for them.
    """

    posed: Posed
    arguments: Arguments
    present: Callable[[Sequence[jax.Array]], Any]

    @property
    def program(self) -> Program:
        """What it solves."""
        return self.posed.program(self.arguments)

    def answer(self) -> Any:
        """What the function returns.

        Raises
        ------
        EngineError
            The engine cannot do what the rule asks of it.
        """
        posed, own, program = self.posed, self.arguments, self.program
        posed.map.choose(posed.problem)  # refused when traced, not when solved
        replay = Replay(
            program, posed.widths, own.resolution, HOST.store, posed.last, warm=posed.warm
        )
        call = Call(replay, own.dtype, posed.asked)
        return self.present(solve(call, list(own.every.values())))
