"""The same values in other places of memory."""

from collections.abc import Callable

import numpy as np
import torch

Layout = Callable[[torch.Tensor], torch.Tensor]


def _transposed(values: torch.Tensor) -> torch.Tensor:
    return values.mT.contiguous().mT if values.ndim > 1 else values.clone()


def _reversed_dims(values: torch.Tensor) -> torch.Tensor:
    order = tuple(range(values.ndim))[::-1]
    return values.permute(order).contiguous().permute(order)


def _strided(values: torch.Tensor) -> torch.Tensor:
    if not values.ndim:
        return values.clone()
    room = torch.full((*values.shape[:-1], 2 * values.shape[-1] + 1), torch.nan, dtype=values.dtype)
    view = room[..., 1::2]
    view.copy_(values)
    return view


def _sliced(values: torch.Tensor) -> torch.Tensor:
    room = torch.full(tuple(k + 2 for k in values.shape), torch.nan, dtype=values.dtype)
    view = room[tuple(slice(1, -1) for _ in values.shape)]
    view.copy_(values)
    return view


def _offset(values: torch.Tensor) -> torch.Tensor:
    room = torch.zeros(values.numel() + 3, dtype=values.dtype)
    view = room[3:].view(values.shape)
    view.copy_(values)
    return view


def _expanded(values: torch.Tensor) -> torch.Tensor:
    """Strides of zero where all entries along a dimension are the same, signs of zeros too."""
    for dim in range(values.ndim):
        first = values.narrow(dim, 0, min(1, values.shape[dim]))
        alike = torch.equal(first.expand_as(values), values)
        alike &= torch.equal(first.signbit().expand_as(values), values.signbit())
        if values.shape[dim] > 1 and alike:
            values = first.clone().expand_as(values)
    return values


def _negated(values: torch.Tensor) -> torch.Tensor:
    """A view with torch's bit for negation."""
    if values.dtype != torch.float64:
        return values.clone()
    both = torch.complex(torch.zeros_like(values), -values)
    return both.conj().imag


def _reversed_array(values: torch.Tensor) -> torch.Tensor:
    """From a numpy array with negative strides, as far as torch takes one."""
    if values.dtype not in (torch.float64, torch.float32) or not values.ndim:
        return values.clone()
    backwards = np.ascontiguousarray(values.numpy()[..., ::-1])[..., ::-1]
    return torch.as_tensor(np.asarray(backwards).copy(order="K"))


LAYOUTS: dict[str, Layout] = {
    "contiguous": torch.Tensor.clone,
    "transposed": _transposed,
    "reversed dims": _reversed_dims,
    "strided": _strided,
    "sliced": _sliced,
    "offset": _offset,
    "expanded": _expanded,
    "negated": _negated,
    "reversed array": _reversed_array,
}


def laid_out(values: np.ndarray, dtype: str, layout: str) -> torch.Tensor:
    """A detached tensor of these values."""
    plain = torch.from_numpy(np.array(values, dtype=np.float64)).to(getattr(torch, dtype))
    return LAYOUTS[layout](plain).detach()
