"""What runs on the host: one library-wide object for what callbacks share.

It is the only mutable state of ``lpgd.jax``: kept forward passes (bounded, locked), who wants to
hear of errors, and what waits for an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from lpgd.core.blas import ONE_THREAD
from lpgd.core.errors import LpgdError
from lpgd.frontend.dialogue import Dialogues
from lpgd.frontend.kept import Store


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
    listeners: Listeners = field(default_factory=Listeners)
    dialogues: Dialogues = field(default_factory=Dialogues)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around whatever a callback does; threads of BLAS would wait for those of XLA."""
        with ONE_THREAD:
            try:
                yield
            except LpgdError as error:
                self.listeners.tell(error)
                raise


HOST = Host()
