"""Work that asks for what only its caller can compute.

A compiled program calls the host back, and must not be called by it in turn: the inner call would
wait for threads that the outer one holds. So work that needs the program's functions is done in a
thread of its own and asks. The callback hands the question to the program, which computes, and the
next callback brings the answer.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from lpgd.frontend.kept import TOKEN

MOST = 256  # open dialogues; the oldest of more was given up by its program


@dataclass(frozen=True)
class Done:
    """The end of a dialogue: what the work returned, or raised."""

    result: Any = None
    error: BaseException | None = None


class _ClosedError(RuntimeError):
    """Nobody answers any more."""


@dataclass(frozen=True, eq=False)
class Dialogue:
    """Work in a thread of its own, and its questions in their order."""

    work: Callable[[], Any]
    _questions: SimpleQueue[Any] = field(default_factory=SimpleQueue, repr=False)
    _answers: SimpleQueue[Any] = field(default_factory=SimpleQueue, repr=False)

    def begin(self) -> Any:
        """The first question, or ``Done``."""
        Thread(target=self._run, daemon=True).start()
        return self._questions.get()

    def go_on(self, answer: Any) -> Any:
        """The next question, or ``Done``."""
        self._answers.put(answer)
        return self._questions.get()

    def close(self) -> None:
        """Answer no more: whatever the work asks raises."""
        self._answers.put(_ClosedError("the program that asked for this solve has ended"))

    def _run(self) -> None:
        _ASKING.set(self._ask)
        try:
            done = Done(self.work())
        except BaseException as error:  # raised again where the program calls
            done = Done(error=error)
        self._questions.put(done)

    def _ask(self, question: Any) -> Any:
        self._questions.put(question)
        answer = self._answers.get()
        if isinstance(answer, _ClosedError):
            self._answers.put(answer)
            raise answer
        return answer


_ASKING: ContextVar[Callable[[Any], Any] | None] = ContextVar("asking", default=None)


def asking() -> Callable[[Any], Any] | None:
    """How the work that runs in this thread asks; None if nobody is there to answer."""
    return _ASKING.get()


def patient() -> bool:
    """Whether the work that runs in this thread may wait for other work.

    Two dialogues of one program may be open at once, and the program answers one of them at a time:
    if the other waited for it, both would wait for ever.
    """
    return _ASKING.get() in (None, _refuse)


def _refuse(question: Any) -> Any:
    raise RuntimeError("a compiled program was asked for what it was not told to answer")


def unanswered(work: Callable[..., Any], *given: Any) -> Any:
    """What work returns that is not to ask anything."""
    token = _ASKING.set(_refuse)
    try:
        return work(*given)
    finally:
        _ASKING.reset(token)


@dataclass
class Dialogues:
    """Open dialogues by token."""

    _open: OrderedDict[bytes, Dialogue] = field(default_factory=OrderedDict, repr=False)
    _results: OrderedDict[bytes, Any] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def begin(self, work: Callable[[], Any]) -> tuple[bytes, Any]:
        """A token, and the first question or None; raises what the work raises."""
        token, dialogue = os.urandom(TOKEN), Dialogue(work)
        with self._lock:
            self._open[token] = dialogue
            if len(self._open) > MOST:
                self._open.popitem(last=False)[1].close()
        return token, self._turned(token, dialogue.begin())

    def go_on(self, token: bytes, answer: Any) -> Any:
        """The next question, or None; raises what the work raises."""
        with self._lock:
            dialogue = self._open[token]
        return self._turned(token, dialogue.go_on(answer))

    def result(self, token: bytes) -> Any:
        """What the work returned, once it asks no more."""
        with self._lock:
            return self._results.pop(token)

    def _turned(self, token: bytes, turn: Any) -> Any:
        if not isinstance(turn, Done):
            return turn
        with self._lock:
            self._open.pop(token, None)
            if turn.error is None:
                self._results[token] = turn.result
                if len(self._results) > MOST:
                    self._results.popitem(last=False)
        if turn.error is not None:
            raise turn.error
        return None
