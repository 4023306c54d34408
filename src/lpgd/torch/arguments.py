"""Checks the structure of a layer's arguments: types, dtypes, devices, shapes, partners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lpgd.core.errors import StructureError
from lpgd.core.pattern import Pattern
from lpgd.torch.sparse import Sparse

PARTNERS = {"G": "h", "h": "G", "A": "b", "b": "A"}
MATRICES = ("P", "G", "A")


@dataclass(frozen=True)
class Arguments:
    """Arguments of one call that fit together.

    Attributes
    ----------
    tensors : mapping from internal name (``q`` also for an LP's ``c``) to Tensor
    cores : tuple of int
        Trailing dimensions of each tensor that are no batch dimensions.
    sizes : mapping from str to int
        Rows of the multiplier block of each given constraint, and ``P``.
    patterns : mapping from str to Pattern
    """

    tensors: Mapping[str, torch.Tensor]
    cores: tuple[int, ...]
    sizes: Mapping[str, int]
    patterns: Mapping[str, Pattern]
    n: int
    dtype: torch.dtype
    device: torch.device


def collect(given: Mapping[str, Any], cost: str, sparse: tuple[str, ...] = ("G", "A")) -> Arguments:
    """Check the arguments of a layer.

    Parameters
    ----------
    given : mapping from name to argument
    cost : str
        The caller's name of the linear cost.
    sparse : tuple of str
        Arguments that may be sparse.

    Raises
    ------
    StructureError
        Names the argument, what was expected and what was given.
    """
    for required in ("P", cost):
        if required in given and given[required] is None:
            raise StructureError(f"{required} is required, got None")
    present = {name: value for name, value in given.items() if value is not None}
    for name in present:
        if name in PARTNERS and PARTNERS[name] not in present:
            raise StructureError(f"{name} is given without its partner {PARTNERS[name]}")
    found = {k: _sparse(k, v, sparse) for k, v in present.items() if _is_sparse(v)}
    tensors = {k: found[k].values if k in found else v for k, v in present.items()}
    cores = {k: 2 if k in MATRICES and k not in found else 1 for k in tensors}
    for name in (cost, *tensors):  # the cost first: the others are compared with it
        _check_kind(name, tensors[name], tensors[cost], cores[name])
    n = int(tensors[cost].shape[-1])
    if not n:
        raise StructureError(f"{cost} must have at least 1 entry, got {tuple(tensors[cost].shape)}")
    patterns = {name: matrix.pattern for name, matrix in found.items()}
    sizes = _sizes(tensors, patterns, n)
    batches = {k: tuple(t.shape[: t.ndim - cores[k]]) for k, t in tensors.items()}
    _check_batches(batches)
    dtype = tensors[cost].dtype
    for tensor in tensors.values():
        dtype = torch.promote_types(dtype, tensor.dtype)
    return Arguments(
        {"q" if k == cost else k: t for k, t in tensors.items()}, tuple(cores.values()),
        sizes, patterns, n, dtype, tensors[cost].device,
    )  # fmt: skip


def _is_sparse(value: Any) -> bool:
    return isinstance(value, Sparse) or (
        isinstance(value, torch.Tensor) and value.layout != torch.strided
    )


def _sparse(name: str, value: Any, allowed: tuple[str, ...]) -> Sparse:
    if name not in allowed:
        raise StructureError(f"{name} must be dense, got a sparse argument")
    try:
        return value if isinstance(value, Sparse) else Sparse.of(value)
    except StructureError as error:
        raise StructureError(f"{name}: {error}") from None


def _check_kind(name: str, tensor: Any, cost: torch.Tensor, core: int) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise StructureError(f"{name} must be a torch.Tensor, got {type(tensor).__name__}")
    if not tensor.dtype.is_floating_point:
        raise StructureError(f"{name} must have a real floating dtype, got {tensor.dtype}")
    if tensor.device != cost.device:
        raise StructureError(
            f"{name} is on {tensor.device}, but the cost is on {cost.device}; move them together"
        )
    if tensor.ndim < core:
        raise StructureError(
            f"{name} must have at least {core} dimension{'s' * (core > 1)}, "
            f"got shape {tuple(tensor.shape)}"
        )


def _sizes(
    tensors: Mapping[str, torch.Tensor], patterns: Mapping[str, Pattern], n: int
) -> dict[str, int]:
    """Check the trailing shapes; return the rows of each block of multipliers."""
    sizes: dict[str, int] = {}
    for name in ("P", "A", "G"):
        if name not in tensors:
            continue
        given = patterns[name].shape if name in patterns else tuple(tensors[name].shape[-2:])
        rows = n if name == "P" else given[0]
        if given != (rows, n):
            raise StructureError(f"{name} must have shape (..., {rows}, {n}), got {given}")
        sizes[name] = rows
    for name, rows in {"b": sizes.get("A"), "h": sizes.get("G"), "lb": n, "ub": n}.items():
        if name not in tensors:
            continue
        if tensors[name].shape[-1] != rows:
            shape = tuple(tensors[name].shape)
            raise StructureError(f"{name} must have shape (..., {rows}), got {shape}")
        if name in ("lb", "ub"):
            sizes[name] = n
    return sizes


def _check_batches(batches: Mapping[str, tuple[int, ...]]) -> None:
    try:
        np.broadcast_shapes(*batches.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in batches.items() if shape)
        raise StructureError(f"batch dimensions do not broadcast: {listed}") from None
