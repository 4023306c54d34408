"""Quadratic and linear programs with known solutions, in fair units."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tests.fuzz import matrices
from tests.fuzz.draws import Draw
from tests.fuzz.elements import Element

MARGIN = 0.05  # least slack, multiplier, singular value and curvature of a smooth element
POINTS = ("normal", "integer", "half zero", "zero", "specks")
ACTIVE = ("some", "none", "vertex", "all", "weak")
BOUNDS = ("finite", "half infinite", "infinite", "fixed", "far")


@dataclass(frozen=True)
class Form:
    """What all programs of a batch have in common."""

    n: int
    m_in: int
    m_eq: int
    lb: bool
    ub: bool
    quadratic: bool

    @classmethod
    def drawn(cls, draw: Draw, *, quadratic: bool) -> "Form":
        """Sizes; the larger ones are rare."""
        n = draw.pick("n", (1, 2, 3, 4, 5, 8, 13, 20), (2, 4, 5, 4, 3, 2, 1, 1))
        m_in = draw.pick("m_in", (0, 1, 2, 3, 5, 8, 21), (3, 2, 3, 4, 3, 2, 1))
        m_eq = draw.pick("m_eq", (0, 1, 2, 4), (6, 3, 2, 1))
        lb, ub = draw.pick("bounds", ((False, False), (True, False), (False, True), (True, True)))
        return cls(n, m_in, min(m_eq, n), lb, ub, quadratic)


def shared_matrices(draw: Draw, form: Form, tag: str = "") -> tuple[dict[str, np.ndarray], bool]:
    """P, G and A as far as they exist, and whether programs with them are well posed."""
    found, kinds = dict[str, np.ndarray](), list[str]()
    if form.quadratic:
        found["P"], kind = matrices.hessian(draw, form.n, tag)
        kinds.append(kind)
    for name, count in (("G", form.m_in), ("A", form.m_eq)):
        if count:
            found[name], kind = matrices.rows(draw, count, form.n, name + tag)
            kinds.append(kind)
    return found, not set(kinds) & set(matrices.UNFAIR)


def plant(
    draw: Draw, form: Form, given: Mapping[str, np.ndarray], tag: str, *, well: bool = True
) -> Element:
    """A program with these matrices whose saddle point is drawn first.

    Parameters
    ----------
    given : mapping
        P, G, A, and what else is to be as it is (x, h, b, lb, ub of another element).
    well : bool
        Whether the matrices are well posed.
    """
    x = given["x"] if "x" in given else _point(draw, form.n, tag)
    data = {name: given[name] for name in ("P", "G", "A") if name in given}
    data |= _sides(draw, form, data, x, tag) if "x" not in given else {}
    data |= {k: v for k, v in given.items() if k in ("h", "b", "lb", "ub")}
    point = {"x": x, **_multipliers(draw, form, data, x, tag)}
    data["q"] = -_forces(data, point)
    strict = bool(form.quadratic and np.linalg.eigvalsh(data["P"])[0] > MARGIN)
    exact, smooth = _regular(data, point)
    return Element(data, "solvable", point, exact, smooth, strict, well, origin=data)


def _point(draw: Draw, n: int, tag: str) -> np.ndarray:
    kind = draw.pick("point" + tag, POINTS, (6, 3, 2, 1, 1))
    rng = draw.numbers("point" + tag)
    if kind == "integer":
        return rng.integers(-2, 3, n).astype(np.float64)
    x = rng.normal(size=n)
    if kind == "zero":
        return np.zeros(n)
    if kind in ("half zero", "specks"):
        return np.where(rng.random(n) < 0.5, x, 0.0 if kind == "half zero" else matrices.SPECK)
    return x


def _sides(
    draw: Draw, form: Form, data: Mapping[str, np.ndarray], x: np.ndarray, tag: str
) -> dict[str, np.ndarray]:
    """Right-hand sides and bounds, some of which hold with equality at x."""
    kind = draw.pick("active" + tag, ACTIVE, (5, 1, 3, 1, 2))
    rng = draw.numbers("active" + tag)
    share = {"some": 0.4, "none": 0.0, "vertex": 0.0, "all": 1.0, "weak": 0.5}[kind]
    places = [("G", i) for i in range(form.m_in)]
    places += [("lb", j) for j in range(form.n) if form.lb]
    places += [("ub", j) for j in range(form.n) if form.ub]
    held = {i for i in range(len(places)) if rng.random() < share}
    if kind == "vertex":
        room = max(form.n - form.m_eq, 0)
        held = set(rng.permutation(len(places))[:room].tolist())
    tight = {places[i] for i in held}
    sides = dict[str, np.ndarray]()
    if form.m_eq:
        sides["b"] = data["A"] @ x
    if form.m_in:
        loose = np.array([("G", i) not in tight for i in range(form.m_in)])
        room = rng.uniform(0.3, 2.0, form.m_in) * loose
        specks = 0 < np.abs(x).max(initial=0.0) < 1e-100  # nothing beside rows that are near
        if draw.chance("far rows" + tag, 10) and not specks:
            far = draw.numbers("far rows" + tag)
            room = room * 10.0 ** (far.uniform(5, 20, form.m_in) * (far.random(form.m_in) < 0.7))
        sides["h"] = data["G"] @ x + room
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        if getattr(form, name):
            loose = np.array([(name, j) not in tight for j in range(form.n)])
            gaps = _gaps(draw, form.n, name + tag)
            sides[name] = np.where(loose, x + sign * gaps, x)
    return _fixed(draw, sides, x, tag)


def _gaps(draw: Draw, n: int, tag: str) -> np.ndarray:
    kind = draw.pick("gaps" + tag, BOUNDS, (5, 3, 1, 0, 1))
    rng = draw.numbers("gaps" + tag)
    gaps = rng.uniform(0.3, 2.0, n)
    if kind == "far":
        return gaps * 10.0 ** rng.uniform(3, 20, n)
    infinite = {"half infinite": 0.5, "infinite": 1.0}.get(kind, 0.0)
    return np.where(rng.random(n) < infinite, np.inf, gaps)


def _fixed(
    draw: Draw, sides: dict[str, np.ndarray], x: np.ndarray, tag: str
) -> dict[str, np.ndarray]:
    """Some variables are held where they are by both bounds."""
    if "lb" in sides and "ub" in sides and draw.chance("fixed" + tag, 15):
        fixed = draw.numbers("fixed" + tag).random(len(x)) < 0.4
        sides["lb"], sides["ub"] = (np.where(fixed, x, sides[k]) for k in ("lb", "ub"))
    return sides


def _multipliers(
    draw: Draw, form: Form, data: Mapping[str, np.ndarray], x: np.ndarray, tag: str
) -> dict[str, np.ndarray]:
    """Multipliers that are zero where a constraint is slack, and perhaps where it is not."""
    rng = draw.numbers("multipliers" + tag)
    weak = draw.pick("active" + tag, ACTIVE, (5, 1, 3, 1, 2)) == "weak"
    size = rng.uniform(0.3, 1.5, (4, max(form.n, form.m_in, form.m_eq)))
    size *= np.where(rng.random(size.shape) < 0.4 * weak, 0.0, 1.0)
    found = {"y": rng.choice([-1.0, 1.0], form.m_eq) * size[0, : form.m_eq]}
    found["z"] = np.zeros(0)
    if form.m_in:
        found["z"] = np.where(data["h"] == data["G"] @ x, size[1, : form.m_in], 0.0)
    if draw.chance("prices" + tag, 10):  # costs that stand for "never"
        high = draw.numbers("prices" + tag)
        dear = high.random((2, form.n)) < 0.5
        size[2:, : form.n] *= np.where(dear, 10.0 ** high.uniform(5, 20), 1.0)
    box = np.zeros(form.n)
    for k, (name, sign) in enumerate((("lb", -1.0), ("ub", 1.0))):
        if name in data:
            box += np.where(data[name] == x, sign * size[2 + k, : form.n], 0.0)
    return {**found, "z_box": box}


def _forces(data: Mapping[str, np.ndarray], point: Mapping[str, np.ndarray]) -> np.ndarray:
    """Gradient in x of what is not q'x in the Lagrangian."""
    force = point["z_box"].copy()
    for name, at in (("P", "x"), ("A", "y"), ("G", "z")):
        if name in data:
            force += data[name].T @ point[at]
    return force


