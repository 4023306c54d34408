"""One call of a layer, forward and backward, with all that it lets out."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import lpgd
from lpgd.torch import ConicLayer, LPLayer, QPLayer, Sparse

OUTPUTS = {
    "qp": ("x", "y", "z", "z_box"),
    "lp": ("x", "y", "z", "z_box"),
    "conic": ("x", "y", "s"),
}


@dataclass
class Outcome:
    """What came of a call.

    Attributes
    ----------
    outputs, gradients : mapping from name to float64 array
    error : exception of the forward pass, or None
    late : exception of the backward pass, or None
    warned : list of warnings.WarningMessage
    printed : str
        What arrived at the file descriptors 1 and 2.
    touched : list of str
        Arguments that the call wrote to.
    """

    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    gradients: dict[str, np.ndarray] = field(default_factory=dict)
    error: Exception | None = None
    late: Exception | None = None
    warned: list[Any] = field(default_factory=list)
    printed: str = ""
    touched: list[str] = field(default_factory=list)


@contextlib.contextmanager
def caught(outcome: Outcome) -> Iterator[None]:
    """Collect warnings, and whatever is printed by whomever, into the outcome."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file, warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for target, old in zip((1, 2), kept, strict=True):
                os.dup2(old, target)
                os.close(old)
            file.seek(0)
            outcome.printed += file.read().decode(errors="replace")
            outcome.warned += found


def call(
    layer: torch.nn.Module,
    arguments: Mapping[str, Any],
    leaves: Mapping[str, torch.Tensor],
    cotangents: Mapping[str, torch.Tensor],
    names: Sequence[str],
) -> Outcome:
    """Call a layer by name of argument and pull cotangents back to its leaves.

    Parameters
    ----------
    leaves : mapping from name to Tensor
        All data tensors; gradients are taken of those that require one.
    cotangents : mapping from output to Tensor
    names : sequence of str
        What the outputs are called, in their order.
    """
    outcome = Outcome()
    before = {k: (t._version, _bits(t)) for k, t in leaves.items()}
    with caught(outcome):
        positional = arguments.get("*", ())
        keywords = {k: v for k, v in arguments.items() if k != "*"}
        try:
            found = layer(*positional, **keywords)
        except Exception as error:
            outcome.error = error
            found = None
        if found is not None:
            given = dict(zip(names, found, strict=True))
            outcome.outputs = {k: _array(t) for k, t in given.items()}
            _pull(outcome, given, leaves, cotangents)
    outcome.touched = [k for k, t in leaves.items() if (t._version, _bits(t)) != before[k]]
    return outcome


def _pull(
    outcome: Outcome,
    outputs: Mapping[str, torch.Tensor],
    leaves: Mapping[str, torch.Tensor],
    cotangents: Mapping[str, torch.Tensor],
) -> None:
    wanted = {k: t for k, t in leaves.items() if t.requires_grad}
    pulled = [k for k in cotangents if k in outputs]
    if not wanted or not pulled or not any(outputs[k].requires_grad for k in pulled):
        return
    try:
        gradients = torch.autograd.grad(
            [outputs[k] for k in pulled], list(wanted.values()),
            [cotangents[k].to(outputs[k].dtype) for k in pulled], allow_unused=True,
        )  # fmt: skip
    except Exception as error:
        outcome.late = error
        return
    outcome.gradients = {
        k: _array(g) for k, g in zip(wanted, gradients, strict=True) if g is not None
    }


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy(force=True)


def _bits(tensor: torch.Tensor) -> bytes:
    return _array(tensor).tobytes()


def layer_of(name: str, options: Mapping[str, Any]) -> torch.nn.Module:
    """A layer by its name in this package."""
    given = {**options, "rule": written(options["rule"])}
    if given["engine"].startswith("lpgd."):
        given["engine"] = written(given["engine"])
    if name == "conic":
        return ConicLayer(**given)
    return {"qp": QPLayer, "lp": LPLayer}[name](**given)


def written(text: str) -> Any:
    """A rule or an engine as it is written."""
    return eval(text, {"lpgd": lpgd})


def sparse(pattern: Any, values: torch.Tensor) -> Sparse:
    """A sparse argument."""
    return Sparse(pattern, values)
