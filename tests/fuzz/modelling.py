"""Draws calls of CvxpyLayer."""

from functools import cache
from math import prod
from typing import Any

import numpy as np

from tests.fuzz.cases import Case
from tests.fuzz.draws import Draw
from tests.fuzz.elements import Element
from tests.fuzz.models import Model
from tests.fuzz.more_models import LARGE, SMALL
from tests.fuzz.planning import RULE_WEIGHTS, RULES, SHAPE_WEIGHTS, SHAPES, finished

UNITS = ("fair", "objective", "variables", "rows", "all", "extreme")
FAR = 1e30  # a bound beyond all that is drawn, but for extreme units
HURTS = ("none", "nan", "infeasible", "zero", "wild entry")


@cache
def model(index: int) -> Model:
    """One of the problems, made once in a process."""
    return (*SMALL, *LARGE)[index]()


def model_case(draw: Draw) -> Case:
    """A call of CvxpyLayer."""
    weights = (*(6 for _ in SMALL), *(1 for _ in LARGE))
    chosen = model(draw.pick("model", range(len(weights)), weights))
    shape = draw.pick("shape", SHAPES, SHAPE_WEIGHTS)
    elements = [_element(draw, chosen, f" {i}") for i in range(max(prod(shape), 1))]
    shared = _shared(draw, chosen, shape)
    first = elements[0]
    for i, element in enumerate(elements[1:], 1):
        if shared:
            common = {k: first.data[k] for k in shared}
            elements[i] = element.with_data(**common).known("unknown", "mixed")
    case = Case(
        "cvxpy", tuple(elements), shape, _options(draw, chosen, elements), shared,
        sizes=dict(chosen.params), model=chosen,
    )  # fmt: skip
    return finished(draw, case)


def _element(draw: Draw, chosen: Model, tag: str) -> Element:
    rng = draw.numbers("values" + tag)
    data = {k: np.asarray(v, dtype=np.float64) for k, v in chosen.draw(rng).items()}
    point = chosen.answer(data)
    element = Element(data, "solvable", point, True, True, True, origin=data)
    return _rescaled(draw, chosen, _hurt(draw, chosen, element, tag), tag)


def _hurt(draw: Draw, chosen: Model, element: Element, tag: str) -> Element:
    kind = draw.pick("hurt" + tag, HURTS, (20, 1, 1, 1, 1))
    rng = draw.numbers("hurt" + tag)
    if kind == "infeasible" and chosen.empty:
        flipped = -np.abs(element.data[chosen.empty]) - 0.1
        return element.with_data(**{chosen.empty: flipped}).known("infeasible", kind)
    if kind in ("none", "infeasible"):
        return element
    name = str(rng.choice(sorted(element.data)))
    values = np.array(element.data[name])
    fill = {"nan": np.nan, "zero": 0.0}.get(kind, float(10.0 ** rng.uniform(-320, 308)))
    values.reshape(-1)[rng.integers(values.size)] = fill
    return element.with_data(**{name: values}).known("unknown", kind)


def _rescaled(draw: Draw, chosen: Model, element: Element, tag: str) -> Element:
    kind = draw.pick("units" + tag, UNITS, (6, 2, 2, 2, 2, 1))
    if kind == "fair":
        return element
    rng = draw.numbers("units" + tag)
    size = int(rng.choice([300, 1000])) if kind == "extreme" else 40
    powers = rng.integers(-size, size + 1, 3)
    if kind in UNITS[1:4]:
        powers = powers * (np.arange(3) == UNITS[1:4].index(kind))
    fit = {
        k: np.exp2(np.longdouble(int(powers @ np.array(unit)))) for k, unit in chosen.units.items()
    }
    if abs(powers[1]) > chosen.span:
        return element.rescaled(fit, kind, fair=False).known("unknown", "lost digits", fair=False)
    return element.rescaled(fit, kind, fair=kind != "extreme")


def _shared(draw: Draw, chosen: Model, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Parameters without batch dimensions; the first always has them."""
    if prod(shape) < 2 or not draw.chance("shared", 25):
        return {}
    rng = draw.numbers("shared")
    return {k: () for k in list(chosen.params)[1:] if rng.random() < 0.6}


def _options(draw: Draw, chosen: Model, elements: list[Element]) -> dict[str, Any]:
    engines = (*chosen.engines[:1], *chosen.engines)
    rule = draw.pick("rule", RULES, RULE_WEIGHTS)
    engine = draw.pick("engine", engines)
    may_be_far = not chosen.gp and not any("extreme" in e.traits for e in elements)
    if engine == "highs" and "rho" in rule:
        rule = RULES[0]
    return {
        "rule": rule,
        "engine": engine,
        "on_failure": draw.pick("on_failure", ("nan", "raise"), (4, 1)),
        "threads": draw.pick("threads", (None, 1, 2)),
        "accept_inexact": False,
        "far": FAR if may_be_far and draw.chance("far", 10) else None,
    }
