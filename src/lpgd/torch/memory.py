"""What a rule remembers, as entries of a module's ``state_dict``."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np
import torch

from lpgd.core.rule import Memory

KEY = "rule."
SINCE = 2  # version of a layer's state from which on it holds memory


def save(memory: Memory, state: MutableMapping[str, Any], prefix: str) -> None:
    """Write copies of the arrays to a state."""
    for name, array in memory.items():
        state[f"{prefix}{KEY}{name}"] = torch.from_numpy(np.array(array))


def load(memory: Memory, state: Mapping[str, Any], prefix: str) -> tuple[set[str], list[str]]:
    """Read the arrays back; return keys that the state lacks, and what is wrong with others."""
    missing, wrong = set[str](), list[str]()
    for name, array in memory.items():
        key = f"{prefix}{KEY}{name}"
        if key not in state:
            missing.add(key)
            continue
        found = state[key].detach().cpu().numpy()
        if found.shape != array.shape:
            wrong.append(f"{key} must have shape {array.shape}, got {found.shape}")
        else:
            memory[name] = found.astype(array.dtype)
    return missing, wrong
