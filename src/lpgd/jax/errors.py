"""Our own errors out of compiled functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax

from lpgd.jax.host import HOST


@contextmanager
def errors() -> Iterator[None]:
    """Raise ``lpgd.SolverError`` and the like out of compiled functions, as eager calls do.

    JAX turns what a callback raises into a ``JaxRuntimeError`` whose message ends with ours. Within
    this block it becomes the error itself again, with its batch indices and statuses. JAX works
    ahead: wait for the results within the block, by ``jax.block_until_ready``.

    Raises
    ------
    LpgdError
        What a layer raised while it was called from a compiled function.
    """
    with HOST.listeners.listening() as heard:
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            ours = [own for own in heard if str(own) in str(error)]
            if not ours:
                raise
            raise ours[-1] from error
