"""The autograd function of envelopes: values, and gradients that were prepared with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import numpy as np
import torch
from torch.autograd import Function

from lpgd.frontend.envelope import Evaluated
from lpgd.torch.bridge import SECOND, as_arrays
from lpgd.torch.surroundings import undisturbed


@dataclass(eq=False)
class Work:
    """One call: how it is evaluated, and once it is, what its gradient needs."""

    run: Callable[[Sequence[np.ndarray]], Evaluated]
    cores: Sequence[int]
    dtype: torch.dtype
    device: torch.device
    functions: bool  # whether users' functions of tensors take part
    found: Evaluated | None = field(default=None, init=False)


class Evaluate(Function):
    """(arguments, targets, ...) -> the envelope of each element."""

    @staticmethod
    def forward(work: Work, *tensors: torch.Tensor) -> torch.Tensor:
        arrays = as_arrays(tensors, work.cores)
        work.found = undisturbed(lambda: work.run(arrays), functions=work.functions)
        return torch.from_numpy(np.array(work.found.values)).to(work.device, work.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        work, *tensors = inputs
        ctx.work = work
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        wanted, tensors = ctx.needs_input_grad[1:], ctx.saved_tensors
        found: list[torch.Tensor | None] = [None] * (1 + len(wanted))
        gradients = Gradients.apply(ctx.work, wanted, *cotangents, *tensors)
        for place, gradient in zip(compress(range(1, len(found)), wanted), gradients, strict=True):
            found[place] = gradient
        return tuple(found)


class Gradients(Function):
    """(cotangents; inputs) -> gradients of the wanted inputs.

    A function of its own so that second derivatives meet its ``backward``, instead of being zero.
    """

    @staticmethod
    def forward(
        work: Work, wanted: tuple[bool, ...], cotangent: torch.Tensor, *tensors: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        found = work.found
        assert found is not None
        shapes, own = [tuple(tensor.shape) for tensor in tensors], as_arrays([cotangent])[0]
        arrays = undisturbed(lambda: found.pull(own, wanted, shapes), functions=work.functions)
        return tuple(
            torch.from_numpy(np.array(array, order="C")).to(tensor.device, tensor.dtype)
            for array, tensor in zip(arrays, compress(tensors, wanted), strict=True)
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> Any:
        raise RuntimeError(SECOND)
