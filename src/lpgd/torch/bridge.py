"""The only autograd functions: a solve, the pullback of its cotangents, the push of its tangents.

The latter two are functions of their own so that ``vmap``, ``jacrev`` and ``jacfwd`` can batch
them, and so that the data take part in them: a second derivative then meets their ``backward`` or
``jvp``, which raise, instead of coming out as zero.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch.autograd import Function

from lpgd.core.params import Param
from lpgd.core.problem import Problem
from lpgd.core.solution import Solution
from lpgd.frontend.views import View
from lpgd.map.forward import Forward
from lpgd.map.solution_map import SolutionMap

Tensors = tuple[torch.Tensor, ...]
SECOND = (
    "lpgd layers have no second derivative: a tilted re-solve is a finite difference whose anchors "
    "are constants. Detach the gradient, or take the second derivative by finite differences of "
    "the first."
)


@dataclass(eq=False)
class Call:
    """One call of a layer: its structure, and once it is solved, what the pullback needs."""

    map: SolutionMap
    problem: Problem
    view: View
    names: tuple[str, ...]  # of the tensors, in their order
    cores: tuple[int, ...]  # how many trailing dimensions of each are no batch dimensions
    dtype: torch.dtype
    device: torch.device
    keep: bool
    start: Solution | None = None
    forward: Forward | None = None

    def batches(self, tensors: Tensors) -> list[tuple[int, ...]]:
        """Batch dimensions of each tensor."""
        return [tuple(t.shape[: t.ndim - k]) for t, k in zip(tensors, self.cores, strict=True)]

    def outward(self, values: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
        """An array as a tensor of the caller's dtype and device."""
        return torch.from_numpy(values.reshape(shape)).to(self.device, self.dtype)


class Solve(Function):
    """(data) -> the outputs of the view, e.g. (x, y, z, z_box)."""

    @staticmethod
    def forward(call: Call, *tensors: torch.Tensor) -> Tensors:
        batches = call.batches(tensors)
        shape = np.broadcast_shapes(*batches)
        params = {
            name: _param(tensor, batch, shape)
            for name, tensor, batch in zip(call.names, tensors, batches, strict=True)
        }
        dtypes = dict(zip(call.names, (t.dtype for t in tensors), strict=True))
        own = [dtypes["P"]] if "P" in dtypes else dtypes.values()  # of whatever P is made
        resolution = max((torch.finfo(dtype).eps for dtype in own), default=0.0)
        forward = call.map.solve(
            call.problem, params, shape, resolution=resolution, keep=call.keep, start=call.start
        )
        call.forward = forward
        hole = np.where(forward.solution.solved, 0.0, np.nan)[:, None]
        parts = call.view.gather(forward)
        return tuple(call.outward(part + hole, (*shape, part.shape[1])) for part in parts)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
        call, *tensors = inputs
        ctx.call = call
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        wanted = ctx.needs_input_grad[1:]
        gradients = iter(Pullback.apply(ctx.call, wanted, 0, *cotangents, *ctx.saved_tensors))
        return (None, *(next(gradients) if want else None for want in wanted))

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> Tensors:
        given = tuple(t is not None for t in tangents[1:])  # the first is that of the call
        present = [t for t in tangents if t is not None]
        return Pushforward.apply(ctx.call, given, 0, *present, *ctx.saved_tensors)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        call, tensors = args[0], args[1:]
        outputs = Solve.apply(call, *_lead(call, tensors, in_dims[1:], info.batch_size))
        return outputs, (0,) * len(outputs)


