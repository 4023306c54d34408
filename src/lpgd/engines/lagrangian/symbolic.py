"""Nonlinear programs as CasADi expressions: derivatives, and what IPOPT is made of.

CasADi's vectors are columns and its matrices are stored column by column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, final

import numpy as np

from lpgd.core.errors import StructureError
from lpgd.core.extras import load
from lpgd.core.params import Params
from lpgd.core.solution import FloatArray
from lpgd.families.lagrangian.constrained import Data
from lpgd.families.lagrangian.model import Curvature

Shape = tuple[int, ...]
# CasADi lets other threads run, but counts references to its objects as if there were none, and
# neither IPOPT's linear solver nor its statistics know threads
ALONE = RLock()


@final
@dataclass(frozen=True, eq=False)
class Symbolic:
    """f and c of expressions; both ``Functions`` for solvers and a ``Model`` of f + y'c.

    Attributes
    ----------
    functions : mapping from str to casadi.Function
        ``f``, ``c``, ``slope``, ``jacobian``, ``hessian``, ``slopes`` and ``gradient`` of
        (x, *parameters) and further arguments.
    names : tuple of str
        Of the parameters.
    shapes : tuple of tuple of int
        Theirs: () for a scalar, (k,) for a column, (k, l) for a matrix.
    n, rows, equalities : int
        Variables, rows of c, and how many of them are equalities.
    solvers : dict
        What engines compile, once for each set of options.
    """

    functions: dict[str, Any]
    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    n: int
    rows: int
    equalities: int
    solvers: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, x: Any, params: Sequence[Any], f: Any, equalities: Any, inequalities: Any
    ) -> Symbolic:
        """Differentiate expressions; x and the parameters are their symbols.

        Raises
        ------
        StructureError
            An expression has a symbol that is neither, one of them is no symbol, or f is no scalar.
        """
        ca = load("casadi", "nlp", "NLPLayer.from_casadi")
        kind = type(x)
        h, g = (kind(0, 1) if part is None else ca.vec(part) for part in (equalities, inequalities))
        f, c = kind(f), ca.vertcat(h, g)
        if x.shape[1] != 1 or f.shape != (1, 1):
            raise StructureError(f"x must be a column and f a scalar, got {x.shape} and {f.shape}")
        for name, symbol in (("x", x), *((f"params[{k}]", own) for k, own in enumerate(params))):
            if not symbol.is_valid_input():
                raise StructureError(f"{name} must be a symbol, got the expression {symbol}")
        free = ca.Function("c", [x, *params], [f, c], {"allow_free": True}).get_free()
        if free:
            raise StructureError(f"expressions depend on {', '.join(map(str, free))}, no parameter")
        y, weight, at = kind.sym("y", c.shape[0]), kind.sym("weight"), [x, *params]
        whole, some = f + ca.dot(y, c), weight * f + ca.dot(y, c)
        outputs = {
            "f": (at, [f]),
            "c": (at, [c]),
            "slope": (at, [ca.gradient(f, x)]),
            "jacobian": (at, [ca.jacobian(c, x)]),
            "hessian": ([*at, y, weight], [ca.hessian(some, x)[0]]),
            "slopes": ([*at, y], [ca.gradient(whole, x), c]),
            "gradient": ([*at, y], [ca.gradient(whole, p) for p in params]),
        }
        made = {k: ca.Function(k, i, o) for k, (i, o) in outputs.items()}
        names = tuple(f"params[{place}]" for place in range(len(params)))
        shapes = tuple(map(_shape, params))
        return cls(made, names, shapes, x.shape[0], c.shape[0], h.shape[0])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "solvers": {}}

    def objective(self, data: Data, x: FloatArray) -> float:
        """See ``Functions.objective``."""
        return float(self._call("f", data, x)[0][0, 0])

    def slope(self, data: Data, x: FloatArray) -> FloatArray:
        """See ``Functions.slope``."""
        return self._call("slope", data, x)[0][:, 0]

    def constraints(self, data: Data, x: FloatArray) -> FloatArray:
        """See ``Functions.constraints``."""
        return self._call("c", data, x)[0][:, 0]

    def jacobian(self, data: Data, x: FloatArray) -> FloatArray:
        """See ``Functions.jacobian``."""
        return self._call("jacobian", data, x)[0]

    def hessian(self, data: Data, x: FloatArray, y: FloatArray, weight: float) -> FloatArray:
        """See ``Functions.hessian``."""
        return self._call("hessian", data, x, y, weight)[0]

    def value(self, params: Params, x: FloatArray, y: FloatArray) -> FloatArray:
        """See ``Model.value``."""
        found = np.empty(len(x))
        for row, data in self._rows(params, len(x)):
            found[row] = self.objective(data, x[row]) + y[row] @ self.constraints(data, x[row])
        return found

    def slopes(self, params: Params, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See ``Model.slopes``."""
        pull, push = np.empty_like(x), np.empty_like(y)
        for row, data in self._rows(params, len(x)):
            parts = self._call("slopes", data, x[row], y[row])
            pull[row], push[row] = parts[0][:, 0], parts[1][:, 0]
        return pull, push

    def curvature(self, params: Params, x: FloatArray, y: FloatArray) -> Curvature:
        """See ``Model.curvature``."""
        size, n, m = len(x), self.n, self.rows
        found = Curvature(*(np.zeros((size, *s)) for s in ((n, n), (m, n), (m, m))))
        for row, data in self._rows(params, size):
            found.xx[row] = self.hessian(data, x[row], y[row], 1.0)
            found.yx[row] = self.jacobian(data, x[row])
        return found

    def gradient(
        self,
        params: Params,
        point: tuple[FloatArray, FloatArray],
        weight: FloatArray,
        wanted: Iterable[str],
    ) -> dict[str, FloatArray]:
        """See ``Model.gradient``."""
        found = {name: np.zeros_like(params[name].values) for name in wanted}
        for row, data in self._rows(params, len(weight)):
            parts = self._call("gradient", data, point[0][row], point[1][row])
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True):
                if name in found:
                    entry = params[name].index[row]
                    found[name][entry] += weight[row] * part.reshape(shape, order="F")
        return found

    def packed(self, data: Data) -> list[FloatArray]:
        """The parameters of one element as CasADi takes them."""
        return [np.atleast_1d(data[name]) for name in self.names]

    def _rows(self, params: Params, size: int) -> Iterator[tuple[int, Data]]:
        for row in range(size):
            yield row, {k: params[k].values[params[k].index[row]] for k in self.names}

    def _call(self, name: str, data: Data, x: FloatArray, *more: Any) -> list[FloatArray]:
        with ALONE:
            found = self.functions[name].call([x, *self.packed(data), *more])
            return [part.full() if part.is_dense() else part.sparse().toarray() for part in found]


def _shape(symbol: Any) -> Shape:
    rows, columns = symbol.shape
    return (rows, columns) if columns > 1 else (rows,) if rows > 1 else ()
