"""What runs on the host: one library-wide object for what callbacks share.

It is the only mutable state of ``lpgd.jax``: kept forward passes (bounded, locked), how many
threads BLAS shall use meanwhile, who wants to hear of errors, and what waits for an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from lpgd.core.errors import LpgdError
from lpgd.frontend.dialogue import Dialogues
from lpgd.frontend.kept import Store


@dataclass
class OneThread:
    """BLAS with one thread while any callback runs: its own would wait for those of XLA.

    The setting belongs to the process, so the first to enter makes it and the last to leave takes
    it back.
    """

    inside: int = 0
    _limit: Any = None
    _libraries: Any = None
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __enter__(self) -> None:
        with self._lock:
            self.inside += 1
            if self.inside == 1:
                self._limit = self._found().limit(limits=1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.inside -= 1
            if not self.inside:
                self._limit.restore_original_limits()

    def _found(self) -> Any:
        if self._libraries is None:
            import scipy.linalg as _  # noqa: F401 - which brings a BLAS of its own
            from threadpoolctl import ThreadpoolController

            self._libraries = ThreadpoolController().select(user_api="blas")
        return self._libraries


@dataclass
class Listeners:
    """Who hears of the errors that leave callbacks."""

    _lists: list[list[LpgdError]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @contextmanager
    def listening(self) -> Iterator[list[LpgdError]]:
        """A list of the errors of callbacks that end within the block."""
        heard: list[LpgdError] = []
        with self._lock:
            self._lists.append(heard)
        try:
            yield heard
        finally:
            with self._lock:
                self._lists = [other for other in self._lists if other is not heard]

    def tell(self, error: LpgdError) -> None:
        """Add an error to all lists."""
        with self._lock:
            for heard in self._lists:
                heard.append(error)


@dataclass(frozen=True)
class Host:
    """What callbacks share."""

    store: Store = field(default_factory=Store)
    blas: OneThread = field(default_factory=OneThread)
    listeners: Listeners = field(default_factory=Listeners)
    dialogues: Dialogues = field(default_factory=Dialogues)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around whatever a callback does."""
        with self.blas:
            try:
                yield
            except LpgdError as error:
                self.listeners.tell(error)
                raise


HOST = Host()
