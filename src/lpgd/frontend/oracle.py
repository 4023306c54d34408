"""What frontends need for oracles: the engine, the view, per-instance inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast, final

import numpy as np

from lpgd.core.engine import Engine
from lpgd.core.errors import StructureError
from lpgd.core.tilt import Cotangent
from lpgd.engines.oracle.engine import INSTANCES, OracleEngine
from lpgd.frontend.batches import Shape
from lpgd.map.forward import Forward


def engine(oracle: Callable[..., Any]) -> Engine:
    """The oracle as an engine.

    Raises
    ------
    TypeError
        It is not callable.
    """
    if not callable(oracle):
        raise TypeError(f"oracle must be a callable (B, d) -> (B, d), got {oracle!r}")
    return cast(Engine, OracleEngine(oracle))


@final
@dataclass(frozen=True)
class OracleView:
    """The minimisers x."""

    outputs: int = 1

    def gather(self, forward: Forward) -> list[np.ndarray]:
        """See ``View.gather``."""
        return [forward.solution.x]

    def cotangent(self, rows: np.ndarray, parts: Sequence[np.ndarray]) -> Cotangent:
        """See ``View.cotangent``."""
        return Cotangent(rows, parts[0], parts[0][:, :0])


def opaque(instances: Any, batch: Shape) -> dict[str, np.ndarray]:
    """Per-instance inputs as an array of objects, none of which is looked into.

    Parameters
    ----------
    instances : sequence, array of objects, or None
        A sequence has one object for each entry of the last batch dimension; an array's shape
        broadcasts with the batch dimensions.
    batch : tuple of int
        Batch dimensions of the costs.

    Raises
    ------
    StructureError
        The shapes do not broadcast.
    """
    if instances is None:
        return {}
    if not isinstance(instances, np.ndarray):
        listed = list(instances)
        instances = np.empty(len(listed), dtype=object)
        instances[:] = listed
    try:
        np.broadcast_shapes(instances.shape, batch)
    except ValueError:
        raise StructureError(
            f"instances of shape {instances.shape} do not broadcast with the batch dimensions "
            f"{batch} of the costs"
        ) from None
    return {INSTANCES: instances.astype(object)}
