"""Independent training runs in processes of their own."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from lpgd.experiments.runs import ExperimentError

_MOST_ON_WINDOWS = 61  # that a process pool can wait for

Task = TypeVar("Task")
Result = TypeVar("Result")


class JobPool:
    """Runs a function on many tasks, so many at a time as there are processes."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Sequence[Task],
        done: Callable[[Task, Result], None],
    ) -> list[Result]:
        """Return the results in the order of ``tasks``; ``done`` hears of each as it ends."""
        try:
            futures = {self._executor.submit(work, task): task for task in tasks}
            for future in as_completed(futures):
                done(futures[future], future.result())
        except BrokenProcessPool:
            raise ExperimentError(
                "a process that trains was killed, perhaps for want of memory; the same command "
                "continues, --jobs 1 takes the least"
            ) from None
        return [future.result() for future in futures]


@contextmanager
def job_pool(jobs: int) -> Iterator[JobPool]:
    """Provide ``jobs`` processes, and end them without delay if anything goes wrong.

    Runs write checkpoints, so a process that is ended loses little.
    """
    # Forking a process that holds solver or torch threads can deadlock; starting anew cannot.
    context = multiprocessing.get_context("spawn")
    most = _MOST_ON_WINDOWS if sys.platform == "win32" else jobs
    executor = ProcessPoolExecutor(min(jobs, most), mp_context=context, initializer=_prepare)
    before = set(multiprocessing.active_children())
    try:
        yield JobPool(executor)
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    executor.shutdown()


def _prepare() -> None:
    import scipy.linalg  # noqa: F401 - its BLAS must be there to be limited
    import torch
    from threadpoolctl import threadpool_limits

    # Ctrl-C reaches the whole process group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The matrices are tiny: more threads would only disturb the other runs, ten times their time.
    threadpool_limits(1)
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """End this process once its parent is no more: it would hold its run for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
