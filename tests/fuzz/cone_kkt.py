"""Whether a point is optimal for a cone program, in units of the program's own terms."""

from collections.abc import Mapping

import numpy as np

from lpgd import Cones
from lpgd.core.scaling import LOST
from lpgd.families.quadratic.specks import LARGE
from tests.fuzz.kkt import EPS, TINY, Wide

Arrays = Mapping[str, np.ndarray]
OWN = 1e-5  # of a residual to the terms that it is the sum of
FLOOR = 1e-7  # of a residual to what right-hand sides and costs suggest


def faults(cones: Cones, data: Arrays, point: Arrays, precision: float = EPS) -> list[str]:
    """What is wrong with a point (x, y, s); an empty list if it is optimal."""
    data = {k: v.astype(Wide) for k, v in data.items()}
    point = {k: v.astype(Wide) for k, v in point.items()}
    if not all(np.isfinite(v).all() for v in point.values()):
        return ["not finite"]
    tolerance = OWN + (100 * precision if precision > 1e-10 else 0.0)
    with np.errstate(all="ignore"):
        found = _slacks(data, point, tolerance)
        found += _stationary(data, point, tolerance)
        return found + _cones(cones, data, point, tolerance)


def _products(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Without entries that have lost their digits beside those of their row and column."""
    large = np.abs(matrix) > LARGE
    beside = large.any(axis=0, keepdims=True) & large.any(axis=1, keepdims=True)
    return np.where(beside & (np.abs(matrix) < LOST), 0, matrix * vector)


def _slacks(data: Arrays, point: Arrays, tolerance: float) -> list[str]:
    parts = _products(data["A"], point["x"])
    own = np.abs(data["b"]) + np.abs(parts).sum(axis=1)
    gap = np.abs(data["b"] - parts.sum(axis=1) - point["s"])
    return ["s is not b - Ax"] if (gap > tolerance * own + TINY).any() else []


def _terms(data: Arrays, point: Arrays) -> np.ndarray:
    terms = [data["q"][None], _products(data["A"].T, point["y"]).T]
    if "P" in data:
        P = 0.5 * (data["P"] + data["P"].T)
        terms.append(_products(P, point["x"]).T)
    return np.concatenate(terms)


def _stationary(data: Arrays, point: Arrays, tolerance: float) -> list[str]:
    terms = _terms(data, point)
    own = np.abs(terms).sum(axis=0)
    total = np.abs(terms.sum(axis=0))
    floor = FLOOR * _cost(data)
    if (total > tolerance * own + 0.1 * tolerance * own.max() + floor).any():
        return [f"not stationary by {float((total / np.where(own > 0, own, 1)).max()):.1e}"]
    return []


def _reach(data: Arrays) -> np.ndarray:
    lengths = np.sqrt((data["A"] ** 2).sum(axis=1))
    fit = lengths > 0
    sizes = (np.abs(data["b"])[fit] / lengths[fit]).max(initial=0.0)
    if "P" in data and data["P"].any():
        sizes = max(sizes, np.abs(data["q"]).max() / np.abs(data["P"]).max())
    return sizes or Wide(1e-3)


def _cost(data: Arrays) -> np.ndarray:
    curved = np.abs(data["P"]).max() * _reach(data) if "P" in data else Wide(0)
    return max(np.abs(data["q"]).max(), curved) or Wide(1e-4)


def _cones(cones: Cones, data: Arrays, point: Arrays, tolerance: float) -> list[str]:
    """Slacks in their cones, multipliers in the dual ones, and products that vanish."""
    found = list[str]()
    powers = iter(cones.power)
    reach, cost = _reach(data), _cost(data)
    terms = np.abs(_terms(data, point))
    push = max(tolerance * terms.max(), FLOOR * cost)
    work = terms.sum(axis=0) @ np.abs(point["x"]) + np.abs(data["b"]) @ np.abs(point["y"])
    gap = max(10 * tolerance * work, FLOOR * cost * reach)
    for kind, first, stop in cones.blocks():
        alpha = next(powers) if kind == "power" else 0.5
        step = 1 if kind in ("zero", "nonneg") else stop - first
        for at in range(first, stop, max(step, 1)):
            here = slice(at, at + step)
            s, y = point["s"][here], point["y"][here]
            size = _size(data, point["x"], here, tolerance, reach)
            if (distance(kind, s, alpha) > size).any():
                found.append(
                    f"s outside its {kind} cone by {_share(distance(kind, s, alpha), size)}"
                )
            length = np.sqrt((data["A"][here] ** 2).sum(axis=1)).max()
            weight = distance(kind, y, alpha, dual=True) * length
            if (weight > push).any():
                found.append(f"y outside its dual {kind} cone by {_share(weight, push)}")
            light = np.abs(y).max() * length <= push
            near = np.abs(s).max() <= size
            if kind != "zero" and np.abs(s @ y) > gap and not light and not near:
                found.append(f"{kind} s'y is not zero by {_share(np.abs(s @ y), gap)}")
    return found


def _share(value: np.ndarray, allowed: np.ndarray) -> str:
    return f"{float(np.max(value) / allowed):.1e} times what is allowed"


def _size(
    data: Arrays, x: np.ndarray, here: slice, tolerance: float, reach: np.ndarray
) -> np.ndarray:
    """Distance of slacks from their cone that counts as none."""
    A = data["A"][here]
    own = (np.abs(_products(A, x)).sum(axis=1) + np.abs(data["b"][here])).max()
    length = np.sqrt((A**2).sum(axis=1)).max()
    spare = length * (0.1 * tolerance * np.abs(x).max() + FLOOR * reach)
    return tolerance * own + spare + TINY


def distance(kind: str, v: np.ndarray, alpha: float, *, dual: bool = False) -> np.ndarray:
    """How far v is from the cone, or from its dual one, at most."""
    if kind == "zero":
        return np.zeros(1) if dual else np.abs(v)
    if kind == "nonneg":
        return np.maximum(-v, 0)
    if kind == "soc":
        return np.atleast_1d(max(np.sqrt((v[1:] ** 2).sum()) - v[0], Wide(0)))
    if kind == "psd":
        size = np.abs(v).max() or Wide(1)
        least = np.linalg.eigvalsh(_matrix((v / size).astype(np.float64)))[0]
        return np.atleast_1d(max(-least, 0.0) * size)
    three = _exponential if kind == "exp" else _power
    return np.atleast_1d(three(v, alpha, dual=dual))


def _matrix(v: np.ndarray) -> np.ndarray:
    k = int((np.sqrt(8 * len(v) + 1) - 1) / 2)
    M, at = np.zeros((k, k)), 0
    for j in range(k):
        for i in range(j + 1):
            M[i, j] = M[j, i] = v[at] / (1.0 if i == j else np.sqrt(2.0))
            at += 1
    return M


def _exponential(v: np.ndarray, _: float, *, dual: bool) -> np.ndarray:
    """The least of some single moves into the cone."""
    a, b, c = v
    if dual:  # -a exp(b / a - 1) <= c, a < 0: that is (a - b, -a, c) in the cone
        a, b = a - b, -a
    face = max(np.abs(b), a, -c, Wide(0))
    if b <= 0:
        return face
    ratio = a / b
    up = max(b * np.exp(ratio) - c, Wide(0)) if ratio < 11000 else Wide(np.inf)
    left = max(a - b * np.log(c / b), Wide(0)) if c > 0 else Wide(np.inf)
    return min(face, up, left)


def _power(v: np.ndarray, alpha: float, *, dual: bool) -> np.ndarray:
    a, b, c = v
    if dual:
        a, b = a / alpha, b / (1 - alpha)
    low = max(-a, -b, Wide(0))
    a, b, c = max(a, Wide(0)), max(b, Wide(0)), np.abs(c)
    moves = [max(c - a**alpha * b ** (1 - alpha), Wide(0))]
    if b > 0:
        moves.append(max((c / b ** (1 - alpha)) ** (1 / alpha) - a, Wide(0)))
    if a > 0:
        moves.append(max((c / a**alpha) ** (1 / (1 - alpha)) - b, Wide(0)))
    return max(low, min(moves))
