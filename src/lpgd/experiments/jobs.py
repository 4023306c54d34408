"""Independent training runs in processes of their own."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

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
        futures = {self._executor.submit(work, task): task for task in tasks}
        for future in as_completed(futures):
            done(futures[future], future.result())
        return [future.result() for future in futures]


@contextmanager
def job_pool(jobs: int) -> Iterator[JobPool]:
    """Provide ``jobs`` processes, and end them without delay if anything goes wrong.

    Runs write checkpoints, so a process that is ended loses little.
    """
    # Forking a process that holds solver or torch threads can deadlock; starting anew cannot.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_prepare)
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
    # The matrices are tiny: more threads would only disturb the other runs, ten times their time.
    threadpool_limits(1)
    torch.set_num_threads(1)