class Pullback(Function):
    """(cotangents of the outputs; data) -> gradients of the wanted data.

    The first ``lead`` dimensions of the cotangents and of the gradients number several cotangents
    of one solve, as the rows of a Jacobian.
    """

    @staticmethod
    def forward(call: Call, wanted: tuple[bool, ...], lead: int, *tensors: torch.Tensor) -> Tensors:
        count = call.view.outputs
        cotangents, data = tensors[:count], tensors[count:]
        forward = call.forward
        assert forward is not None
        shape, extra = forward.shape, tuple(cotangents[0].shape[:lead])
        several, size = prod(extra), prod(shape)
        rows = np.tile(np.arange(size), several)
        cotangent = call.view.cotangent(
            rows, [_array(c).reshape(several * size, c.shape[-1]) for c in cotangents]
        )
        groups = {
            name: _groups(batch, shape, several)
            for name, batch, want in zip(call.names, call.batches(data), wanted, strict=True)
            if want
        }
        gradients = call.map.pullback(forward, cotangent, groups)
        chosen = [t for t, want in zip(data, wanted, strict=True) if want]
        return tuple(
            # in the layout in which torch keeps gradients, or it copies once more
            torch.from_numpy(
                np.require(gradients[name].reshape(extra + tuple(t.shape)), requirements="C")
            ).to(t.device, t.dtype)
            for name, t in zip(groups, chosen, strict=True)
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> Any:
        raise RuntimeError(SECOND)

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise RuntimeError(SECOND)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        call, wanted, lead = args[:3]
        first = 3 + call.view.outputs  # of the data
        cotangents, data = args[3:first], args[first:]
        cotangent_dims, data_dims = in_dims[3:first], in_dims[first:]
        size = info.batch_size
        solved = any(dim is not None for dim in data_dims)  # mapped in the solve as well
        place = lead if solved else 0
        led = _place(cotangents, cotangent_dims, size, place)
        shapes = [
            tuple(t.shape if dim is None else t.movedim(dim, 0).shape[1:])
            for t, dim, want in zip(data, data_dims, wanted, strict=True)
            if want
        ]
        if solved:
            data = _lead(call, data, data_dims, size, expand=True)
        gradients = Pullback.apply(call, wanted, lead if solved else lead + 1, *led, *data)
        unpadded = tuple(
            g.reshape(*g.shape[: lead + 1], *shape)
            for g, shape in zip(gradients, shapes, strict=True)
        )
        return unpadded, (place,) * len(unpadded)


class Pushforward(Function):
    """(tangents of the given data; data) -> tangents of the outputs.

    The first ``lead`` dimensions of the tangents number several tangents of one solve, as the
    columns of a Jacobian.
    """

    @staticmethod
    def forward(call: Call, given: tuple[bool, ...], lead: int, *tensors: torch.Tensor) -> Tensors:
        count = sum(given)
        tangents, data = tensors[:count], tensors[count:]
        forward = call.forward
        assert forward is not None
        shape, extra, batches = forward.shape, tuple(tangents[0].shape[:lead]), call.batches(data)
        several, size = prod(extra), prod(shape)
        rows = np.tile(np.arange(size), several)
        params = {
            name: _param(tensor, batch, shape).take(rows)
            for name, tensor, batch in zip(call.names, data, batches, strict=True)
        }
        chosen = [(n, b) for n, b, g in zip(call.names, batches, given, strict=True) if g]
        ways: dict[str, np.ndarray] = {}
        for (name, batch), tangent in zip(chosen, tangents, strict=True):
            core = tuple(tangent.shape[lead + len(batch) :])
            values = _array(tangent).reshape(several, prod(batch), *core)
            ways[name] = values[:, _owners(batch, shape).reshape(-1)].reshape(-1, *core)
        found = call.map.pushforward(forward, params, ways, rows, call.view.gather)
        return tuple(call.outward(part, (*extra, *shape, part.shape[1])) for part in found)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> Any:
        raise RuntimeError(SECOND)

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise RuntimeError(SECOND)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        call, given, lead = args[:3]
        first, size = 3 + sum(given), info.batch_size  # of the data
        data, data_dims = args[first:], in_dims[first:]
        solved = any(dim is not None for dim in data_dims)  # mapped in the solve as well
        place = lead if solved else 0
        led = _place(args[3:first], in_dims[3:first], size, place)
        if solved:
            data = _lead(call, data, data_dims, size, expand=True)
            own = [t.shape for t, g in zip(data, given, strict=True) if g]
            led = [t.reshape(*t.shape[:lead], *shape) for t, shape in zip(led, own, strict=True)]
        outputs = Pushforward.apply(call, given, lead if solved else lead + 1, *led, *data)
        return outputs, (place,) * len(outputs)


# torch asks for the signatures at every call, and inspecting takes longer than a small solve
for _function in (Solve, Pullback, Pushforward):
    _function.forward.__signature__ = inspect.signature(_function.forward)  # type: ignore[attr-defined]


def _lead(
    call: Call, tensors: Tensors, dims: tuple[Any, ...], size: int, *, expand: bool = False
) -> Tensors:
    """Move the mapped dimension to the front, with the other batch dimensions aligned behind it.

    A tensor that is not mapped stays shared, unless its gradient must be (``expand``).
    """
    ranks = [
        t.ndim - core - (dim is not None)
        for t, core, dim in zip(tensors, call.cores, dims, strict=True)
    ]
    most = max(ranks)
    led: list[torch.Tensor] = []
    for tensor, rank, dim in zip(tensors, ranks, dims, strict=True):
        if dim is None and not expand:
            led.append(tensor)
            continue
        moved = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        led.append(moved.reshape(size, *(1,) * (most - rank), *moved.shape[1:]))
    return tuple(led)


def _place(tensors: Tensors, dims: tuple[Any, ...], size: int, place: int) -> list[torch.Tensor]:
    """Move the mapped dimension to one place; tensors that are not mapped repeat along it."""
    return [
        t.unsqueeze(place).expand(*t.shape[:place], size, *t.shape[place:])
        if dim is None
        else t.movedim(dim, place)
        for t, dim in zip(tensors, dims, strict=True)
    ]


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float64).numpy(force=True)  # also conjugated views


def _param(tensor: torch.Tensor, batch: tuple[int, ...], shape: tuple[int, ...]) -> Param:
    """Distinct values of an argument, and which of them each element of the batch uses."""
    for dim in range(len(batch)):
        if tensor.stride(dim) == 0 and tensor.shape[dim] > 1:  # expanded: one value for all
            tensor = tensor.narrow(dim, 0, 1)
    kept = tuple(tensor.shape[: len(batch)])
    values = _array(tensor).reshape(prod(kept), *tensor.shape[len(batch) :])
    return Param(values, np.arange(len(values)) if kept == shape else _owners(kept, shape).ravel())


def _owners(batch: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Which entry of an argument with these batch dimensions each element uses."""
    return np.broadcast_to(np.arange(prod(batch)).reshape(batch), shape)


def _groups(batch: tuple[int, ...], shape: tuple[int, ...], several: int) -> np.ndarray:
    """Rows of the cotangent that sum to each entry of the gradient, (several * entries, g)."""
    if batch == shape:
        return np.arange(several * prod(shape))[:, None]
    order = np.argsort(_owners(batch, shape).reshape(-1), kind="stable")
    entries = prod(batch)
    groups = order.reshape(entries, len(order) // entries if entries else 0)
    copies = np.arange(several)[:, None, None] * prod(shape)
    return (groups + copies).reshape(several * entries, groups.shape[1])
