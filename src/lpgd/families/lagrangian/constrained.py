"""Nonlinear programs: minimise f(x, w) subject to h(x, w) = 0, g(x, w) <= 0, lb <= x <= ub.

L = f + y_A'h + y_G'g + y_lb'(lb - x) + y_ub'(x - ub), with c = (h, g) as the first rows
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np

from lpgd.core.params import Param, Params
from lpgd.core.solution import FloatArray
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.families.lagrangian.model import Curvature, Model

START = "start"
BOUNDS = ("lb", "ub")
Data = Mapping[str, FloatArray]


class Functions(Protocol):
    """f and c = (h, g) of one element, as solvers ask for them; ``data`` are its parameters."""

    def objective(self, data: Data, x: FloatArray) -> float:
        """f."""
        ...

    def slope(self, data: Data, x: FloatArray) -> FloatArray:
        """Of f, shape (n,)."""
        ...

    def constraints(self, data: Data, x: FloatArray) -> FloatArray:
        """c, shape (rows,)."""
        ...

    def jacobian(self, data: Data, x: FloatArray) -> FloatArray:
        """Of c, shape (rows, n)."""
        ...

    def hessian(self, data: Data, x: FloatArray, y: FloatArray, weight: float) -> FloatArray:
        """Of weight f + y'c, shape (n, n)."""
        ...


@final
@dataclass(frozen=True, eq=False)
class Constrained:
    """A ``Model`` of f + y'c, with bounds added.

    Attributes
    ----------
    of : Model
        f + y'c.
    functions : Functions
        The same, for solvers.
    n, rows : int
        Variables, and rows of c.
    bounds : tuple of str
        Which of ``"lb"`` and ``"ub"`` there are.
    symbolic : object
        Expressions that a solver can compile, or None.
    """

    of: Model
    functions: Functions
    n: int
    rows: int
    bounds: tuple[str, ...]
    symbolic: Any = None

    def value(self, params: Params, x: FloatArray, y: FloatArray) -> FloatArray:
        """See ``Model.value``."""
        found = self.of.value(params, x, y[:, : self.rows])
        for name, sign, mu in self._boxes(y):
            gap = sign * (x - params[name].full())
            found = found + np.where(mu != 0, mu * gap, 0.0).sum(axis=1)
        return found

    def slopes(self, params: Params, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See ``Model.slopes``; of infinite bounds the second is -inf."""
        pull, push = self.of.slopes(params, x, y[:, : self.rows])
        rows = [push]
        for name, sign, mu in self._boxes(y):
            pull = pull + sign * mu
            rows.append(sign * (x - params[name].full()))
        return pull, np.concatenate(rows, axis=1)

    def curvature(self, params: Params, x: FloatArray, y: FloatArray) -> Curvature:
        """See ``Model.curvature``."""
        at, size, m = self.of.curvature(params, x, y[:, : self.rows]), len(x), y.shape[1]
        eye = np.broadcast_to(np.eye(self.n), (size, self.n, self.n))
        boxes = [sign * eye for _, sign, _ in self._boxes(y)]
        return Curvature(at.xx, np.concatenate([at.yx, *boxes], axis=1), np.zeros((size, m, m)))

    def gradient(
        self,
        params: Params,
        point: tuple[FloatArray, FloatArray],
        weight: FloatArray,
        wanted: Iterable[str],
    ) -> dict[str, FloatArray]:
        """See ``Model.gradient``; a start has none."""
        x, y = point
        names = list(wanted)
        inner = [name for name in names if name not in (START, *BOUNDS)]
        found = self.of.gradient(params, (x, y[:, : self.rows]), weight, inner) if inner else {}
        if START in names:
            found[START] = np.zeros_like(params[START].values)
        for name, sign, mu in self._boxes(y):
            if name in names:
                found[name] = _summed(params[name], -sign * weight[:, None] * mu)
        return found

    def _boxes(self, y: FloatArray) -> list[tuple[str, float, FloatArray]]:
        """Each bound, its sign and its multipliers."""
        parts = [y[:, self.rows + i * self.n :][:, : self.n] for i in range(len(self.bounds))]
        signs = [-1.0 if name == "lb" else 1.0 for name in self.bounds]
        return list(zip(self.bounds, signs, parts, strict=True))


def program(model: Constrained, equalities: int, names: tuple[str, ...], kind: str) -> Lagrangian:
    """The structure of a batch of nonlinear programs.

    Parameters
    ----------
    model : Constrained
    equalities : int
        Rows of c that are equalities, the first ones.
    names : tuple of str
        All arguments: parameters, bounds, start.
    kind : str
        What engines call the family.
    """
    parts = {"A": slice(0, equalities), "G": slice(equalities, model.rows)}
    for place, name in enumerate(model.bounds):
        first = model.rows + place * model.n
        parts[name] = slice(first, first + model.n)
    m = model.rows + len(model.bounds) * model.n
    return Lagrangian(
        model.n, m, model, names, np.arange(m) >= equalities, twice=True, kind=kind,
        bounds=frozenset(BOUNDS), parts=parts,
    )  # fmt: skip


def _summed(param: Param, rows: FloatArray) -> FloatArray:
    total = np.zeros_like(param.values)
    np.add.at(total, param.index, rows)
    return total
