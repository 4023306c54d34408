"""Checks of arguments by name, shape and pattern: partners, sizes, batch dimensions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lpgd.core.errors import StructureError
from lpgd.core.pattern import Pattern
from lpgd.frontend.batches import Shape

PARTNERS = {"G": "h", "h": "G", "A": "b", "b": "A"}
MATRICES = ("P", "A", "G")


@dataclass(frozen=True)
class Structure:
    """What the arguments of a call say of its program.

    Attributes
    ----------
    n : int
        Number of variables.
    sizes : mapping from str to int
        Rows of the multiplier block of each given constraint, and ``P``.
    cores : tuple of int
        How many trailing dimensions of each argument are no batch dimensions.
    """

    n: int
    sizes: Mapping[str, int]
    cores: tuple[int, ...]


def present(given: Mapping[str, Any], required: Iterable[str]) -> dict[str, Any]:
    """The arguments that are not None.

    Raises
    ------
    StructureError
        A required one is None, or one is given without its partner.
    """
    for name in required:
        if given[name] is None:
            raise StructureError(f"{name} is required, got None")
    found = {name: value for name, value in given.items() if value is not None}
    for name in found:
        if name in PARTNERS and PARTNERS[name] not in found:
            raise StructureError(f"{name} is given without its partner {PARTNERS[name]}")
    return found


def structure(
    shapes: Mapping[str, Shape], cost: str, patterns: Mapping[str, Pattern] | None = None
) -> Structure:
    """Check the shapes of the arguments of a program.

    Parameters
    ----------
    shapes : mapping from name to shape
        That of its values, (..., nnz), for a sparse argument.
    cost : str
        The caller's name of the linear cost.
    patterns : mapping from name to Pattern
        Of the sparse arguments.

    Raises
    ------
    StructureError
        Names the argument, what was expected and what was given.
    """
    patterns = patterns or {}
    cores = {name: 2 if name in MATRICES and name not in patterns else 1 for name in shapes}
    for name in (cost, *shapes):
        if len(shapes[name]) < cores[name]:
            plural = "s" * (cores[name] > 1)
            raise StructureError(
                f"{name} must have at least {cores[name]} dimension{plural}, "
                f"got shape {tuple(shapes[name])}"
            )
    ends = {name: shape[len(shape) - cores[name] :] for name, shape in shapes.items()}
    ends |= {name: pattern.shape for name, pattern in patterns.items()}
    n = _variables(shapes[cost], cost, ends)
    sizes = _sizes(shapes, ends, n)
    check_batches({name: shape[: len(shape) - cores[name]] for name, shape in shapes.items()})
    return Structure(n, sizes, tuple(cores.values()))


def _variables(given: Shape, cost: str, ends: Mapping[str, Shape]) -> int:
    """Number of variables, from the cost; if all other arguments say another, it is wrong."""
    n = given[-1]
    if not n:
        raise StructureError(f"{cost} must have at least 1 entry, got {tuple(given)}")
    others = {k: ends[k][-1] for k in (*MATRICES, "lb", "ub") if k in ends}
    if len(set(others.values())) == 1 and n not in others.values():
        name, own = next(iter(others.items()))
        if name != "P" or ends[name] == (own, own):
            raise StructureError(
                f"{cost} must have shape (..., {own}) to fit {name} with its {own} "
                f"{'columns' if name in MATRICES else 'entries'}, got {tuple(given)}"
            )
    return n


def _sizes(shapes: Mapping[str, Shape], ends: Mapping[str, Shape], n: int) -> dict[str, int]:
    """Check the trailing shapes; return the rows of each block of multipliers."""
    sizes: dict[str, int] = {}
    for name in MATRICES:
        if name in ends:
            rows = n if name == "P" else ends[name][0]
            if tuple(ends[name]) != (rows, n):
                given = tuple(ends[name])
                raise StructureError(f"{name} must have shape (..., {rows}, {n}), got {given}")
            sizes[name] = rows
    for name, rows in {"b": sizes.get("A"), "h": sizes.get("G"), "lb": n, "ub": n}.items():
        if name not in ends:
            continue
        if ends[name][0] != rows:
            given = tuple(shapes[name])
            raise StructureError(f"{name} must have shape (..., {rows}), got {given}")
        if name in ("lb", "ub"):
            sizes[name] = n
    return sizes


def check_batches(batches: Mapping[str, Shape]) -> None:
    """Refuse batch dimensions that do not broadcast.

    Raises
    ------
    StructureError
    """
    if len(set(batches.values()) - {()}) < 2:
        return
    try:
        np.broadcast_shapes(*batches.values())
    except ValueError:
        listed = ", ".join(f"{name} {tuple(shape)}" for name, shape in batches.items() if shape)
        raise StructureError(f"batch dimensions do not broadcast: {listed}") from None


def check_parameters(shapes: Sequence[Shape], expected: Sequence[tuple[str, Shape]]) -> None:
    """Check the shapes of values for the parameters of a CVXPY problem.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Of the values.
    expected : sequence of (str, tuple of int)
        Name and shape of each parameter.

    Raises
    ------
    StructureError
        Names the parameter, what was expected and what was given.
    """
    batches: list[Shape] = []
    for i, (shape, (name, own)) in enumerate(zip(shapes, expected, strict=True)):
        which, batch = f"parameter {i} ({name})", len(shape) - len(own)
        if batch < 0:
            raise StructureError(
                f"Invalid parameter dimensionality for {which}. Expected at least {len(own)} "
                f"dimensions, Got: {len(shape)} dimensions"
            )
        if tuple(shape[batch:]) != own:
            raise StructureError(
                f"Invalid parameter shape for {which}. Expected: {own} behind any batch "
                f"dimensions, Got: {tuple(shape)}"
            )
        batches.append(tuple(shape[:batch]))
    _check_scalars(batches, expected)
    try:
        np.broadcast_shapes(*batches)
    except ValueError:
        listed = ", ".join(
            f"{batch} of {name}" for batch, (name, _) in zip(batches, expected, strict=True)
        )
        raise StructureError(
            f"Inconsistent batch sizes. The batch dimensions do not broadcast: {listed}"
        ) from None
    _check_fronts(batches, expected)


def _check_scalars(batches: Sequence[Shape], expected: Sequence[tuple[str, Shape]]) -> None:
    """Refuse columns (..., B, 1) for a scalar where others come in batches (..., B)."""
    for i, (batch, (name, own)) in enumerate(zip(batches, expected, strict=True)):
        *outer, last = batch or (0,)
        column = not own and last == 1 and bool(outer) and outer[-1] > 1
        if column and batch[:-1] in batches:
            raise StructureError(
                f"parameter {i} ({name}) is a scalar and was given with shape {batch}, beside "
                f"another parameter with batch dimensions {batch[:-1]}: they would broadcast to "
                f"{(*outer, outer[-1])}. Pass it with shape {batch[:-1]}, by .squeeze(-1); for all "
                f"pairs, give the other one a batch of size 1 before its own."
            )


def _check_fronts(batches: Sequence[Shape], expected: Sequence[tuple[str, Shape]]) -> None:
    """Refuse (B, B) or (B, 1) beside (B,), which may have been meant to meet in front.

    cvxpylayers knows one batch dimension and refuses every second one.
    """
    for i, (batch, (name, _)) in enumerate(zip(batches, expected, strict=True)):
        for short in batches:
            more = (1,) * (len(batch) - len(short))
            if more and prod(short) > 1 and batch[: len(short)] == short:
                pairs = zip(batches, expected, strict=True)
                others = ", ".join(other for given, (other, _) in pairs if given == short)
                raise StructureError(
                    f"Invalid parameter dimensionality for parameter {i} ({name}): its batch "
                    f"dimensions {batch} begin with all those of {others}, {short}, but would meet "
                    f"them at the end and broadcast to {np.broadcast_shapes(batch, short)}. Give "
                    f"{others} batch dimensions {short + more} to meet in front, {more + short} "
                    f"to meet at the end."
                )
