"""Solvers that print although they were asked not to."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any, cast


class _Muted:
    """A stream without what some threads write."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.threads = stream, Counter[int]()

    def write(self, text: str) -> int:
        """Drop the text of muted threads."""
        return len(text) if self.threads[get_ident()] else self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


_LOCK = Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what this thread writes to ``sys.stdout``; other threads' text passes."""
    with _LOCK:
        if not isinstance(sys.stdout, _Muted):
            sys.stdout = cast(Any, _Muted(sys.stdout))
        muted = cast(Any, sys.stdout)
        muted.threads[get_ident()] += 1
    try:
        yield
    finally:
        with _LOCK:
            muted.threads[get_ident()] -= 1
            muted.threads = +muted.threads
            if not muted.threads and sys.stdout is muted:
                sys.stdout = muted.stream
