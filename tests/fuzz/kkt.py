"""Whether a point is optimal for a QP or LP, in units of the program's own terms.

In extended precision and range, so that the check has no overflow and no rounding of its own.
"""

from collections.abc import Mapping

import numpy as np

Wide = np.longdouble
Arrays = Mapping[str, np.ndarray]
OWN = 1e-6  # of a residual to the terms that it is the sum of
ALL = 1e-8  # of a residual to the largest that its terms could be
TINY = 1e-300  # of no account in any units
EPS = float(np.finfo(np.float64).eps)
ROUNDING = 1e3 * EPS  # of the lengths that x is computed from, where x is next to nothing of them


def faults(data: Arrays, point: Arrays, precision: float = EPS) -> list[str]:
    """What is wrong with a point; an empty list if it is optimal.

    Parameters
    ----------
    data : mapping
        One program.
    point : mapping
        ``x``, ``y``, ``z``, ``z_box`` as a layer returns them.
    precision : float
        Machine epsilon to which the point has been rounded.
    """
    data = {k: v.astype(Wide) for k, v in data.items()}
    point = {k: v.astype(Wide) for k, v in point.items()}
    if not all(np.isfinite(v).all() for v in point.values()):
        return ["not finite"]
    loose = 100 * precision if precision > 1e-10 else 0.0
    with np.errstate(all="ignore"):
        found = _feasible(data, point, loose)
        found += _stationary(data, point, loose)
        return found + _complementary(data, point, loose)


def outside(data: Arrays, point: Arrays) -> bool:
    """Whether x breaks a bound by whatever little."""
    below = "lb" in data and (point["x"] < data["lb"]).any()
    return bool(below or ("ub" in data and (point["x"] > data["ub"]).any()))


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt((vectors * vectors).sum(axis=-1))


def _allowed(
    data: Arrays, x: np.ndarray, rows: np.ndarray, sides: np.ndarray, loose: float
) -> np.ndarray:
    """Residual of each row that counts as none."""
    own = np.abs(sides) + np.abs(rows * x).sum(axis=1)
    lengths = _length(rows)
    floor = ROUNDING * _reach(data) * lengths + TINY
    return (OWN + loose) * own + (ALL + loose) * lengths * _near(data, x) + floor


def _distances(data: Arrays) -> np.ndarray:
    """How far from zero right-hand sides and bounds are, those that are finite and not nothing."""
    sizes = [np.zeros(0, Wide)]
    for M, side in (("G", "h"), ("A", "b")):
        if M in data:
            sizes.append(np.abs(data[side]) / _length(data[M]))
    sizes += [np.abs(data[name]) for name in ("lb", "ub") if name in data]
    every = np.concatenate(sizes)
    return every[np.isfinite(every) & (every > TINY)]


def _reach(data: Arrays) -> np.ndarray:
    """Length of x that right-hand sides, bounds and costs suggest at most."""
    sizes = [_distances(data).max(initial=Wide(0))]
    if "P" in data and data["P"].any():
        sizes.append(_length(data["q"]) / np.abs(data["P"]).max())
    return max(sizes) or Wide(1e4)  # without any length at all, rounding of ones is none


def length(data: Arrays, x: np.ndarray) -> np.ndarray:
    """Length of x, or if that is more, the one that the nearest constraint or the costs suggest."""
    data = {k: v.astype(Wide) for k, v in data.items()}
    if len(_distances(data)):
        return _near(data, x.astype(Wide))
    return max(_length(x.astype(Wide)), _reach(data))


def _near(data: Arrays, x: np.ndarray) -> np.ndarray:
    """Length of x, or the distance to the nearest constraint: an x next to zero is zero by that."""
    distances = _distances(data)
    return max(_length(x), distances.min()) if len(distances) else _length(x)


def _feasible(data: Arrays, point: Arrays, loose: float) -> list[str]:
    x, found = point["x"], list[str]()
    for M, side in (("G", "h"), ("A", "b")):
        if M not in data:
            continue
        fit = np.isfinite(data[side])
        rows, sides = data[M][fit], data[side][fit]
        excess = rows @ x - sides
        excess = np.abs(excess) if M == "A" else excess
        bad = excess > _allowed(data, x, rows, sides, loose)
        if bad.any():
            found.append(f"{M} violated by {_worst(excess, rows, sides, x):.1e}")
    reach = ROUNDING * _reach(data) + TINY
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        if name in data:
            fit = np.isfinite(data[name])
            excess, sides = sign * (x - data[name])[fit], data[name][fit]
            own = np.abs(sides) + np.abs(x[fit])
            if (excess > (OWN + loose) * own + ALL * _near(data, x) + reach).any():
                found.append(f"{name} violated by {float((excess / own).max()):.1e}")
    return found


def _worst(excess: np.ndarray, rows: np.ndarray, sides: np.ndarray, x: np.ndarray) -> float:
    own = np.abs(sides) + np.abs(rows * x).sum(axis=1)
    return float((excess / np.where(own > 0, own, 1)).max())


def _terms(data: Arrays, point: Arrays) -> list[np.ndarray]:
    """Terms of the gradient of the Lagrangian in x, each (k, n), to be summed."""
    terms = [data["q"][None], point["z_box"][None]]
    for M, at in (("P", "x"), ("A", "y"), ("G", "z")):
        if M in data:
            M_ = 0.5 * (data[M] + data[M].T) if M == "P" else data[M]
            terms.append(np.where(M_ == 0, 0, M_ * point[at][:, None]))
    return terms


def forces(data: Arrays, point: Arrays) -> np.ndarray:
    """Sum of the sizes of those terms, for each variable."""
    return sum((np.abs(t).sum(axis=0) for t in _terms(data, point)), Wide(0))


def _cost(data: Arrays) -> np.ndarray:
    """Size of the costs and of what curvature makes of a typical x."""
    curved = np.abs(data["P"]).max() * _reach(data) if "P" in data else Wide(0)
    return max(np.abs(data["q"]).max(), curved) or Wide(1e2)


def _stationary(data: Arrays, point: Arrays, loose: float) -> list[str]:
    total = sum((t.sum(axis=0) for t in _terms(data, point)), Wide(0))
    own = forces(data, point)
    allowed = (OWN + loose) * own + (ALL + loose) * own.max() + 10 * EPS * _cost(data) + TINY
    if (np.abs(total) > allowed).any():
        worst = float((np.abs(total) / np.where(own > 0, own, 1)).max())
        return [f"not stationary by {worst:.1e}"]
    return []


def _complementary(data: Arrays, point: Arrays, loose: float) -> list[str]:
    x, found = point["x"], list[str]()
    size = max(forces(data, point).max(), 1e-8 * _cost(data))
    if "G" in data:
        lengths = _length(data["G"])
        if (point["z"] * lengths < -(ALL + loose) * size).any():
            found.append("z negative")
        slack = data["h"] - data["G"] @ x
        tight = slack <= 10 * _allowed(data, x, data["G"], data["h"], loose)
        tight &= np.isfinite(data["h"])
        if (~tight & (point["z"] * lengths > (10 * ALL + loose) * size)).any():
            found.append("z pushes at a slack row")
    box = point["z_box"]
    near = (OWN + loose) * np.abs(x) + (ALL + loose) * _near(data, x) + ROUNDING * _reach(data)
    near = 10 * near + TINY
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        pushes = sign * box > (10 * ALL + loose) * size
        gap = sign * (data[name] - x) if name in data else np.full(len(x), np.inf)
        if (pushes & ~(gap <= near)).any():
            found.append(f"z_box pushes at a slack {name}")
    return found