def held_rows(
    data: Mapping[str, np.ndarray], point: Mapping[str, np.ndarray]
) -> list[tuple[str, int, np.ndarray, float]]:
    """Constraints that hold with equality: (argument, index, row, multiplier of row x <= side)."""
    x, n = point["x"], len(point["x"])
    rows = [("A", i, row, point["y"][i]) for i, row in enumerate(data.get("A", ()))]
    if "G" in data:
        tight = np.flatnonzero(data["h"] == data["G"] @ x)
        rows += [("G", int(i), data["G"][i], point["z"][i]) for i in tight]
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        for j in np.flatnonzero(data[name] == x) if name in data else ():
            rows.append((name, int(j), sign * np.eye(n)[j], max(sign * point["z_box"][j], 0.0)))
    return rows


def _regular(data: Mapping[str, np.ndarray], point: Mapping[str, np.ndarray]) -> tuple[bool, bool]:
    """Whether x is unique and well conditioned, and whether the solution is smooth."""
    n, rows = len(point["x"]), held_rows(data, point)
    loaded = [row for name, _, row, y in rows if name == "A" or y > MARGIN]
    P = data.get("P", np.zeros((n, n)))
    if not _curved(P, np.array(loaded).reshape(-1, n)):
        return False, False
    fixed = {j for name, j, *_ in rows if name == "lb"} & {
        j for name, j, *_ in rows if name == "ub"
    }
    weak = len(loaded) < len(rows) or bool(fixed) or _grazed(data, point)
    R = np.array([row for _, _, row, _ in rows]).reshape(-1, n)
    independent = not len(R) or (len(R) <= n and np.linalg.svd(R, compute_uv=False)[-1] > MARGIN)
    return True, independent and not weak


def _curved(P: np.ndarray, R: np.ndarray) -> bool:
    """Whether P is positive definite along the null space of R, by a margin."""
    _U, sizes, Vt = np.linalg.svd(R) if len(R) else (None, np.zeros(0), np.eye(len(P)))
    rank = int((sizes > MARGIN).sum())
    if rank < int((sizes > 1e-12).sum()):
        return False
    N = Vt[rank:].T
    return N.shape[1] == 0 or float(np.linalg.eigvalsh(N.T @ P @ N)[0]) > MARGIN


def _grazed(data: Mapping[str, np.ndarray], point: Mapping[str, np.ndarray]) -> bool:
    """Whether a constraint is slack by less than the margin."""
    x, gaps = point["x"], [np.zeros(0)]
    if "G" in data:
        gaps.append(data["h"] - data["G"] @ x)
    gaps += [sign * (data[k] - x) for k, sign in (("lb", -1.0), ("ub", 1.0)) if k in data]
    slack = np.concatenate(gaps)
    return bool(((slack != 0) & (slack < MARGIN)).any())
