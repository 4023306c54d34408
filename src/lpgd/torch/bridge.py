"""The only autograd functions: a solve, and its derivative along cotangents or tangents.

The latter is a function of its own so that ``vmap``, ``jacrev`` and ``jacfwd`` can batch it, and so
that the data take part in it: a second derivative then meets its ``backward`` or ``jvp``, which
raise, instead of coming out as zero.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import torch
from torch.autograd import Function

from lpgd.core.solution import Solution
from lpgd.frontend.mapped import SECOND, Derivative, Ops, mapped
from lpgd.frontend.program import Program
from lpgd.map.forward import Forward
from lpgd.torch.surroundings import undisturbed

Tensors = tuple[torch.Tensor, ...]
OPS = Ops(torch.movedim, torch.broadcast_to)


@dataclass(eq=False)
class Call:
    """One call of a layer: what it solves, and once it is solved, what a derivative needs."""

    program: Program
    dtype: torch.dtype
    device: torch.device
    resolution: float  # machine epsilon of what the caller gave
    keep: bool
    start: Solution | None = None
    functions: bool = False  # whether users' functions of tensors take part
    forward: Forward | None = None

    def outward(self, outputs: Sequence[np.ndarray]) -> Tensors:
        """Arrays as tensors of the caller's dtype and device."""
        return tuple([torch.from_numpy(part).to(self.device, self.dtype) for part in outputs])


class Solve(Function):
    """(data) -> the outputs of the view, e.g. (x, y, z, z_box)."""

    @staticmethod
    def forward(call: Call, *data: torch.Tensor) -> Tensors:
        program = call.program
        shape, arrays = program.batch([t.shape for t in data]), as_arrays(data, program.cores)
        call.forward, outputs = undisturbed(
            lambda: program.solve(arrays, shape, call.resolution, keep=call.keep, start=call.start),
            functions=call.functions,
        )
        return call.outward(outputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
        call, *data = inputs
        ctx.call = call
        ctx.save_for_backward(*data)
        ctx.save_for_forward(*data)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        wanted = ctx.needs_input_grad[1:]
        way = Derivative(push=False, flags=wanted)
        found: list[torch.Tensor | None] = [None] * (1 + len(wanted))
        places = compress(range(1, len(found)), wanted)
        gradients = Derived.apply(ctx.call, way, *cotangents, *ctx.saved_tensors)
        for place, gradient in zip(places, gradients, strict=True):
            found[place] = gradient
        return tuple(found)

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> Tensors:
        present = [t for t in tangents if t is not None]
        way = Derivative(push=True, flags=tuple(t is not None for t in tangents[1:]))
        return Derived.apply(ctx.call, way, *present, *ctx.saved_tensors)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        call, *data = args
        front = OPS.front(data, in_dims[1:], call.program.cores, info.batch_size)
        outputs = Solve.apply(call, *front)
        return outputs, (0,) * len(outputs)


class Derived(Function):
    """(cotangents; data) -> gradients of the wanted data; (tangents; data) -> tangents of outputs.

    ``Derivative`` says which.
    """

    @staticmethod
    def forward(call: Call, way: Derivative, *tensors: torch.Tensor) -> Tensors:
        count = _vectors(call, way)
        vectors, data = as_arrays(tensors[:count]), tensors[count:]
        program, forward = call.program, call.forward
        assert forward is not None
        if way.push:
            own = as_arrays(data, program.cores)
            return call.outward(
                undisturbed(
                    lambda: program.pushforward(forward, way, vectors, own),
                    functions=call.functions,
                )
            )
        shapes = [tuple(t.shape) for t in data]
        gradients = undisturbed(
            lambda: program.pullback(forward, way, vectors, shapes), functions=call.functions
        )
        found: list[torch.Tensor] = []
        for gradient, datum in zip(gradients, way.chosen(data), strict=True):
            found.append(torch.from_numpy(gradient).to(datum.device, datum.dtype))
        return tuple(found)

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
        call, way, *tensors = args
        count, dims = _vectors(call, way), in_dims[2:]
        over = mapped(
            OPS, way, (tensors[:count], tensors[count:]), (dims[:count], dims[count:]),
            call.program.cores, info.batch_size,
        )  # fmt: skip
        results = over.finish(Derived.apply(call, over.way, *over.vectors, *over.data))
        return results, (over.place,) * len(results)


# torch asks for the signatures at every call, and inspecting takes longer than a small solve
for _function in (Solve, Derived):
    _function.forward.__signature__ = inspect.signature(_function.forward)  # type: ignore[attr-defined]


def _vectors(call: Call, way: Derivative) -> int:
    """How many tensors of a derivative come before the data."""
    return sum(way.flags) if way.push else call.program.view.outputs


def as_arrays(data: Sequence[torch.Tensor], cores: Sequence[int] | None = None) -> list[np.ndarray]:
    """Tensors as arrays; given ``cores``, batch dimensions that were expanded have size 1."""
    arrays: list[np.ndarray] = []
    for place, tensor in enumerate(data):
        for dim in range(tensor.ndim - cores[place] if cores else 0):
            if tensor.stride(dim) == 0 and tensor.shape[dim] > 1:
                tensor = tensor.narrow(dim, 0, 1)
        # forced: conjugated views need it
        try:
            tensor = tensor.detach()
        except RuntimeError as error:  # of autograd's own, older vmap
            raise RuntimeError(
                "is_grads_batched and jacobian(vectorize=True) cannot batch a layer's derivative; "
                "torch.func.jacrev, jacfwd and vmap can"
            ) from error
        arrays.append(tensor.to("cpu", torch.float64).numpy(force=True))
    return arrays
