"""Cone programs with known solutions, in fair units."""

from collections.abc import Callable, Mapping
from math import sqrt

import numpy as np

from lpgd import Cones
from tests.fuzz import matrices
from tests.fuzz.draws import Draw
from tests.fuzz.elements import Element

Pair = tuple[np.ndarray, np.ndarray]
DROWNED = 1e-9  # of the terms of a sum: what is left when they cancel
FACES = ("curved", "slack", "apex", "weak")


def drawn_cones(draw: Draw) -> Cones:
    """A product of a few cones."""
    kind = draw.pick(
        "cones", ("linear", "soc", "exp", "power", "psd", "mixed", "all"), (3, 4, 3, 2, 3, 3, 1)
    )
    rng = draw.numbers("cones")
    zero = draw.pick("zero", (0, 1, 2), (3, 2, 1))
    nonneg = draw.pick("nonneg", (1, 2, 3, 0, 5), (2, 3, 2, 2, 1))
    some = {"mixed": rng.random(4) < 0.5, "all": np.ones(4, dtype=bool)}.get(
        kind, np.zeros(4, bool)
    )
    has = [
        int(kind == name or here)
        for name, here in zip(("soc", "exp", "power", "psd"), some, strict=True)
    ]
    more = draw.pick("more cones", (1, 2, 3), (3, 2, 1))
    cones = Cones(
        zero=zero,
        nonneg=nonneg,
        soc=tuple(int(k) for k in rng.choice([3, 2, 4, 5], more)) * has[0],
        psd=tuple(int(k) for k in rng.choice([2, 1, 3], more)) * has[3],
        exp=more * has[1],
        power=tuple(float(a) for a in rng.choice([0.5, 0.3, 0.9, 0.01, 1 / 3], more)) * has[2],
    )
    return cones if cones.m else Cones(nonneg=1)


def plant(
    draw: Draw, cones: Cones, n: int, given: Mapping[str, np.ndarray], tag: str, *, well: bool
) -> Element:
    """A program over these cones, P and A as given, whose saddle point is drawn first."""
    rng = draw.numbers("point" + tag)
    x = rng.normal(size=n)
    if draw.chance("zero point" + tag, 10):
        x = np.zeros(n)
    face = draw.pick("face" + tag, ("any", *FACES), (6, 2, 1, 2, 1))
    s, y = np.zeros(cones.m), np.zeros(cones.m)
    powers = iter(cones.power)
    far, away = draw.chance("far" + tag, 10), draw.numbers("far" + tag)
    regular, held = True, 0
    for kind, first, stop in cones.blocks():
        alpha = next(powers) if kind == "power" else 0.5
        for part in _split(kind, first, stop):
            own = str(rng.choice(FACES[:3])) if face == "any" else face
            s[part], y[part] = _PAIRS[kind](rng, part.stop - part.start, own, alpha)
            if kind in ("nonneg", "soc") and not y[part].any() and far:
                s[part.start] *= 10.0 ** away.uniform(5, 20)
            regular &= own != "weak"
            held += _held(kind, own, part.stop - part.start)
    data = dict(given)
    data["b"] = data["A"] @ x + s
    data["q"] = -(data["A"].T @ y)
    forces = np.abs(data["A"].T) @ np.abs(y)
    strict = False
    if "P" in data:
        data["q"] -= data["P"] @ x
        strict = bool(np.linalg.eigvalsh(data["P"])[0] > 0.05)
    point = {"x": x, "y": y, "s": s}
    # no interior, no promise: an equality in disguise, or cones that touch at a point
    fair = well and regular and held <= n
    element = Element(data, "solvable", point, strict, strict and fair, strict, fair, origin=data)
    # costs that are what rounding left of forces are others than these, and may have no least value
    drowned = 0 < np.abs(data["q"]).max() < DROWNED * forces.max()
    return element.known("unknown", "drowned") if drowned and not strict else element


def given_matrices(
    draw: Draw, cones: Cones, n: int, tag: str = "", *, quadratic: bool
) -> tuple[dict[str, np.ndarray], bool]:
    """A, and P where there is one, and whether programs with them are well posed."""
    found = dict[str, np.ndarray]()
    kind = "definite"
    if quadratic:
        found["P"], kind = matrices.hessian(draw, n, tag)
    found["A"], rows = matrices.rows(draw, cones.m, n, "A" + tag)
    # dependent rows of curved cones, too, leave no interior
    return found, kind not in matrices.UNFAIR and rows in ("normal", "integer", "sparse", "specks")


