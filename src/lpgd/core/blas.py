"""BLAS with one thread.

Programs of layers are small: on a busy machine the threads of a product of their matrices wait for
each other ten times as long as one thread takes. A batch has better use for processors.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ContextDecorator, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from itertools import compress
from threading import Lock
from typing import Any

from lpgd.core.problem import Ability, Problem


@dataclass
class OneThread(ContextDecorator):
    """The BLAS of numpy and scipy keep to one thread while anybody is inside.

    The setting belongs to the process, so the first to enter makes it and the last to leave takes
    it back. (Where BLAS is built on OpenMP it belongs to each thread, and stays as it is.)
    """

    inside: int = 0
    _before: list[tuple[Any, int]] = field(default_factory=list[tuple[Any, int]], repr=False)
    _libraries: list[Any] | None = field(default=None, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __enter__(self) -> None:
        with self._lock:
            self.inside += 1
            if self.inside == 1:
                counts = [(library, library.get_num_threads()) for library in self._found()]
                self._before = [(library, count) for library, count in counts if count > 1]
                for library, _ in self._before:
                    _set(library, 1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.inside -= 1
            if not self.inside:
                for library, count in self._before:
                    _set(library, count)

    def _found(self) -> list[Any]:
        if self._libraries is None:
            import_module("scipy.linalg")  # which brings a BLAS of its own
            control: Any = import_module("threadpoolctl")  # which has no types
            found = control.ThreadpoolController().select(user_api="blas").lib_controllers
            shared = [one.info().get("threading_layer") != "openmp" for one in found]
            self._libraries = list(compress(found, shared))
        return self._libraries


def _set(library: Any, count: int) -> None:
    """Set it whoever set it last: threadpoolctl from 3.7 on ignores all threads but one."""
    if hasattr(library, "clear_controlling_thread"):
        library.clear_controlling_thread(force=True)
        library.set_num_threads(count)
        library.clear_controlling_thread(force=True)
    else:
        library.set_num_threads(count)


ONE_THREAD = OneThread()
"""The process has one setting, so this is the only such object."""


def threads_for(problem: Problem) -> AbstractContextManager[None]:
    """One thread for a family's own algebra; users' code within a call has its own choice."""
    return ONE_THREAD if Ability.MATRICES in problem.program.abilities else nullcontext()
