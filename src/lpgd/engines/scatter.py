"""Work spread over threads, processes or a cluster by joblib.

Whatever one piece of work does to its worker costs that piece alone: what raises returns its
exception, and where a worker dies what is missing is done again, piece by piece, until the
culprit is alone. A worker that hangs ends itself.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from lpgd.core.extras import load
from lpgd.core.options import positive
from lpgd.core.rule import is_whole
from lpgd.core.solution import IntArray
from lpgd.engines.staying import Staying

Function = Callable[[Any], Any]
Piece = tuple[Any, float | None]
"""A piece of work, and how many seconds it may take."""
ALARM = hasattr(signal, "setitimer")
ENOUGH = 0.05  # seconds of work that make the overhead of a chunk small
SHARES = 4  # chunks a worker as long as nobody knows how long an element takes
KEPT = 4  # functions that a worker remembers
_known: OrderedDict[bytes, Function] = OrderedDict()


class Done(NamedTuple):
    """A piece of work that is done, or what it raised."""

    result: Any
    error: Exception | None
    seconds: float


class Lost(NamedTuple):
    """A piece of work whose worker died or did not return in time."""

    late: bool
    error: Exception


Outcome = Done | Lost


@dataclass(frozen=True)
class Scatter:
    """Runs pieces of work.

    Attributes
    ----------
    n_jobs : int
        As joblib's; the back end is that of ``joblib.parallel_config``, by default processes.
    timeout : float or None
        Seconds for a unit of work, after which its process ends itself, whatever it is doing. Not
        for threads, which nothing but the work itself can stop.
    staying : Staying
        Its workers.
    """

    n_jobs: int
    timeout: float | None = None
    staying: Staying = field(default_factory=Staying, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (is_whole(self.n_jobs) and self.n_jobs):
            raise ValueError(f"n_jobs must be an int other than 0, got {self.n_jobs!r}")
        if self.timeout is not None:
            positive("timeout", self.timeout)

    def jobs(self) -> int:
        """How many workers there will be."""
        return int(_joblib().effective_n_jobs(self.n_jobs))

    def __call__(
        self, function: Function, works: Sequence[Any], sizes: Sequence[int]
    ) -> list[Outcome]:
        """Do the function for each piece of work; ``sizes`` are their units of work."""
        backend = _joblib().parallel.get_active_backend()[0]
        threads = getattr(backend, "uses_threads", False)
        task = _Task(function) if threads else _Task.travelling(function)
        limits = [None if threads or not self.timeout else self.timeout * size for size in sizes]
        pieces = list(zip(works, limits, strict=True))
        found: dict[int, Outcome] = {}
        self._gather(found, task, pieces)
        for place, piece in enumerate(pieces):
            if place not in found:
                alone: dict[int, Outcome] = {}
                self._gather(alone, task, [piece])
                found[place] = alone[0]
        return [found[place] for place in range(len(works))]

    def _gather(self, found: dict[int, Outcome], task: _Task, pieces: Sequence[Piece]) -> None:
        """Keep what comes before a worker dies; of many pieces nobody can tell whose it was."""
        began = time.perf_counter()
        try:
            for place, outcome in self._outcomes(task, pieces):
                found[place] = outcome  # noqa: PERF403  what came before an error is kept
        except Exception as error:  # of a back end's own kind
            if len(pieces) == 1:
                late = _late(error, pieces[0][1], time.perf_counter() - began)
                found[0] = Lost(late, error)

    def _outcomes(self, task: _Task, pieces: Sequence[Piece]) -> Iterator[tuple[int, Outcome]]:
        delayed = _joblib().delayed(task)
        with self.staying.workers(_joblib(), self.n_jobs) as pool:
            yield from pool(delayed(place, *piece) for place, piece in enumerate(pieces))


@dataclass
class Pace:
    """How long an element took, in seconds; it decides on chunks, never on answers."""

    seconds: float | None = None

    def chunks(self, size: int, jobs: int) -> list[IntArray]:
        """The elements of each chunk."""
        share = -(-size // jobs)
        if self.seconds is None:
            length = max(1, size // (jobs * SHARES))
        else:
            length = int(min(share, max(1.0, ENOUGH / max(self.seconds, 1e-9))))
        return np.array_split(np.arange(size), -(-size // length))

    def learn(self, outcomes: Sequence[Outcome], sizes: Sequence[int]) -> None:
        """Take the time of what is done into account."""
        done = [(o.seconds, s) for o, s in zip(outcomes, sizes, strict=True) if isinstance(o, Done)]
        if done:
            self.seconds = sum(seconds for seconds, _ in done) / sum(size for _, size in done)


class _Task:
    """What a worker is sent once for each piece of work."""

    def __init__(self, function: Function | None, pickled: bytes | None = None) -> None:
        self.function, self.pickled = function, pickled

    @classmethod
    def travelling(cls, function: Function) -> _Task:
        wrapped = _joblib().wrap_non_picklable_objects(function, keep_wrapper=False)
        return cls(None, pickle.dumps(wrapped))

    def __call__(self, place: int, work: Any, limit: float | None) -> tuple[int, Done]:
        try:
            function = self._found()
        except Exception as raised:  # it cannot be unpickled here
            return place, Done(None, portable(raised), 0.0)
        began = time.perf_counter()
        try:
            with _ended_after(limit):
                result, error = function(work), None
        except Exception as raised:  # judged by the caller
            result, error = None, portable(raised)
        return place, Done(result, error, time.perf_counter() - began)

    def _found(self) -> Function:
        """The function, of which a worker unpickles each once, with what it has built."""
        if self.pickled is None:
            assert self.function is not None
            return self.function
        key = blake2b(self.pickled, digest_size=16).digest()
        function = _known.get(key)
        if function is None:
            function = _known[key] = pickle.loads(self.pickled)
            while len(_known) > KEPT:
                _known.popitem(last=False)
        return function


@contextmanager
def _ended_after(limit: float | None) -> Iterator[None]:
    """End this process after so many seconds, whatever it is doing: no lock of Python's is needed.

    The alarm is the kernel's, which kills the process; where there is none, or somebody listens to
    it, C code ends it.
    """
    if limit is None:
        yield
    elif ALARM and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL:
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
    else:
        with open(os.devnull, "w") as nowhere:
            faulthandler.dump_traceback_later(limit, file=nowhere, exit=True)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()


def _late(error: Exception, limit: float | None, seconds: float) -> bool:
    """Whether a worker that died was ended by its alarm: loky tells of signals and exit codes."""
    if limit is None or seconds < limit:
        return False
    told = str(error)
    return "SIGALRM" in told or not (ALARM and ("EXIT(" in told or "SIG" in told))


def portable(error: Exception) -> Exception:
    """The exception, or one that says the same and can be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # of any kind: it cannot travel
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _joblib() -> Any:
    return load("joblib", "oracles", "n_jobs")
