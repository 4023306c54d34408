"""What surrounds the call of a layer: graphs that are captured, inference mode, hooks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from threading import Thread
from typing import Any, TypeVar, cast

import torch

from lpgd.core.errors import StructureError

T = TypeVar("T")


def untraced(solve: Callable[..., T]) -> Callable[..., T]:
    """A solve as it can be called where graphs are captured: torch.compile breaks its graph there.

    Raises
    ------
    StructureError
        Within ``torch.jit.trace``, which would keep this one answer for ever.
    """
    if torch.compiler.is_compiling():
        return cast(Any, torch.compiler.disable(solve))
    if cast(Any, torch.jit).is_tracing():
        raise StructureError(
            "a trace cannot hold a solver, and would repeat this call's answer: trace what comes "
            "before and after the layer, or use torch.compile, which breaks its graph there"
        )
    return solve


def differentiable() -> AbstractContextManager[Any]:
    """Where users' functions may differentiate, which they cannot in inference mode."""
    return torch.inference_mode(mode=False) if torch.is_inference_mode_enabled() else nullcontext()


def undisturbed(work: Callable[[], T], *, functions: bool) -> T:
    """What ``work`` returns, in which ``functions`` of users may be differentiated.

    Checkpoints and ``save_on_cpu`` hook the tensors that autograd saves: torch.func refuses that,
    and a checkpoint would count those of a solve among its own. Hooks belong to a thread, so the
    work gets one of its own there.
    """
    with differentiable():
        return _apart(work) if functions and _hooked() else work()


def _hooked() -> bool:
    try:
        with torch.autograd.graph.disable_saved_tensors_hooks("hooked"):
            return False
    except RuntimeError:
        return True


def _apart(work: Callable[[], T]) -> T:
    done: Future[T] = Future()
    recording = torch.is_grad_enabled()

    def run() -> None:
        try:
            with torch.set_grad_enabled(recording):
                done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    return done.result()
