"""What the arguments of a layer are as tensors: types, dtypes, devices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, cast

import numpy as np
import torch

from lpgd.core.errors import StructureError
from lpgd.core.pattern import Pattern
from lpgd.frontend.arguments import present, structure
from lpgd.torch.sparse import Sparse

Signature = tuple[Any, ...]
ORDINARY = (torch.Tensor, torch.nn.Parameter)
PLAIN = cast(Any, torch.Tensor).__torch_dispatch__
FLOATS = "float64, float32, bfloat16 or float16"


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
    opaque : mapping from name to array of objects
        Arguments that only the engine can read; see ``Program``.
    """

    tensors: Mapping[str, torch.Tensor]
    cores: tuple[int, ...]
    sizes: Mapping[str, int]
    patterns: Mapping[str, Pattern]
    n: int
    dtype: torch.dtype
    device: torch.device
    opaque: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def resolution(self) -> float:
        """Machine epsilon of P, or of whatever it is made."""
        own = [self.tensors["P"]] if "P" in self.tensors else self.tensors.values()
        return max((torch.finfo(tensor.dtype).eps for tensor in own), default=0.0)


def signature(given: Iterable[tuple[Any, Any]]) -> tuple[Signature, list[torch.Tensor]]:
    """What decides the structure of a call, nothing where that is looked at each time; tensors."""
    found: list[Any] = []
    tensors: list[torch.Tensor] = []
    for name, value in given:
        if value is not None:
            pattern = value.pattern if type(value) is Sparse else None
            tensor: Any = value if pattern is None else value.values
            if type(tensor) not in ORDINARY or tensor.is_nested or tensor.layout != torch.strided:
                return (), []
            found.append((name, tensor.shape, tensor.dtype, tensor.device, pattern))
            tensors.append(tensor)
    return tuple(found), tensors


def collect(
    given: Mapping[str, Any], cost: str, required: tuple[str, ...], sparse: tuple[str, ...]
) -> Arguments:
    """Check the arguments of a layer.

    Parameters
    ----------
    given : mapping from name to argument
    cost : str
        The caller's name of the linear cost.
    required : tuple of str
        Arguments that must not be None.
    sparse : tuple of str
        Arguments that may be sparse.

    Raises
    ------
    StructureError
        Names the argument, what was expected and what was given.
    """
    found = present(given, required)
    matrices = {k: _sparse(k, v, sparse) for k, v in found.items() if is_sparse(v)}
    tensors = {k: matrices[k].values if k in matrices else v for k, v in found.items()}
    for name in (cost, *tensors):  # the cost first: the others are compared with it
        check_kind(name, tensors[name], tensors[cost], "the cost")
    patterns = {name: matrix.pattern for name, matrix in matrices.items()}
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    fits = structure(shapes, cost, patterns)
    return Arguments(
        {"q" if k == cost else k: t for k, t in tensors.items()}, fits.cores,
        fits.sizes, patterns, fits.n, common_dtype(tensors), tensors[cost].device,
    )  # fmt: skip


def is_sparse(value: Any) -> bool:
    """Whether an argument stores some entries of a matrix only."""
    if isinstance(value, torch.Tensor):
        return value.layout != torch.strided and not value.is_nested
    return isinstance(value, Sparse)


def _sparse(name: str, value: Any, allowed: tuple[str, ...]) -> Sparse:
    if name not in allowed:
        raise StructureError(f"{name} must be dense, got a sparse argument")
    try:
        return value if isinstance(value, Sparse) else Sparse.of(value)
    except StructureError as error:
        raise StructureError(f"{name}: {error}") from None


def check_kind(name: str, tensor: Any, first: torch.Tensor, which: str) -> None:
    """Check type, dtype and device of an argument; ``which`` is the argument ``first``.

    Raises
    ------
    StructureError
    """
    check_values(name, tensor, first, which)
    if not tensor.dtype.is_floating_point:
        raise StructureError(f"{name} must have a real floating dtype, got {tensor.dtype}")


def check_values(name: str, tensor: Any, first: torch.Tensor, which: str) -> None:
    """Check that an argument is a tensor with values, on the device of the argument ``first``.

    Raises
    ------
    StructureError
    """
    if not isinstance(tensor, torch.Tensor):
        raise StructureError(f"{name} must be a torch.Tensor, got {type(tensor).__name__}")
    if type(tensor) is not torch.Tensor or tensor.is_nested:
        _check_subclass(name, tensor)
    if tensor.device != first.device:
        raise StructureError(
            f"{name} is on {tensor.device}, but {which} is on {first.device}; move them together"
        )
    if tensor.device.type == "meta":
        raise StructureError(
            f"{name} is on the meta device and holds no values; layers solve for tensors with "
            "values, so materialize the model first, e.g. with .to_empty(device='cpu')"
        )


def check_numbers(name: str, tensor: Any, first: torch.Tensor, which: str) -> None:
    """Check that an argument holds real numbers, all of them; see ``check_values``.

    Raises
    ------
    StructureError
    """
    check_values(name, tensor, first, which)
    if tensor.layout != torch.strided:
        raise StructureError(f"{name} must be dense, got layout {tensor.layout}; use .to_dense()")
    if tensor.is_complex():
        raise StructureError(f"{name} must be real numbers, got {tensor.dtype}")


def _check_subclass(name: str, tensor: torch.Tensor) -> None:
    """Refuse tensors whose values are not those of one strided array."""
    if cast(Any, type(tensor)).__torch_dispatch__ is PLAIN and not tensor.is_nested:
        return  # parameters, and subclasses that are ordinary tensors underneath
    kind = "NestedTensor" if tensor.is_nested else type(tensor).__name__
    raise StructureError(
        f"{name} must be a plain tensor with values, got a {kind}; convert it first, e.g. by "
        "padding a nested one or filling a masked one; leave layers out of torch.export"
    )


def common_dtype(tensors: Mapping[str, torch.Tensor]) -> torch.dtype:
    """The dtype of a layer's outputs.

    Raises
    ------
    StructureError
        Torch has no common dtype for them (8-bit floats and another dtype).
    """
    dtypes: dict[torch.dtype, str] = {}
    for name, tensor in tensors.items():
        dtypes.setdefault(tensor.dtype, name)
    if len(dtypes) == 1:
        return next(iter(dtypes))
    try:
        return reduce(torch.promote_types, dtypes)
    except RuntimeError:
        listed = ", ".join(f"{name} {dtype}" for dtype, name in dtypes.items())
        raise StructureError(
            f"arguments must have dtypes with a common one, got {listed}; convert them to {FLOATS}"
        ) from None
