"""Programs without a solution, with values that no solver should see, or with wild ones."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from lpgd import Cones
from tests.fuzz.draws import Draw
from tests.fuzz.elements import Element

HURTS = (
    "none", "infeasible", "unbounded", "nan", "inf", "crossed", "asymmetric", "indefinite",
    "rounding asymmetry", "wild", "wild entry", "eight digits",
)  # fmt: skip
WEIGHTS = (30, 4, 3, 1, 2, 1, 1, 1, 1, 2, 2, 1)
OPEN = {"h": np.inf, "ub": np.inf, "lb": -np.inf}


def hurt(
    draw: Draw, element: Element, tag: str, free: frozenset[str], cones: Cones | None = None
) -> Element:
    """The element, perhaps spoiled in the arguments that it does not share."""
    kind = draw.pick("hurt" + tag, HURTS, WEIGHTS)
    if kind == "none":
        return element
    ways: dict[str, Callable[..., Element | None]] = {
        "infeasible": _infeasible, "unbounded": _unbounded, "crossed": _crossed,
        "asymmetric": _asymmetric, "indefinite": _indefinite,
        "rounding asymmetry": _rounding, "eight digits": _digits,
    }  # fmt: skip
    if cones is not None:
        ways["infeasible"] = partial(_empty_cone, cones)
    rng = draw.numbers("hurt" + tag)
    if kind in ways:
        found = ways[kind](element, rng, free)
        if found is not None and (
            (kind == "infeasible" and _wide(found)) or (kind == "unbounded" and _dear(found))
        ):
            found = found.known("unknown")
        return element if found is None else replace(found, traits=(*found.traits, kind))
    return _spoiled(element, rng, free, kind)


def _wide(element: Element) -> bool:
    """Whether an x at some constraint may be so long that rounding hides a contradiction."""
    sides = [element.data[k] for k in ("lb", "ub", "h", "b") if k in element.data]
    return any((np.abs(side[np.isfinite(side)]) > 1e10).any() for side in sides)


def _dear(element: Element) -> bool:
    """Whether what one variable earns is rounding beside what another costs."""
    return bool((np.abs(element.data["q"]) > 1e14).any())


def judged(element: Element) -> Element:
    """The element, invalid if its values are."""
    for name, values in element.data.items():
        legal = np.isfinite(values) | (values == OPEN.get(name, 0.0))
        if not legal.all():
            return element.known("invalid", f"bad {name}")
    crossed = "lb" in element.data and "ub" in element.data
    if crossed and (element.data["lb"] > element.data["ub"]).any():
        return element.known("invalid", "crossed")
    return element


def _spoiled(
    element: Element, rng: np.random.Generator, free: frozenset[str], kind: str
) -> Element:
    """One entry, or a third of them, replaced."""
    names = sorted(free & set(element.data))
    if not names:
        return element
    name = str(rng.choice(names))
    values = element.data[name].copy()
    if not values.size:
        return element
    places = rng.random(values.size) < 0.3 if kind == "wild" else np.zeros(values.size, dtype=bool)
    places[rng.integers(values.size)] = True
    many = int(places.sum())
    signs = rng.choice([-1.0, 1.0], many)
    with np.errstate(all="ignore"):
        fill = {"nan": np.full(many, np.nan), "inf": np.inf * signs}.get(
            kind, signs * 10.0 ** rng.uniform(-323, 308, many)
        )
    values.reshape(-1)[places] = fill
    if name == "P" and kind.startswith("wild"):
        values = np.where(np.tri(len(values), dtype=bool), values, values.T)
    return element.with_data(**{name: values}).known("unknown", kind)


def _infeasible(element: Element, rng: np.random.Generator, free: frozenset[str]) -> Element | None:
    """Rows that contradict each other, or a row and the bounds."""
    data, gap = element.data, float(rng.choice([1.0, 1e-1, 1e-3]))
    ways: list[dict[str, np.ndarray]] = []
    for M, side in (("G", "h"), ("A", "b")):
        if M not in data or side not in free:
            continue
        rows, sides = data[M].copy(), data[side].copy()
        if M in free and len(rows) > 1 and np.abs(rows[0]).max() > 1e-2:
            rows[1] = -rows[0]
            sides[1] = -sides[0] - gap * (1 + abs(sides[0]))
            ways.append({M: rows, side: sides})
        if M in free:
            rows = data[M].copy()
            rows[-1], empty = 0.0, data[side].copy()
            empty[-1] = -gap
            ways.append({M: rows, side: empty})
        ways += _outside(data, M, side, gap)
    if not ways:
        return None
    return element.with_data(**ways[rng.integers(len(ways))]).known("infeasible")


def _outside(
    data: Mapping[str, np.ndarray], M: str, side: str, gap: float
) -> list[dict[str, np.ndarray]]:
    """A first row that no point within the bounds fulfils."""
    if "lb" not in data or "ub" not in data:
        return []
    row = data[M][0]
    with np.errstate(invalid="ignore"):
        ends = np.where(row, np.minimum(row * data["lb"], row * data["ub"]), 0.0)
    least = ends.sum()
    if not np.isfinite(least) or np.abs(ends).max() > 1e2:
        return []
    sides = data[side].copy()
    sides[0] = least - gap * (1 + abs(least))
    return [{side: sides}]


def _empty_cone(
    cones: Cones, element: Element, rng: np.random.Generator, free: frozenset[str]
) -> Element | None:
    """One cone whose slacks no x moves, and which they are not in."""
    if not {"A", "b"} <= free:
        return None
    A, b = element.data["A"].copy(), element.data["b"].copy()
    blocks = [block for block in cones.blocks() if block[2] > block[1]]
    kind, first, stop = blocks[rng.integers(len(blocks))]
    if kind in ("zero", "nonneg"):
        stop = first + 1
    k = stop - first
    A[first:stop] = 0.0
    beyond = np.zeros(k)
    beyond[0] = -float(rng.choice([1.0, 0.1]))
    b[first:stop] = {"exp": [0.0, 1.0, 0.5], "power": [1.0, 1.0, 2.0]}.get(kind, beyond)
    return element.with_data(A=A, b=b).known("infeasible")


def _unbounded(element: Element, rng: np.random.Generator, free: frozenset[str]) -> Element | None:
    """One variable earns for ever and meets no constraint; the rest is feasible as it was."""
    data = {k: v.copy() for k, v in element.data.items()}
    if not (set(data) <= free and (element.point or element.verdict == "solvable")):
        return None
    j = int(rng.integers(len(data["q"])))
    for name in ("P", "A"):
        if name in data:
            data[name][:, j] = 0.0
    if "P" in data:
        data["P"][j] = 0.0
    if "G" in data:
        data["G"][:, j] = -np.abs(data["G"][:, j]) * (rng.random() < 0.5)
    data["q"][j] = -rng.uniform(0.5, 1.5)
    if "ub" in data:
        data["ub"][j] = np.inf
    x = np.zeros(len(data["q"])) if element.point is None else element.point["x"]
    if element.point is not None and "s" in element.point:  # x is feasible still
        data["b"] = data["A"] @ x + element.point["s"]
        return element.with_data(**data).known("unbounded")
    for M, side in (("A", "b"), ("G", "h")):
        if M in data:
            at = data[M] @ x
            data[side] = at if M == "A" else np.maximum(data[side], at + 0.5)
    return element.with_data(**data).known("unbounded")


def _crossed(element: Element, rng: np.random.Generator, free: frozenset[str]) -> Element | None:
    if not {"lb", "ub"} <= free & set(element.data):
        return None
    lb, ub = element.data["lb"].copy(), element.data["ub"].copy()
    j = rng.integers(len(lb))
    lb[j], ub[j] = 1.0, 1.0 - float(rng.choice([1.0, 1e-3, 1e-6]))
    return element.with_data(lb=lb, ub=ub).known("invalid")


def _asymmetric(element: Element, rng: np.random.Generator, free: frozenset[str]) -> Element | None:
    P = element.data.get("P")
    if P is None or len(P) < 2 or "P" not in free:
        return None
    P = P.copy()
    P[0, 1] += float(rng.choice([0.1, 1.0, -1.0])) * (1 + np.abs(P).max())
    return element.with_data(P=P).known("invalid")


def _indefinite(element: Element, rng: np.random.Generator, free: frozenset[str]) -> Element | None:
    if "P" not in element.data or "P" not in free:
        return None
    P = element.data["P"].copy()
    least, vectors = np.linalg.eigh(P)
    drop = least[0] + float(rng.choice([1.0, 0.1])) * (1 + least[-1])
    P -= drop * np.outer(vectors[:, 0], vectors[:, 0])
    return element.with_data(P=0.5 * (P + P.T)).known("invalid")


def _rounding(element: Element, rng: np.random.Generator, free: frozenset[str]) -> Element | None:
    """P as a product of matrices leaves it: symmetric up to the last bits."""
    P = element.data.get("P")
    if P is None or "P" not in free or not element.strict:
        return None
    return element.with_data(P=P * (1 + 2e-16 * rng.normal(size=P.shape)))


def _digits(element: Element, rng: np.random.Generator, free: frozenset[str]) -> Element | None:
    """Right-hand sides as printed: dependent rows then contradict each other a little."""
    sides = {k: v for k, v in element.data.items() if k in ("b", "h", "lb", "ub") and k in free}
    if not sides:
        return None
    printed = {k: np.array([float(f"{v:.8g}") for v in side]) for k, side in sides.items()}
    return element.with_data(**printed).known("unknown")
