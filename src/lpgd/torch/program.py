"""What the layers of all families share."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

from lpgd.core.engine import Engine
from lpgd.core.options import flag
from lpgd.core.problem import Problem
from lpgd.core.rule import Rule
from lpgd.core.stats import Stats
from lpgd.frontend.program import Program
from lpgd.frontend.subject import Subject
from lpgd.frontend.views import View
from lpgd.map.report import OnFailure
from lpgd.map.solution_map import SolutionMap
from lpgd.rules.lpgd import LPGD
from lpgd.torch import memory
from lpgd.torch.arguments import Arguments, Signature, signature
from lpgd.torch.bridge import Call, Solve
from lpgd.torch.subject import subject
from lpgd.torch.surroundings import untraced

MOST = 64  # structures that a layer remembers


class Known(NamedTuple):
    """What the structure of the arguments says of a call; the first fields of ``Call``."""

    program: Program
    dtype: torch.dtype
    device: torch.device
    resolution: float


class ProgramLayer(nn.Module):
    """A solution map as a module; a family says what its arguments and outputs are."""

    outputs: ClassVar[Callable[..., Any]]
    """The named tuple of all outputs, x first."""
    _users: ClassVar = False
    """Whether users' functions of tensors are called, and perhaps differentiated."""
    _version = memory.SINCE

    def __init__(
        self,
        rule: Rule | None = None,
        engine: str | Engine = "auto",
        on_failure: OnFailure = "raise",
        threads: int | None = None,
        *,
        accept_inexact: bool = False,
    ) -> None:
        super().__init__()
        self._known: dict[Signature, Known] = {}
        rule = LPGD() if rule is None else rule
        self._map = SolutionMap(rule, engine, on_failure, threads, accept_inexact)

    @property
    def rule(self) -> Rule:
        """How the layer is differentiated."""
        return self._map.rule

    def subject(self, inputs: tuple[Any, ...], named: Mapping[str, Any], loss: Any) -> Subject:
        """A call and a loss of what it returns, as ``lpgd.diagnose`` takes it."""
        return subject(self, inputs, named, loss)

    @property
    def stats(self) -> Stats:
        """What the layer has done so far."""
        return self._map.stats

    def extra_repr(self) -> str:
        """Options for ``print(model)``."""
        return f"{self.rule}, engine={self._map.engine!r}, on_failure={self._map.on_failure!r}"

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:  # noqa: FBT001
        super()._save_to_state_dict(destination, prefix, keep_vars)
        memory.save(self._map.memory, destination, prefix)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool,  # noqa: FBT001
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        unexpected: list[str] = []
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected, error_msgs
        )
        own = {f"{prefix}{memory.KEY}{name}" for name in self._map.memory}
        unexpected_keys += [key for key in unexpected if key not in own]
        missing, wrong = memory.load(self._map.memory, state_dict, prefix)
        error_msgs += wrong
        if strict and local_metadata.get("version", memory.SINCE) >= memory.SINCE:
            missing_keys += sorted(missing)

    @abstractmethod
    def _describe(self, given: dict[str, Any]) -> tuple[Arguments, Problem, View]:
        """Check the structure of the arguments of one call."""

    def _solution_map(self, given: dict[str, Any]) -> SolutionMap:
        """The solution map of one call."""
        return self._map

    def _note(self, call: Call) -> None:
        """Keep what the next call may want to know of this one: nothing."""

    def _signature(self, given: dict[str, Any]) -> tuple[Signature, list[torch.Tensor]]:
        return signature(given.items())

    def _solve(self, given: dict[str, Any], *, duals: bool) -> Any:
        flag("return_duals", duals)
        solution, _ = untraced(self._called)(given)
        return solution if duals else solution.x

    def _called(self, given: dict[str, Any]) -> tuple[Any, Call]:
        """All outputs of a call, and what is known of it once it is solved."""
        call, tensors = self.prepared(given)
        solution = type(self).outputs(*Solve.apply(call, *tensors))
        self._note(call)
        return solution, call

    def prepared(self, given: dict[str, Any]) -> tuple[Call, list[torch.Tensor]]:
        """What arguments ask for, not solved yet, and the tensors that it depends on."""
        key, tensors = self._signature(given)
        known = self._known.get(key)
        if known is None:
            known, tensors = self._understood(given)
            if key:  # the structure decides, and is remembered
                if len(self._known) == MOST:
                    self._known.pop(next(iter(self._known)), None)  # the oldest
                self._known[key] = known
        return Call(*known, torch.is_grad_enabled(), given.get("start"), self._users), tensors

    def _understood(self, given: dict[str, Any]) -> tuple[Known, list[torch.Tensor]]:
        """What a call asks for, of which the structure has not been seen."""
        arguments, problem, view = self._describe(given)
        tensors, solving = arguments.tensors, self._solution_map(given)
        program = Program(solving, problem, view, tuple(tensors), arguments.cores, arguments.opaque)
        known = Known(program, arguments.dtype, arguments.device, arguments.resolution)
        return known, list(tensors.values())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known": {}}
