"""Checkpoints that hold tensors and JSON only, so that loading one cannot run code."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lpgd.experiments.runs import write_bytes

_REFUSED = (
    "not a whole checkpoint of lpgd, with tensors and text alone; anything else could hold code "
    "and is not read. Restore the file, or start a new run."
)


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors, and any other state as values that JSON can hold."""

    tensors: dict[str, torch.Tensor]
    state: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write in one step, so that a killed process leaves the previous checkpoint."""
        buffer = io.BytesIO()
        torch.save({"tensors": self.tensors, "json": json.dumps(self.state)}, buffer)
        write_bytes(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint; anything but tensors and text is an `UnpicklingError`.

        It is worded here, since torch's own words advise to switch the protection off.
        """
        file = io.BytesIO(path.read_bytes())
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
            loaded = cls(dict(content["tensors"]), json.loads(content["json"]))
        except MemoryError:
            raise
        except Exception:  # damage shows in more ways than can be listed
            loaded = None
        if loaded is None or not all(torch.is_tensor(value) for value in loaded.tensors.values()):
            raise pickle.UnpicklingError(_REFUSED)
        return loaded


def training_tensors(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """Collect the tensors of a model and its optimizer; step sizes belong to the configuration."""
    tensors: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict().items():
        if _is_extra(value):
            tensors |= {f"model/{name}/{key}": part for key, part in value.items()}
        else:
            tensors[f"model/{name}"] = value
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items()}
    return tensors


def restore_training(
    tensors: dict[str, torch.Tensor], model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Put back what `training_tensors` collected.

    A tensor that does not fit is an error here rather than in the next step.
    """
    state = optimizer.state_dict()
    parameters = [value for group in optimizer.param_groups for value in group["params"]]
    for name, value in tensors.items():
        owner, _, rest = name.partition("/")
        if owner != "model":
            index, _, entry = rest.partition("/")
            shape = () if entry == "step" else tuple(parameters[int(index)].shape)
            if tuple(value.shape) != shape:
                raise ValueError(f"{name} has shape {tuple(value.shape)}, not {shape}")
            state["state"].setdefault(int(index), {})[entry] = value
    held = [set(state["state"].get(index, ())) for index in range(len(parameters))]
    if any(entries != held[0] for entries in held):
        raise ValueError("the optimizer's tensors are incomplete")
    model.load_state_dict(_model_state(tensors, model))
    optimizer.load_state_dict(state)


def _model_state(tensors: dict[str, torch.Tensor], model: torch.nn.Module) -> dict[str, Any]:
    found: dict[str, Any] = {n: {} for n, value in model.state_dict().items() if _is_extra(value)}
    for name, value in tensors.items():
        owner, _, rest = name.partition("/")
        entry, _, part = rest.partition("/")
        if owner == "model" and part:
            found[entry][part] = value
        elif owner == "model":
            found[entry] = value
    return found


def _is_extra(value: Any) -> bool:
    """Tell whether an entry of a state is what a module keeps besides: tensors under names."""
    return isinstance(value, dict)
