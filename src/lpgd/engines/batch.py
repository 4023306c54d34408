"""Run a solver that takes one problem at a time over a batch, in threads where that pays."""

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from time import perf_counter

import numpy as np

from lpgd.core.solution import IntArray

PIECE = 0.1  # seconds that a thread works before it looks whether it shall stop


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def useful_threads(threads: int | None, work: int, pays: int) -> int:
    """How many threads to use.

    Parameters
    ----------
    threads : int or None
        The user's limit.
    work, pays : int
        Size of an element, and from which size on threads pay: for small ones handing over the
        interpreter's lock costs more than it gains (benchmarks/crossover.py).
    """
    if work < pays:
        return 1
    return min(processors(), threads) if threads else processors()


def spread(
    work: Callable[[IntArray], None],
    size: int,
    threads: int,
    *,
    apart: bool = False,
) -> None:
    """Call ``work`` on parts of ``range(size)``, each in a thread of its own.

    ``work`` writes its answers into arrays that the caller owns, so order cannot matter. An
    interrupt (Ctrl-C) reaches the caller at once; threads then end after the piece at hand, which
    takes about ``PIECE`` seconds or is a single element.

    Parameters
    ----------
    work : callable
    size, threads : int
    apart : bool
        Whether the calling thread may not do the work itself.
    """
    threads = max(1, min(threads, size))
    if threads == 1 and not apart:
        work(np.arange(size))
        return
    stop = Event()

    def run(part: IntArray) -> None:
        count = 1
        while len(part) and not stop.is_set():
            began = perf_counter()
            work(part[:count])
            part = part[count:]
            count = 2 * count if perf_counter() - began < PIECE else max(1, count // 2)

    pool = ThreadPoolExecutor(threads)
    try:
        left = {pool.submit(run, part) for part in np.array_split(np.arange(size), threads)}
        while left:  # some solvers leave signals that wake no thread which waits without a limit
            done, left = wait(left, PIECE, FIRST_EXCEPTION)
            for future in done:
                future.result()
    except BaseException:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
