"""What frontends need for oracles: the engine, the view, per-instance inputs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, final

import numpy as np

from lpgd.core.engine import Engine
from lpgd.core.errors import StructureError
from lpgd.core.options import choice, whole
from lpgd.core.rule import is_count, is_number
from lpgd.core.tilt import Cotangent
from lpgd.engines.oracle.ask import Ask, Direct
from lpgd.engines.oracle.engine import INSTANCES, OracleEngine
from lpgd.engines.oracle.remembered import Cached, Pooled
from lpgd.engines.oracle.spread import Spread
from lpgd.engines.scatter import Scatter
from lpgd.frontend.batches import Shape
from lpgd.map.forward import Forward

Sense = Literal["min", "max"]
Form = tuple[int | None, ...]


@final
@dataclass(frozen=True)
class Asking:
    """How a layer asks its oracle.

    Attributes
    ----------
    sense : {"min", "max"}
        Of the layer; an oracle without an attribute ``sense`` has the same.
    n_jobs : int or None
        As joblib's; None asks within this process.
    timeout : float or None
        Seconds for an element, on back ends of processes.
    features : callable or None
        From a solution that is an object to its vector.
    cache : int
        Bytes of the cache; 0 is none.
    solve_ratio : float
        Share of training elements that are solved; a pool of solutions answers the others.
    pool : (K, *shape) array
        Solutions with which it begins.
    seed : int
        Of its draws.
    """

    sense: Sense = "min"
    n_jobs: int | None = None
    timeout: float | None = None
    features: Callable[[Any], Any] | None = None
    cache: int = 0
    solve_ratio: float = 1.0
    pool: Any = ()
    seed: int = 0

    def __post_init__(self) -> None:
        choice("sense", self.sense, ("min", "max"))
        if self.n_jobs is not None:
            Scatter(self.n_jobs, self.timeout)  # checks both
        if self.timeout is not None and self.n_jobs in (None, 1):
            raise ValueError("timeout needs n_jobs: only a process of its own can be stopped")
        whole("seed", self.seed, least=0)
        whole("cache", self.cache, least=0)
        if not (is_number(self.solve_ratio) and 0 < self.solve_ratio <= 1):
            raise ValueError(f"solve_ratio must be in (0, 1], got {self.solve_ratio!r}")
        if self.solve_ratio < 1 and self.features is not None:
            raise ValueError("a pool holds vectors: solve_ratio < 1 does not go with features")

    def engine(self, oracle: Callable[..., Any]) -> Engine:
        """The oracle as an engine.

        Raises
        ------
        TypeError
            It is not callable.
        ValueError
            Its ``gap`` or ``sense`` is none.
        """
        if not callable(oracle):
            raise TypeError(f"oracle must be a callable (B, d) -> (B, d), got {oracle!r}")
        ask: Ask = Direct(oracle)
        if self.n_jobs is not None:
            ask = Spread(ask, Scatter(self.n_jobs, self.timeout))
        if self.cache:
            ask = Cached(ask, self.cache)
        gap, theirs = getattr(oracle, "gap", 0.0), getattr(oracle, "sense", self.sense)
        if not (is_number(gap) and gap >= 0):
            raise ValueError(f"the oracle's gap must be a number >= 0, got {gap!r}")
        choice("the oracle's sense", theirs, ("min", "max"))
        sign = 1.0 if theirs == "min" else -1.0
        if self.solve_ratio < 1:
            ask, gap = Pooled(ask, self.solve_ratio, self.pool, sign, self.seed), np.inf
        return cast(Engine, OracleEngine(oracle, ask, sign, self.features, float(gap)))


def pooled(engine: Any) -> Pooled | None:
    """The pool of solutions of an oracle's engine."""
    return engine.ask if isinstance(engine.ask, Pooled) else None


@final
@dataclass(frozen=True)
class OracleView:
    """The minimisers x."""

    outputs: int = 1

    def gather(self, forward: Forward) -> list[np.ndarray]:
        return [forward.solution.x]

    def cotangent(self, rows: np.ndarray, parts: Sequence[np.ndarray]) -> Cotangent:
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
        if not isinstance(instances, Iterable):
            raise StructureError(f"instances must be a sequence or an array, got {instances!r}")
        listed = list(cast(Iterable[Any], instances))
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


def checked(shape: Form, given: Shape) -> Shape:
    """The shape of one cost, the last dimensions of those that were given.

    Raises
    ------
    StructureError
        They are too few, or not those that the oracle takes.
    """
    if len(given) < len(shape):
        dims = "dimension" if len(shape) == 1 else "dimensions"
        raise StructureError(
            f"costs must have at least {len(shape)} {dims}, those of one cost, got shape {given}"
        )
    own = given[len(given) - len(shape) :]
    if any(want not in (None, got) for want, got in zip(shape, own, strict=True)):
        want = ", ".join("any" if size is None else str(size) for size in shape)
        raise StructureError(f"the oracle takes costs of shape (..., {want}), got {given}")
    return own


def fitting(pool: Any, form: Form) -> None:
    """Check that solutions (K, *shape) of a pool have the shape of the costs.

    Raises
    ------
    ValueError
    """
    own = np.shape(pool)[1:]
    fits = len(own) == len(form) and all(n in (None, got) for n, got in zip(form, own, strict=True))
    if len(pool) and not fits:
        want = ", ".join("any" if size is None else str(size) for size in form)
        raise ValueError(f"pool must have shape (K, {want}), got {np.shape(pool)}")


def form(oracle: Any, shape: Any) -> Form:
    """The shape of one cost that a layer's argument or the oracle says; None is any size.

    Raises
    ------
    ValueError
    """
    told = getattr(oracle, "shape", (None,)) if shape is None else shape
    found = tuple(told) if isinstance(told, Sequence) else (told,)
    if any(size is not None and not (is_count(size) and size > 0) for size in found):
        raise ValueError(f"shape must hold sizes > 0, or None for any, got {shape!r}")
    return found
