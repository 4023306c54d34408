"""Answers for parts of a batch as one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from lpgd.core.engine import Answer
from lpgd.core.solution import FloatArray, IntArray, Solution

Part = tuple[IntArray, Answer]


def joined(parts: Sequence[Part]) -> Answer:
    """One answer from those of parts of a batch, which follow each other; without a workspace."""
    answers = [answer for _, answer in parts]
    return Answer(
        reduce(Solution.join, (answer.solution for answer in answers)),
        sum(answer.set_ups for answer in answers),
        None,
        next((answer.cause for answer in answers if answer.cause is not None), None),
        _accuracies(answers),
        _rays(answers),
        {int(rows[i]): text for rows, a in parts for i, text in a.notes.items()},
        counts=sum((Counter(answer.counts) for answer in answers), Counter[str]()),
        warning=next((answer.warning for answer in answers if answer.warning), None),
    )


def ordered(answer: Answer, order: IntArray) -> Answer:
    """The rows of an answer in another order; its notes already know it."""
    accuracy, ray = answer.accuracy, answer.ray
    return replace(
        answer,
        solution=answer.solution.take(order),
        accuracy=None if accuracy is None else accuracy[order],
        ray=None if ray is None else ray.take(order),
    )


def _accuracies(answers: Sequence[Answer]) -> FloatArray | None:
    known = [answer.accuracy for answer in answers]
    if all(accuracy is None for accuracy in known):
        return None
    return np.concatenate(
        [np.full(len(a.solution), np.inf) if a.accuracy is None else a.accuracy for a in answers]
    )


def _rays(answers: Sequence[Answer]) -> Solution | None:
    if all(answer.ray is None for answer in answers):
        return None
    rays = (
        replace(a.solution, x=0 * a.solution.x, y=0 * a.solution.y) if a.ray is None else a.ray
        for a in answers
    )
    return reduce(Solution.join, rays)
