"""An element alone, in company, in another order, elsewhere in memory: bit for bit the same."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
import torch

import lpgd
from tests.fuzz import checks, kkt
from tests.fuzz.calls import Outcome
from tests.fuzz.cases import Case
from tests.fuzz.draws import Draw
from tests.fuzz.elements import Element
from tests.fuzz.findings import Finding
from tests.fuzz.layouts import LAYOUTS

ZERO = 1e-18  # what a number that is zero in exact arithmetic may be

WILD = 1e100  # data beside which others are nothing
ALONE = 3  # elements of a case that are also called alone


def compared(draw: Draw, case: Case, outcome: Outcome) -> tuple[list[Finding], int]:
    """Differences between calls that should agree, and how many calls were made."""
    count = prod(case.shape)
    if outcome.error is not None and case.options["on_failure"] == "nan":
        return [], 0
    own = case.of(range(count))
    rng = draw.numbers("company")
    plain = own.run()
    found, calls = shared(case, outcome, plain), 1
    if not count:
        return found, calls
    for i in rng.permutation(count)[:ALONE].tolist():
        more, made = alone(own, plain, i)
        found, calls = found + more, calls + made
    if count > 1 and plain.outputs:
        order = rng.permutation(count).tolist()
        found += same(own, plain, own.of(order).run(), order, "in another order")
        calls += 1
    name = str(rng.choice(sorted(LAYOUTS)))
    moved = replace(own, layouts=dict.fromkeys((*own.sizes, *own.names), name))
    found += same(own, plain, moved.run(), list(range(count)), f"in memory {name}")
    threads = int(rng.integers(1, 3))
    again = own.of(range(count), threads=threads).run()
    found += same(own, plain, again, list(range(count)), f"with threads={threads}")
    return found, calls + 2


def same(case: Case, outcome: Outcome, other: Outcome, order: list[int], how: str) -> list[Finding]:
    """Where the rows of another call differ from those of the first in that order."""
    found = list[Finding]()
    for stage in ("error", "late"):
        one, two = getattr(outcome, stage), getattr(other, stage)
        if type(one) is not type(two):
            found.append(Finding(f"another error {how}", f"{one!r:.200} and {two!r:.200}"))
    for what in ("outputs", "gradients"):
        ours, theirs = getattr(outcome, what), getattr(other, what)
        for name in set(ours) & set(theirs):
            one = case.flat(ours[name], name)[order]
            two = theirs[name].reshape(one.shape)
            if not np.array_equal(one, two, equal_nan=True):
                place = f"{_difference(one, two):.1e} in {name}"
                found.append(Finding(f"{what} differ {how}", place))
    return found


def _difference(one: np.ndarray, two: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        gap = np.abs(one - two)
        return float(np.nanmax(gap, initial=0.0) / max(np.nanmax(np.abs(one), initial=0.0), 1e-300))


def alone(case: Case, outcome: Outcome, i: int) -> tuple[list[Finding], int]:
    """One element alone, and what it is said to be if it fails."""
    element = case.elements[i]
    single = case.of([i])
    if outcome.outputs:
        one = single.run()
        found = _named(case, outcome.late, one.late, i)
        rows = replace(_row(case, outcome, i), late=one.late)
        found += same(single, one, rows, [0], "in company")
        if checks.solved(single, one)[0]:
            return found, 1
    else:
        found = list[Finding]()
    strict = case.of([i], on_failure="raise").run()
    return found + _refused(case, element, strict) + _named(case, outcome.error, strict.error, i), 2


def _row(case: Case, outcome: Outcome, i: int) -> Outcome:
    rows = {k: case.flat(v, k)[i : i + 1] for k, v in outcome.outputs.items()}
    pulled = {k: case.flat(v, k)[i : i + 1] for k, v in outcome.gradients.items()}
    return Outcome(rows, pulled, outcome.error, outcome.late)


def _refused(case: Case, element: Element, strict: Outcome) -> list[Finding]:
    if not isinstance(strict.error, lpgd.SolverError):
        return []
    limited = "scs" in str(case.options["engine"]).lower()
    return checks.verdict(element, strict.error.statuses[0], limited=limited)


def _named(case: Case, batch: Exception | None, single: Exception | None, i: int) -> list[Finding]:
    """Whether an exception for a batch names the elements that fail alone."""
    if case.options["on_failure"] == "nan":
        return []
    named = isinstance(batch, lpgd.SolverError) and i in batch.indices
    if isinstance(single, lpgd.SolverError) != named:
        return [Finding("exception names other elements", f"{i}: {batch!r:.200}, {single!r:.200}")]
    return []


def shared(case: Case, outcome: Outcome, plain: Outcome) -> list[Finding]:
    """The call as it was against that with data of each element's own, plainly stored."""
    order = list(range(prod(case.shape)))
    kept = {k: v for k, v in outcome.gradients.items() if k not in case.shared}
    found = same(case, replace(outcome, gradients=kept), plain, order, "where data are shared")
    largest = max((np.abs(v).max(initial=0.0) for v in case.cotangents.values()), default=0.0)
    fixed = "tau=" in case.options["rule"]
    coarse = fixed and (any(e.fit for e in case.elements) or not 1e-100 < largest < 1e100)
    if coarse or not 1e-200 < largest < 1e200:  # a tilt that rounding drowns
        return found
    tops = (
        np.abs(v[np.isfinite(v)]).max(initial=0.0) for e in case.elements for v in e.data.values()
    )
    if max(tops, default=0.0) > WILD:  # the rounding of one element is larger than all others
        return found
    for name in set(case.shared) & set(outcome.gradients) & set(plain.gradients):
        each = plain.gradients[name].astype(np.longdouble)
        total, size = each.sum(axis=0), np.abs(each).sum(axis=0).max(initial=0.0)
        if not total.size or not np.isfinite(size) or size > 1e300:
            continue
        given = outcome.gradients[name].astype(np.longdouble)
        ours = given.reshape(-1, *total.shape).sum(axis=0)
        error = np.abs(ours - total).max(initial=0.0)
        rounding = 1e3 * torch.finfo(getattr(torch, case.dtypes[name])).eps
        if not error <= max(rounding, 1e-7) * size + 1e-7 * _unit(case, plain, name):
            found.append(
                Finding("shared gradient is not the sum", f"{name}: {error:.1e} of {size:.1e}")
            )
    return found


