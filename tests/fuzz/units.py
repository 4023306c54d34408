"""Programs in other units: the objective, the variables and the rows times powers of two."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tests.fuzz.draws import Draw
from tests.fuzz.elements import Element

UNITS = (
    "fair", "variables", "homogeneous", "costs", "rows", "each row", "columns", "everything",
    "extreme",
)  # fmt: skip
WEIGHTS = (10, 2, 3, 2, 2, 2, 2, 2, 1)
SIDES = {"G": "h", "A": "b"}
DUALS = {"G": "z", "A": "y"}


def rescaled(draw: Draw, element: Element, tag: str, blocks: Mapping[str, list[slice]]) -> Element:
    """The element in units that are drawn.

    Parameters
    ----------
    blocks : mapping from matrix to slices
        Rows that one factor serves, as those of a second-order cone.
    """
    kind = draw.pick("units" + tag, UNITS, WEIGHTS)
    if kind == "fair":
        return element
    rng = draw.numbers("units" + tag)
    n = len(element.data["q"])
    size = {"extreme": 900 if rng.random() < 0.3 else 300}.get(kind, 40)
    powers = rng.integers(-size // 2, size // 2 + 1, 3)
    if kind not in ("everything", "extreme"):
        powers = np.zeros(3, dtype=int)
    columns = np.zeros(n, dtype=int)
    one = int(rng.integers(-size, size + 1))
    if kind == "variables":  # the objective keeps its size
        powers[1] = one
    elif kind == "homogeneous":  # matrices keep theirs
        powers[:] = one * (2 if "P" in element.data else 1), one, one
    elif kind == "costs":
        powers[0] = one
    elif kind == "rows":
        powers[2] = one
    elif kind in ("columns", "everything"):
        columns = rng.integers(-10, 11, n)
    each = 20 if kind in ("each row", "everything") else 0
    fit = _fit(element, blocks, powers, columns, lambda k: rng.integers(-each, each + 1, k))
    fair = kind not in ("columns", "everything", "extreme")
    return element.rescaled(fit, kind, fair=fair)


def _fit(element: Element, blocks, powers, columns, spread) -> dict[str, np.ndarray]:
    """Factors of data and outputs; the fair program times these is the new one."""
    p, d = float(powers[0]), powers[1] + columns.astype(np.float64)
    exponents = {"q": p - d, "x": d, "P": p - d[:, None] - d, "lb": d, "ub": d, "z_box": p - d}
    for name, slices in blocks.items():
        if name not in element.data:
            continue
        rows = np.zeros(len(element.data[name]))
        for part, power in zip(slices, spread(len(slices)), strict=True):
            rows[part] = float(powers[2]) + power
        exponents |= {name: rows[:, None] - d, SIDES.get(name, "b"): rows}
        if "conic" in blocks:
            exponents |= {"y": p - rows, "s": rows}
        else:
            exponents[DUALS[name]] = p - rows
    with np.errstate(all="ignore"):
        return {k: np.exp2(v.astype(np.longdouble)) for k, v in exponents.items()}


def whole(element: Element, powers: tuple[int, int, int], blocks) -> Element:
    """The element with objective, variables and rows times powers of two, on top of its units."""
    zero = np.zeros(len(element.data["q"]), dtype=int)
    fit = _fit(element, blocks, np.array(powers), zero, lambda k: np.zeros(k, dtype=int))
    with np.errstate(all="ignore"):
        data = {
            k: (v * fit[k]).astype(np.float64) if k in fit else v for k, v in element.data.items()
        }
    return replace(element, data=data)
