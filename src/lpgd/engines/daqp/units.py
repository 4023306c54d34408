"""Units in which a badly scaled program is handed to DAQP.

DAQP's tolerances are absolute: a row whose norm in the metric of the inverse Hessian is below 1e-6
is dropped, and proximal iterations stop on an absolute residual. Rows of norm 1, a Hessian or costs
of size 1 and, for LPs, columns of size 1 make them mean the same in every user's units. All factors
are powers of two, so nothing is rounded; fair sizes are left alone, and most programs are fair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lpgd.core.params import Param, Params, batched
from lpgd.core.scaling import factors, fair
from lpgd.core.solution import FloatArray, IntArray, Rows, Solution
from lpgd.families.qp.qp import QP

SIDES = {"A": "b", "G": "h"}


@dataclass(frozen=True)
class Units(Rows):
    """Factors of each element: x in DAQP's units is columns * x, the objective cost * objective.

    Attributes
    ----------
    cost : (N, 1) float64
    columns : (N, n) float64
    A, G : (N, m_eq) and (N, m_in) float64
        Factors of the rows.
    """

    cost: FloatArray
    columns: FloatArray
    A: FloatArray
    G: FloatArray

    @classmethod
    def of(cls, problem: QP, params: Params, group: IntArray) -> Units | None:
        """Factors for a batch; None where all are 1."""
        rows = {name: _norms(params, name) for name in SIDES}
        cost = _cost(problem, params)
        flat = not problem.quadratic
        sizes = [cost, *rows.values()]
        if flat:
            sizes += [_columns(params, name) for name in SIDES]
        if all(fair(size).all() for size in sizes):
            return None
        scales = {name: factors(norms) for name, norms in rows.items()}
        columns = np.ones((len(group), problem.n))
        if flat:
            tallest = [_columns(params, name, scales[name]) for name in SIDES]
            columns = 1 / factors(np.maximum(*tallest))
            scales = {k: factors(_norms(params, k, columns)) for k in SIDES}
        return cls(factors(cost, step=2), columns, scales["A"], scales["G"])

    def matrices(self, params: Params, group: IntArray, first: IntArray) -> Params:
        """Scaled P, G and A, one for each group."""
        scaled: dict[str, Param] = {}
        if "P" in params:
            P = params["P"].take(first).full()
            scaled["P"] = Param(P * self.cost[first][:, :, None], group)
        for name in SIDES:
            if name in params:
                rows, columns = getattr(self, name)[first], self.columns[first]
                values = params[name].take(first).full()
                scaled[name] = Param(values * rows[:, :, None] / columns[:, None], group)
        return scaled

    def linear(self, params: Params) -> Params:
        """Scaled costs and right-hand sides."""
        scaled = {"q": batched(params["q"].full() * self.cost / self.columns)}
        for name, rhs in SIDES.items():
            if rhs in params:
                scaled[rhs] = batched(params[rhs].full() * getattr(self, name))
        for bound in ("lb", "ub"):
            if bound in params:
                scaled[bound] = batched(params[bound].full() * self.columns)
        # the form is that of the whole program, though only its linear terms are read
        return {**{name: params[name] for name in SIDES if name in params}, **scaled}

    def enter(self, start: Solution | None) -> Solution | None:
        """A point of the user in DAQP's units."""
        return None if start is None else replace(start, x=start.x * self.columns)

    def leave(self, problem: QP, solution: Solution) -> Solution:
        """A solution in DAQP's units in those of the user."""
        scales = {"A": self.A, "G": self.G, "lb": self.columns, "ub": self.columns}
        y = solution.y.copy()
        for name, block in problem.blocks.items():
            y[:, block] *= scales[name] / self.cost
        return replace(solution, x=solution.x / self.columns, y=y)


def _cost(problem: QP, params: Params) -> FloatArray:
    """Size of the Hessian, or where it is zero of the costs, shape (N, 1)."""
    costs = params["q"]
    size = np.abs(costs.values).max(axis=1, initial=0.0)[costs.index]
    if problem.quadratic:
        P = params["P"]
        curved = np.abs(P.values).max(axis=(1, 2), initial=0.0)[P.index]
        size = np.where(curved > 0, curved, size)
    return size[:, None]


def _norms(params: Params, name: str, columns: FloatArray | None = None) -> FloatArray:
    """Norms of the rows of a matrix, (N, m); of its columns divided by ``columns``."""
    if name not in params:
        return np.zeros((len(params["q"].index), 0))
    matrix = params[name]
    if columns is None:
        return np.sqrt(np.einsum("dij,dij->di", matrix.values, matrix.values))[matrix.index]
    return np.sqrt(((matrix.full() / columns[:, None]) ** 2).sum(axis=2))


def _columns(params: Params, name: str, rows: FloatArray | None = None) -> FloatArray:
    """Largest entries of the columns of a matrix whose rows are multiplied by ``rows``, (N, n)."""
    if name not in params:
        return np.zeros_like(params["q"].full())
    matrix = params[name]
    if rows is None:
        return np.abs(matrix.values).max(axis=1, initial=0.0)[matrix.index]
    return np.abs(matrix.full() * rows[:, :, None]).max(axis=1, initial=0.0)
