"""``lpgd.diagnose``: why is my gradient zero, or wrong?"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import compress
from typing import Any, cast

import numpy as np

from lpgd.core.problem import Problem
from lpgd.core.scaling import top
from lpgd.core.solution import FloatArray
from lpgd.diagnosis.causes import findings
from lpgd.diagnosis.curves import gradients, line, sweep
from lpgd.diagnosis.elements import Elements
from lpgd.diagnosis.facts import Facts, collect, silent
from lpgd.diagnosis.report import Diagnosis
from lpgd.frontend.subject import Subject


def diagnose(
    layer: Any,
    *inputs: Any,
    loss: Callable[[Any], Any],
    learned: str | Sequence[str] | None = None,
    **named: Any,
) -> Diagnosis:
    """Find out why a gradient through a layer is zero, or not what it should be.

    The call ``loss(layer(*inputs, **named))`` is solved and pulled back on the side: counters,
    ``.grad`` and random states of the layer stay as they are, and failures are told rather than
    raised. Tilted solves over ten decades of tau and eight along the negative gradient follow, of
    at most 64 elements for the former.

    Parameters
    ----------
    layer : layer of lpgd.torch, or function or layer of lpgd.jax
        Of functions also a ``functools.partial``.
    *inputs, **named
        Arguments of a call. Tensors that were computed are looked at back to the leaves of their
        graph; of JAX what is to be looked at is given as the ``jax.tree_util.Partial`` that
        computes it.
    loss : callable
        From what the layer returns to a tensor or array with one entry.
    learned : str or sequence of str, optional
        Arguments that a gradient is wanted for, as the report names them. By default tensors that
        require one, or all if none does; in JAX all.

    Returns
    -------
    Diagnosis
        ``print`` it; ``.cause`` names the first finding, ``.figure()`` draws it.

    Raises
    ------
    TypeError
        The layer is none of this library's.
    StructureError
        The arguments do not fit, or the loss is no scalar.
    ValueError
        ``learned`` names what is no argument.
    """
    while isinstance(layer, partial):
        inputs, named = (*layer.args, *inputs), {**layer.keywords, **named}
        layer = layer.func
    make = getattr(layer, "subject", None)
    if make is None:
        raise TypeError(
            "layer must be one of lpgd.torch, such as QPLayer(), or of lpgd.jax, such as solve_qp, "
            f"got {type(layer).__name__}; of a model that holds one give that, and what it gets"
        )
    subject = cast(Subject, make(inputs, named, loss))
    return of(subject if learned is None else replace(subject, learned=_flags(subject, learned)))


def of(subject: Subject) -> Diagnosis:
    """The diagnosis of a call; see ``diagnose``."""
    facts = collect(subject)
    found = gradients(facts)
    with silent():
        causes = findings(facts, found)
    forward, program = facts.forward, facts.forward.program
    names = list(compress(_names(subject), subject.learned))
    lengths = {name: _length(part) for name, part in zip(names, found, strict=True)}
    return Diagnosis(
        subject.name, str(facts.rule), forward.engine.name, subject.precision.name, subject.shape,
        program.n, program.m, facts.value, causes, _elements(facts), lengths,
        sweep(facts), line(facts, found),
    )  # fmt: skip


def _names(subject: Subject) -> list[str]:
    """What the user calls the data."""
    return [_label(subject.program.problem, name) for name in subject.program.names]


def _flags(subject: Subject, learned: str | Sequence[str]) -> tuple[bool, ...]:
    """Which data are learned, by what the user calls them."""
    wanted, names = {learned} if isinstance(learned, str) else set(learned), _names(subject)
    if not wanted or wanted - set(names):
        raise ValueError(f"learned must name some of {', '.join(names)}, got {learned!r}")
    return tuple(name in wanted for name in names)


def _length(part: FloatArray) -> float:
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(part))


def _label(problem: Problem, name: str) -> str:
    """What the user calls an argument."""
    inputs = getattr(problem, "inputs", None)
    if inputs is not None:
        return inputs[name].name
    if name == "q":
        return {"LP": "c", "oracle": "costs"}.get(problem.family, "q")
    return name


def _elements(facts: Facts) -> Elements:
    solution, size = facts.forward.solution, facts.size
    none, zero = np.zeros(size, dtype=np.bool_), np.zeros(size)
    pull = top(facts.cotangent.dx)
    passed = facts.passed
    if passed is None:
        return Elements(
            solution.status, facts.forward.accuracy, np.zeros(size, dtype=np.intp),
            np.full((size, 2), np.nan), zero, solution.status, none, pull, zero.copy(),
            none, none, none, none, none,
        )  # fmt: skip
    spread = facts.spread
    no = False
    return Elements(
        solution.status, facts.forward.accuracy, spread(passed.active, 0),
        spread(passed.breakpoints, np.nan), spread(passed.tau, 0.0), spread(passed.failed, 0),
        spread(passed.moved, no), pull, spread(passed.gradient, 0.0), spread(passed.vertex, no),
        spread(passed.flat, no), spread(passed.degenerate, no), spread(passed.redundant, no),
        spread(passed.unverified, no),
    )  # fmt: skip
