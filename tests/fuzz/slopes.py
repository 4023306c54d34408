"""Derivatives of planted cone programs by differences of the layer's own, checked, answers."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tests.fuzz import checks
from tests.fuzz.cases import Case
from tests.fuzz.elements import Element
from tests.fuzz.findings import Finding

STEP = 2e-5  # of data of size one
AGREE = 3e-4  # of slopes to the left and to the right, and at half the step
OFF = 2e-3
ENDS = (0.0, 1.0, -1.0, 0.5, -0.5)


def compared(case: Case, i: int, rng: np.random.Generator) -> list[Finding]:
    """The gradient of one smooth element along a direction in all its data.

    Nothing is said where the slopes do not agree, or where a step changes more than the last digits
    of data in odd units.
    """
    element = case.elements[i]
    if element.origin is None or set(case.shared) or case.patterns.get("P") is not None:
        return []
    names = checks.comparable(case, element) & case.wanted
    pull = {k: v[i] for k, v in case.cotangents.items()}
    size = max((float(np.abs(v).max(initial=0.0)) for v in pull.values()), default=0.0)
    if not names or not 1e-100 < size < 1e100:
        return []
    ways = {k: _way(rng, k, element.origin[k]) for k in sorted(names)}
    ends = tuple(_moved(element, ways, STEP * t) for t in ENDS)
    probe = replace(
        case.of([i] * len(ENDS), on_failure="nan"), elements=ends,
        cotangents={k: np.array([v] * len(ENDS)) for k, v in pull.items()},
    )  # fmt: skip
    outcome = probe.run()
    if not outcome.gradients or not all(checks.solved(probe, outcome)):
        return []
    values = [_loss(outcome.outputs, pull, size, k) for k in range(len(ENDS))]
    slope = _slope(values, size)
    if slope is None:
        return []
    found = _along(case, element, outcome.gradients, ways, size)
    scale = _sum_of_sizes(case, element, outcome.gradients, ways, size)
    allowed = OFF * max(abs(slope), 0.1 * scale, 1e-3 * _units(element, pull, size))
    if not abs(found - slope) <= allowed + _rounding(outcome.outputs, pull, size):
        text = f"{found:.6e} and not {slope:.6e} {element.traits} {case.options}"
        return [Finding("gradient is not the slope", text)]
    return []


def _way(rng: np.random.Generator, name: str, values: np.ndarray) -> np.ndarray:
    way = rng.normal(size=values.shape) * (values != 0)
    return 0.5 * (way + way.T) if name == "P" else way


def _moved(element: Element, ways: Mapping[str, np.ndarray], step: float) -> Element:
    data = dict(element.data)
    for name, way in ways.items():
        at = element.origin[name] + step * way
        data[name] = (at * element.fit.get(name, 1.0)).astype(np.float64)
    return replace(element, data=data)


def _loss(outputs: Mapping[str, np.ndarray], pull, size: float, k: int) -> np.longdouble:
    with np.errstate(all="ignore"):
        parts = [
            (outputs[name][k].astype(np.longdouble) * (v / size)).sum() for name, v in pull.items()
        ]
    return sum(parts, np.longdouble(0))


def _rounding(outputs: Mapping[str, np.ndarray], pull, size: float) -> float:
    """What rounding of outputs, slacks of 1e20 say, may make of a difference."""
    most = max(np.abs(outputs[name] * (v / size)).max(initial=0.0) for name, v in pull.items())
    return float(np.finfo(np.float64).eps * most / STEP)


def _slope(values: list[np.longdouble], size: float) -> float | None:
    """The derivative, where all differences say the same."""
    at, right, left, near, other = values
    sides = [(right - at) / STEP, (at - left) / STEP, (near - other) / STEP]
    middle = (right - left) / (2 * STEP)
    scale = max(abs(middle), 1e-300)
    return float(middle) if all(abs(s - middle) <= AGREE * scale for s in sides) else None


def _along(case: Case, element: Element, gradients, ways, size: float) -> float:
    total = np.longdouble(0)
    for name, way in ways.items():
        total += _parts(case, element, gradients, name, way, size).sum()
    return float(total)


def _sum_of_sizes(case: Case, element: Element, gradients, ways, size: float) -> float:
    parts = [_parts(case, element, gradients, k, way, size) for k, way in ways.items()]
    return float(max(np.abs(part).sum() for part in parts))


def _parts(case: Case, element: Element, gradients, name, way, size: float) -> np.ndarray:
    gradient = gradients[name][0].astype(np.longdouble) / size
    fit = element.fit.get(name, 1.0) * np.ones(way.shape)
    if name in case.patterns:
        places = case.patterns[name].tocoo()
        way, fit = way[places.row, places.col], fit[places.row, places.col]
    return gradient * fit * way


def _units(element: Element, pull, size: float) -> float:
    """Size of the cotangents in fair units."""
    return float(max(np.abs(v / size * element.fit.get(k, 1.0)).max() for k, v in pull.items()))
