"""Random programs whose solution is known before any solver has seen them.

A point, an active set and multipliers are drawn first, the data are made to fit them. Strict
complementarity and independent active rows hold with a margin, so that the solution is unique, an
interior point exists, and the solution map is smooth around the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lpgd.core.params import Param, batched, shared
from lpgd.core.pattern import Pattern
from lpgd.core.public import public
from lpgd.core.solution import BoolArray, FloatArray, Solution, Status
from lpgd.families.qp.qp import QP

MARGIN = 0.1  # least slack, multiplier and singular value of the active rows
NOISE = 0.02  # by which the distinct values of one argument differ
Data = dict[str, FloatArray]


@public("lpgd.testing")
@dataclass(frozen=True)
class Program:
    """A batch of programs with its saddle points."""

    problem: QP
    params: Mapping[str, Param]
    solution: Solution


@public("lpgd.testing")
@dataclass(frozen=True)
class Shape:
    """What a random batch of programs looks like.

    Attributes
    ----------
    n, equalities, inequalities : int
        A group of no rows is absent.
    bounds : tuple of str
        Which of ``"lb"`` and ``"ub"`` are given; some of their entries are infinite.
    batch : int
    distinct : mapping from argument to int
        How many distinct values it has, a divisor of ``batch``; 1, that is shared, if not named.
    sparse : bool
        Whether ``A`` and ``G`` are values on a pattern.
    """

    n: int
    equalities: int = 0
    inequalities: int = 0
    bounds: tuple[str, ...] = ()
    quadratic: bool = True
    batch: int = 1
    distinct: Mapping[str, int] = field(default_factory=dict[str, int])
    sparse: bool = False

    def problem(self, patterns: Mapping[str, Pattern]) -> QP:
        """The structure."""
        rows = {"A": self.equalities, "G": self.inequalities}
        sizes = {name: size for name, size in rows.items() if size}
        sizes |= dict.fromkeys(self.bounds, self.n) | ({"P": self.n} if self.quadratic else {})
        return QP.of(sizes, self.n, patterns)


def plant(shape: Shape, rng: np.random.Generator) -> Program:
    """Draw a batch of strictly feasible, non-degenerate programs."""
    for _ in range(1000):
        data, active = _draw(shape, rng)
        patterns = {
            name: _pattern(data[name]) for name in ("A", "G") if shape.sparse and name in data
        }
        problem = shape.problem(patterns)
        data |= {name: data[name][p.rows, p.cols] for name, p in patterns.items()}
        params = {name: _vary(name, values, shape, rng) for name, values in data.items()}
        points = [_saddle(problem, _element(params, i), active) for i in range(shape.batch)]
        if all(point is not None for point in points):
            x, y = (np.array(part) for part in zip(*filter(None, points), strict=True))
            status = np.full(shape.batch, Status.OPTIMAL, dtype=np.int8)
            return Program(problem, params, Solution(x, y, status))
    raise ValueError(f"no non-degenerate program of such a shape was found: {shape}")


def tied(batch: int, rng: np.random.Generator) -> Program:
    """LPs with many solutions: tied costs on ``sum x = 3, 0 <= x <= 1``; ``solution`` is blank."""
    n = 8
    problem = QP.of({"A": 1, "lb": n, "ub": n}, n, {})
    params = {
        "q": batched(rng.integers(0, 2, (batch, n)).astype(np.float64)),
        "A": shared(np.ones((1, n)), batch),
        "b": shared(np.full(1, 3.0), batch),
        "lb": shared(np.zeros(n), batch),
        "ub": shared(np.ones(n), batch),
    }
    return Program(problem, params, Solution.blank(batch, n, problem.m))


def _draw(shape: Shape, rng: np.random.Generator) -> tuple[Data, BoolArray]:
    """Data of one program, and which of its rows (A, G, lb, ub) are active."""
    n, x, data = shape.n, rng.normal(size=shape.n), dict[str, FloatArray]()
    if shape.quadratic:
        root = rng.normal(size=(n, n))
        data["P"] = root @ root.T / n + 0.5 * np.eye(n)
    data["q"] = np.zeros(n)
    rows, slack = _active(shape, rng), rng.uniform(0.5, 1.5, (4, max(n, shape.inequalities)))
    for name, side, size in (("A", "b", shape.equalities), ("G", "h", shape.inequalities)):
        if size:
            data[name] = rng.normal(size=(size, n))
            if shape.sparse:
                data[name] *= rng.random((size, n)) < 0.7
            data[side] = data[name] @ x + np.where(rows[name], 0.0, slack[0, :size])
    for name, sign, gap in (("lb", -1.0, slack[1, :n]), ("ub", 1.0, slack[2, :n])):
        if name in shape.bounds:
            open_ = np.where(rng.random(n) < 0.3, np.inf, gap)
            data[name] = x + sign * np.where(rows[name], 0.0, open_)
    problem = shape.problem({})
    C, _ = _constraints(problem, data)
    active = np.concatenate([rows["A"][:0], *(rows[name] for name in problem.blocks)])
    y = np.where(active, rng.uniform(0.5, 1.5, problem.m), 0.0)
    data["q"] = -C.T @ y - (data["P"] @ x if shape.quadratic else 0.0)
    return data, active


def _active(shape: Shape, rng: np.random.Generator) -> dict[str, BoolArray]:
    """Which rows hold with equality: as many as there are variables in an LP, at most in a QP."""
    rows = {"A": np.ones(shape.equalities, dtype=np.bool_)}
    rows |= {"G": np.zeros(shape.inequalities, dtype=np.bool_)}
    rows |= {name: np.zeros(shape.n, dtype=np.bool_) for name in ("lb", "ub")}
    places = [("G", i) for i in range(shape.inequalities)]
    if shape.bounds:  # one bound a variable at most
        places += [(str(rng.choice(shape.bounds)), i) for i in range(shape.n)]
    room = shape.n - shape.equalities
    if room < 0 or (len(places) < room and not shape.quadratic):
        raise ValueError(f"a unique solution needs other numbers of rows: {shape}")
    count = min(int(rng.integers(room + 1)), len(places)) if shape.quadratic else room
    for place in rng.permutation(len(places))[:count]:
        name, row = places[place]
        rows[name][row] = True
    return rows


def _pattern(matrix: FloatArray) -> Pattern:
    rows, cols = np.nonzero(matrix)
    return Pattern(rows, cols, (matrix.shape[0], matrix.shape[1]))


def _vary(name: str, values: FloatArray, shape: Shape, rng: np.random.Generator) -> Param:
    count = shape.distinct.get(name, 1)
    if count == 1:
        return shared(values, shape.batch)
    noise = NOISE * rng.normal(size=(count, *values.shape))
    if name == "P":
        noise = 0.5 * (noise + noise.swapaxes(1, 2))
    return Param(values + noise, np.arange(shape.batch) % count)


def _element(params: Mapping[str, Param], element: int) -> Data:
    return {name: param.values[param.index[element]] for name, param in params.items()}


def _constraints(problem: QP, data: Data) -> tuple[FloatArray, FloatArray]:
    """All rows as C x <= r, equalities first."""
    C, r = [np.zeros((0, problem.n))], [np.zeros(0)]
    for name in problem.blocks:
        if name in ("A", "G"):
            pattern = problem.patterns.get(name)
            C.append(pattern.matrix(data[name]).toarray() if pattern else data[name])
            r.append(data["b" if name == "A" else "h"])
        else:
            sign = -1.0 if name == "lb" else 1.0
            C.append(sign * np.eye(problem.n))
            r.append(sign * data[name])
    return np.concatenate(C), np.concatenate(r)


def _saddle(problem: QP, data: Data, active: BoolArray) -> tuple[FloatArray, FloatArray] | None:
    """The solution with that active set, or None where it is not clearly the right one."""
    n, (C, r) = problem.n, _constraints(problem, data)
    R, k = C[active], int(active.sum())
    if k and np.linalg.svd(R, compute_uv=False).min() < MARGIN:
        return None
    K = np.zeros((n + k, n + k))
    K[:n, :n] = data["P"] if problem.quadratic else 0.0
    K[n:, :n], K[:n, n:] = R, R.T
    both = np.linalg.solve(K, np.concatenate([-data["q"], r[active]]))
    x, y = np.array(both[:n], dtype=np.float64), np.zeros(problem.m)
    y[active] = both[n:]
    equalities = problem.blocks.get("A", slice(0, 0)).stop
    slack = (r - C @ x)[~active].min(initial=np.inf)
    least = y[equalities:][active[equalities:]].min(initial=np.inf)
    return (x, y) if min(slack, least) > MARGIN else None
