"""Makes a case that shows a fault smaller, and writes it down."""

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from tests.fuzz import misuse
from tests.fuzz.cases import Case
from tests.fuzz.draws import Draw
from tests.fuzz.findings import Finding
from tests.fuzz.judge import DRAWN, examine

TRIES = 400  # cases that making one smaller may cost


def smaller(name: str, seed: int, kind: str) -> dict[str, int]:
    """Choices, as simple as one at a time can make them, with which the fault is still there."""
    fixed = dict[str, int]()
    tries = 0
    again = True
    while again and tries < TRIES:
        again = False
        for change in _changes(_taken(name, seed, fixed)):
            tries += 1
            ((choice, index),) = change.items()
            lower = fixed.get(choice, index + 1) > index
            if tries > TRIES or not (lower if choice != "only" else choice not in fixed):
                continue
            trial = {**fixed, **change}
            if any(f.kind == kind for f in _faults(name, seed, trial)):
                fixed, again = trial, True
    return {k: v for k, v in fixed.items() if k in _taken(name, seed, fixed)}


def _changes(taken: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """One element alone first, then the sizes: a smaller case is examined faster."""
    if not taken.get("only", 1):
        yield from ({"only": i} for i in range(1, 9))
    first = ("shape", "n", "m_in", "m_eq", "rows", "bounds")
    for choice in sorted(set(taken) - {"only"}, key=lambda k: (k not in first, k)):
        for index in range(taken[choice]) if choice in first else (0,):
            if taken[choice] > index:
                yield {choice: index}


def _taken(name: str, seed: int, fixed: Mapping[str, int]) -> dict[str, int]:
    draw = Draw(seed, fixed)
    if name == "misuse":
        misuse.examine(draw)
    else:
        DRAWN[name](draw)
    return draw.taken


def _faults(name: str, seed: int, fixed: Mapping[str, int]) -> list[Finding]:
    try:
        return examine(name, Draw(seed, fixed))[0]
    except Exception as error:  # what a smaller case does to the fuzz itself is no matter
        return [Finding(f"the fuzz itself: {error!r:.80}")]


def reproduction(name: str, seed: int, fixed: Mapping[str, int], kind: str) -> str:
    """A report of one fault: what to run again, and the call itself as Python code."""
    case = None if name == "misuse" else DRAWN[name](Draw(seed, fixed))
    details = [f.detail for f in _faults(name, seed, fixed) if f.kind == kind]
    lines = [
        f"# {kind}: {'; '.join(details[:2])[:400]}",
        "# " + command(name, seed, fixed),
    ]
    if case is not None:
        lines += list(_code(case))
    return "\n".join(lines)


def command(name: str, seed: int, choices: Mapping[str, int]) -> str:
    """The line that repeats a case."""
    listed = ",".join(f"{k}={v}" for k, v in choices.items())
    return f"python benchmarks/fuzz.py --layer {name} --replay {seed} '{listed}'"


def _code(case: Case) -> Iterator[str]:
    if case.model is not None:
        yield from _model_code(case)
        return
    options = {**case.options}
    rule = options.pop("rule")
    usual = {"engine": "auto", "threads": None, "accept_inexact": False, "on_failure": "raise"}
    given = "".join(f", {k}={v!r}" for k, v in options.items() if v != usual[k])
    given = given.replace("'lpgd", "lpgd").replace(")'", ")")
    kind = {"qp": "QPLayer", "lp": "LPLayer", "conic": "ConicLayer"}[case.layer]
    cones = "" if case.cones is None else f"lpgd.{case.cones!r}, "
    yield f"layer = {kind}({cones}{rule}{given})"
    for i, element in enumerate(case.elements[: prod(case.shape)]):
        yield f"# element {i}: {element.verdict} {' '.join(element.traits)}"
    for name, values in case.arrays().items():
        notes = [case.dtypes.get(name, "float64"), case.layouts.get(name, "contiguous")]
        notes += ["sparse"] * (name in case.patterns)
        extra = [note for note in notes if note not in ("float64", "contiguous")]
        label = "c" if case.layer == "lp" and name == "q" else name
        note = f"  # {', '.join(extra)}" if extra else ""
        wanted = ", requires_grad=True" if name in case.wanted else ""
        shape = f"  # {values.shape}" if not values.size else ""
        yield f"{label} = T({_text(values)}{wanted}){note}{shape}"
    order = ("P", "q", "A", "b") if case.layer == "conic" else tuple(case.sizes)
    given = ", ".join(
        f"{'c' if case.layer == 'lp' and k == 'q' else k}={_argument(case, k)}" for k in order
    )
    yield f"out = layer({given}, return_duals=True)"
    for name, values in case.cotangents.items():
        shaped = values.reshape(*case.shape, values.shape[-1])
        yield f"# cotangent of {name}: {_text(shaped)}"


def _model_code(case: Case) -> Iterator[str]:
    yield f"# the problem {case.model.name!r} of tests/fuzz/models.py, {dict(case.options)}"
    for i, element in enumerate(case.elements[: prod(case.shape)]):
        yield f"# element {i}: {element.verdict} {' '.join(element.traits)}"
    for name, values in case.arrays().items():
        notes = (case.dtypes.get(name, "float64"), case.layouts.get(name, "contiguous"))
        yield f"{name} = T({_text(values)})  # {values.shape} {', '.join(notes)}"
    for name, values in case.cotangents.items():
        yield f"# cotangent of {name}: {_text(values)}"


def _argument(case: Case, name: str) -> str:
    if name not in case.sizes:
        return "None"
    return "c" if case.layer == "lp" and name == "q" else name


def _text(values: np.ndarray) -> str:
    return repr(values.tolist())