def blocks_of(cones: Cones) -> list[slice]:
    """Rows that must be scaled alike."""
    return [p for kind, a, b in cones.blocks() for p in _split(kind, a, b)]


def _split(kind: str, first: int, stop: int) -> list[slice]:
    if kind in ("zero", "nonneg"):
        return [slice(i, i + 1) for i in range(first, stop)]
    return [slice(first, stop)]


def _held(kind: str, face: str, rows: int) -> int:
    """How many dimensions of x a cone takes at most."""
    if kind == "zero":
        return rows
    if face == "slack":
        return 0
    return 1 if face == "curved" and kind in ("soc", "exp", "power") else rows


def _zero(rng: np.random.Generator, k: int, face: str, _: float) -> Pair:
    return np.zeros(k), rng.normal(size=k) * (face != "weak")


def _nonneg(rng: np.random.Generator, k: int, face: str, _: float) -> Pair:
    size = rng.uniform(0.3, 1.5, k)
    if face == "weak":
        return np.zeros(k), np.zeros(k)
    return (size, np.zeros(k)) if face == "slack" else (np.zeros(k), size)


def _soc(rng: np.random.Generator, k: int, face: str, _: float) -> Pair:
    unit = rng.normal(size=k - 1)
    unit /= np.linalg.norm(unit)
    inner = np.concatenate([[1.5], unit])
    outer, other = np.concatenate([[1.0], unit]), np.concatenate([[1.0], -unit])
    return _faces(rng, face, (inner, inner), (outer, other))


def _psd(rng: np.random.Generator, rows: int, face: str, _: float) -> Pair:
    k = int((sqrt(8 * rows + 1) - 1) / 2)
    Q = np.linalg.qr(rng.normal(size=(k, k)))[0]
    rank = int(rng.integers(1, k)) if k > 1 else 0
    first = np.arange(k) < rank
    size = rng.uniform(0.5, 1.5, k)
    whole = (Q * size) @ Q.T
    if k == 1:
        return _faces(rng, "slack" if face == "curved" else face, (triangle(whole),) * 2, ())
    parts = tuple(triangle((Q * (size * keep)) @ Q.T) for keep in (first, ~first))
    return _faces(rng, face, (triangle(whole), triangle(whole)), parts)


def _exp(rng: np.random.Generator, _: int, face: str, __: float) -> Pair:
    v, ratio = rng.uniform(0.5, 1.5), rng.normal()
    e = np.exp(ratio)
    edge = np.array([ratio * v, v, v * e])
    normal = np.array([-e, -e * (1 - ratio), 1.0])
    inside = edge + np.array([-0.5, 0.0, 0.5]), normal + np.array([-0.1, 0.3, 0.5])
    return _faces(rng, face, inside, (edge, normal))


def _power(rng: np.random.Generator, _: int, face: str, alpha: float) -> Pair:
    u, v = rng.uniform(0.5, 1.5, 2)
    w, sign = u**alpha * v ** (1 - alpha), rng.choice([-1.0, 1.0])
    edge = np.array([u, v, sign * w])
    normal = np.array([alpha * w / u, (1 - alpha) * w / v, -sign])
    return _faces(rng, face, (edge * [1.5, 1.5, 0.5], normal * [1.5, 1.5, 0.5]), (edge, normal))


def _faces(rng: np.random.Generator, face: str, inner: Pair, edge: tuple[np.ndarray, ...]) -> Pair:
    """(s, y) from interior points of the cone and of its dual, and from a pair of edges."""
    size = rng.uniform(0.5, 1.5, 2)
    zero = np.zeros(len(inner[0]))
    if face == "slack":
        return size[0] * inner[0], zero
    if face == "apex":
        return zero, size[1] * inner[1]
    if face == "weak":
        return (size[0] * edge[0] if edge else zero), zero
    return size[0] * edge[0], size[1] * edge[1]


def triangle(matrix: np.ndarray) -> np.ndarray:
    """A symmetric matrix as rows of a PSD cone: upper triangle, column by column."""
    k = len(matrix)
    return np.array(
        [matrix[i, j] * (1.0 if i == j else sqrt(2.0)) for j in range(k) for i in range(j + 1)]
    )


_PAIRS: dict[str, Callable[..., Pair]] = {
    "zero": _zero, "nonneg": _nonneg, "soc": _soc, "psd": _psd, "exp": _exp, "power": _power,
}  # fmt: skip
