"""Workers that stay from one call to the next."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, final


@final
class Staying:
    """Pools of joblib's workers, kept where a back end would start processes anew for every call.

    Ray and ``multiprocessing`` do; loky, threads and Dask keep theirs themselves. The processes end
    with this object, or when another back end is asked for. A copy has none.
    """

    def __init__(self) -> None:
        self._idle: list[tuple[Any, Any]] = []  # of what the user set, a pool
        weakref.finalize(self, _ended, self._idle).atexit = False  # they end with this process

    def __reduce__(self) -> tuple[type[Staying], tuple[()]]:
        return Staying, ()

    @contextmanager
    def workers(self, joblib: Any, n_jobs: int) -> Iterator[Any]:
        """So many workers of the active back end, as a ``joblib.Parallel`` of nobody else's."""
        backend = joblib.parallel.get_active_backend()[0]
        ways = "generator_unordered" if backend.supports_return_generator else "list"
        options = {"return_as": ways, "pre_dispatch": "all", "batch_size": 1}
        if not isinstance(backend, joblib.parallel.MultiprocessingBackend):
            yield joblib.Parallel(n_jobs, **options)
            return
        pool = self._taken(backend)
        if pool is None:  # a back end has one pool: those of others must not replace ours
            pool = joblib.Parallel(n_jobs, backend=copy.copy(backend), **options).__enter__()
        try:
            yield pool
        except BaseException:
            _ended([(backend, pool)])
            raise
        self._idle.append((backend, pool))

    def _taken(self, backend: Any) -> Any:
        """A pool of the back end's that nobody uses, if there is one."""
        while self._idle:
            found, pool = self._idle.pop()
            if found is backend:
                return pool
            _ended([(found, pool)])
        return None


def _ended(pools: list[tuple[Any, Any]]) -> None:
    while pools:
        with suppress(Exception):  # of a cluster that is gone already
            pools.pop()[1].__exit__(None, None, None)
