"""Calls of torch layers taken apart: what they solve, and how they present it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import torch

from lpgd.core.errors import StructureError
from lpgd.frontend.subject import Precision, Subject, aside
from lpgd.torch.bridge import Call, as_arrays
from lpgd.torch.surroundings import differentiable


class _Seen(Exception):  # noqa: N818 - it carries what was seen, and is no error
    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__()
        self.given = given


@dataclass(frozen=True)
class Presented:
    """A call of a layer that is not solved.

    Attributes
    ----------
    call : Call
    tensors : sequence of Tensor
        The data, as the layer takes them.
    present : callable
        From flat outputs to what the layer returns for them.
    """

    call: Call
    tensors: Sequence[torch.Tensor]
    present: Callable[[Sequence[torch.Tensor]], Any]


def presented(layer: Any, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> Presented:
    """What a call of a ``ProgramLayer`` would solve, and how its forward would return it."""

    def see(given: dict[str, Any], *, duals: bool) -> Any:
        raise _Seen(given)

    try:
        _with(layer, see).forward(*inputs, **named)
    except _Seen as seen:
        given = seen.given
    else:
        raise StructureError(f"{type(layer).__name__} solved nothing when it was called")
    call, tensors = layer.prepared(given)

    def present(flat: Sequence[torch.Tensor]) -> Any:
        def show(_: dict[str, Any], *, duals: bool) -> Any:
            outputs = type(layer).outputs(*flat)
            return outputs if duals else outputs.x

        return _with(layer, show).forward(*inputs, **named)

    return Presented(call, tensors, present)


def _with(layer: Any, solve: Callable[..., Any]) -> Any:
    """The layer with another way to solve; what it holds is shared."""
    twin: Any = object.__new__(type(layer))
    twin.__dict__.update(layer.__dict__)
    twin.__dict__["_solve"] = solve
    twin.__dict__["_called"] = _no_objects
    return twin


def _no_objects(given: dict[str, Any]) -> Any:
    raise StructureError("objects=True returns what has no gradient; leave it out here")


def subject(
    layer: Any,
    inputs: tuple[Any, ...],
    named: Mapping[str, Any],
    loss: Callable[[Any], torch.Tensor],
) -> Subject:
    """A call of a layer and a loss of what it returns, for ``lpgd.diagnose``."""
    seen = presented(layer, inputs, named)
    call, program = seen.call, aside(seen.call.program)
    asked = tuple(tensor.requires_grad for tensor in seen.tensors)
    limits = torch.finfo(call.dtype)
    return Subject(
        type(layer).__name__, program, as_arrays(seen.tensors, program.cores),
        program.batch([tensor.shape for tensor in seen.tensors]),
        asked if any(asked) else (True,) * len(asked),
        Precision(str(call.dtype).removeprefix("torch."), limits.eps, limits.max, limits.tiny),
        _Loss(seen, loss), _Leaves(seen.tensors) if any(asked) else None,
    )  # fmt: skip


@dataclass(frozen=True)
class _Loss:
    """See ``lpgd.frontend.subject.Loss``."""

    seen: Presented
    loss: Callable[[Any], torch.Tensor]

    def __call__(
        self, outputs: Sequence[np.ndarray], *, wide: bool
    ) -> tuple[float, list[np.ndarray]]:
        call = self.seen.call
        dtype = torch.float64 if wide else call.dtype
        with differentiable(), torch.enable_grad():
            flat = [torch.from_numpy(part).to(call.device, dtype) for part in outputs]
            flat = [tensor.detach().requires_grad_() for tensor in flat]
            value = self.loss(self.seen.present(flat))
            if not isinstance(value, torch.Tensor) or value.numel() != 1:
                raise StructureError(
                    "loss must take what the layer returns to a tensor with one entry, "
                    f"got {_kind(value)}"
                )
            if not value.requires_grad:
                return value.item(), [np.zeros(part.shape) for part in outputs]
            found = torch.autograd.grad(value.reshape(()), flat, allow_unused=True)
        gradients = [
            torch.zeros_like(tensor) if gradient is None else gradient
            for tensor, gradient in zip(flat, found, strict=True)
        ]
        return value.item(), as_arrays(gradients)


def _kind(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"shape {tuple(value.shape)}"
    return type(value).__name__


@dataclass(frozen=True)
class _Leaves:
    """What of gradients of computed data arrives at the leaves of their graph."""

    tensors: Sequence[torch.Tensor]

    def __call__(
        self, gradients: Sequence[np.ndarray], learned: Sequence[bool]
    ) -> list[float | None]:
        sizes: list[float | None] = []
        for tensor, gradient in zip(compress(self.tensors, learned), gradients, strict=True):
            leaves = _leaves(tensor)
            if tensor.is_leaf or not leaves:
                sizes.append(None)
                continue
            given = torch.from_numpy(np.ascontiguousarray(gradient)).to(tensor.device, tensor.dtype)
            found = torch.autograd.grad(tensor, leaves, given, retain_graph=True, allow_unused=True)
            squares = [g.detach().double().square().sum().item() for g in found if g is not None]
            sizes.append(float(np.sqrt(sum(squares))))
        return sizes


def _leaves(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Leaves of the graph that computed a tensor."""
    todo, seen, found = [tensor.grad_fn], set[Any](), list[torch.Tensor]()
    while todo:
        node: Any = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        todo += [after for after, _ in node.next_functions]
    return found