def _unit(case: Case, plain: Outcome, name: str) -> np.longdouble:
    """What a gradient is large beside: the loss over the size of the argument.

    A gradient that is zero in exact arithmetic is the rounding of terms of that size, as x is where
    it is zero; its size is then the one that the data suggest. An argument of zeros, other than P,
    has no size; it goes by its gradient alone.
    """
    elements = case.elements[: prod(case.shape)]
    tops = {k: _tops(case, plain, k) for k in {*case.cotangents, case.names[0]}}
    loss = max(
        (
            (np.abs(v.astype(np.longdouble)).reshape(len(elements), -1) * tops[k][:, None]).sum()
            for k, v in case.cotangents.items()
        ),
        default=np.longdouble(0),
    )
    size = _largest(elements, name)
    if size == 0 and name == "P":  # curvature counts where Px is as large as q
        reach = tops[case.names[0]].max(initial=0.0)
        size = _largest(elements, "q") / reach if reach > 0 else np.longdouble(0)
    # an entry in small units has a large gradient
    fits = [e.fit[name] for e in elements if name in e.fit and np.size(e.fit[name])]
    spread = max((np.max(fit) / np.min(fit) for fit in fits), default=1.0)
    return spread * loss / size if size > 0 else np.longdouble(0)


def _tops(case: Case, plain: Outcome, name: str) -> np.ndarray:
    """The largest entry of an output of each element; of zero, what rounding may make of it."""
    values = np.nan_to_num(plain.outputs[name].astype(np.longdouble))
    values = values.reshape(prod(case.shape), -1)
    tops = np.maximum(np.abs(values).max(axis=1, initial=0.0), ZERO)
    if name != "x" or case.model is not None or case.cones is not None:
        return tops
    with np.errstate(all="ignore"):
        lengths = [kkt.length(e.data, x) for e, x in zip(case.elements, values, strict=False)]
    return np.maximum(tops, np.where(np.isfinite(lengths), lengths, 0.0))


def _largest(elements: Sequence[Element], name: str) -> np.longdouble:
    values = [e.data[name][np.isfinite(e.data[name])] for e in elements]
    return max(
        (np.longdouble(np.abs(v).max(initial=0.0)) for v in values), default=np.longdouble(0)
    )
