"""Solvers that take Ctrl-C for themselves and do not give it back."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Whatever runs inside, an interrupt (Ctrl-C) means afterwards what it meant before.

    Some solvers replace the handler of SIGINT where Python does not see it: OR-tools' CP-SAT leaves
    the system's own, with which the next Ctrl-C kills the process instead of raising
    KeyboardInterrupt. Only the main thread may change handlers; elsewhere nothing is done.
    """
    try:
        yield
    finally:
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGINT, handler)
