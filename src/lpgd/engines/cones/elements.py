"""Solvers that take one cone program at a time, over a batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
from scipy import sparse

from lpgd.core.solution import FloatArray, IntArray, Solution, Status
from lpgd.engines.batch import spread, useful_threads
from lpgd.engines.cones.solver import Found, Request
from lpgd.engines.convert import Columns

if TYPE_CHECKING:
    from lpgd.core.params import Params
    from lpgd.families.conic.conic import Conic

Start = tuple[FloatArray, FloatArray, FloatArray]
"""x, y and s."""
Answer = tuple[Status, FloatArray, FloatArray]
"""See ``Found`` for x and y of what has no solution."""
PAYS = 500  # stored entries of P and A from which threads pay


class Element(Protocol):
    """A solver with the matrices of one element."""

    def solve(self, q: FloatArray, b: FloatArray, start: Start | None) -> Answer:
        """Solve with these linear terms."""
        ...


@final
class Elements:
    """The solvers of a batch; a ``Loaded``.

    Parameters
    ----------
    conic : Conic
    params : Params
    make : callable
        Takes P (upper triangle, compressed columns) or None, q, A and b of an element.
    request : Request
    """

    def __init__(
        self,
        conic: Conic,
        params: Params,
        make: Callable[[Any, FloatArray, Any, FloatArray], Element],
        request: Request,
    ) -> None:
        self.conic, self.params, self.make, self.request = conic, params, make, request
        self.forms = _columns(conic)
        self.made: list[Element | None] = [None] * len(params["q"].index)

    def solve(self, params: Params, rows: IntArray, start: Solution | None) -> Found:
        """See ``Loaded.solve``. Rows of one element follow each other in one thread."""
        if self.request.seconds <= 0:
            return Found.nothing(len(rows), self.conic, Status.TIME_LIMIT)
        q, b = params["q"].full(), params["b"].full()
        slacks = None if start is None else self.conic.slacks(params, start.x)
        size, seconds = len(rows), np.zeros(len(rows))
        x, y, status = np.zeros((size, self.conic.n)), np.zeros((size, self.conic.m)), [0] * size
        set_ups = np.array([self.made[row] is None for row in rows], dtype=np.intp)
        order = np.argsort(rows, kind="stable")
        bounds = np.flatnonzero(np.diff(rows[order], prepend=-1, append=len(self.made)))
        parts = [order[a:b] for a, b in pairwise(bounds)]

        def work(chosen: IntArray) -> None:
            for row in (row for part in chosen for row in parts[part]):
                near = None
                if start is not None and slacks is not None:
                    near = start.x[row], start.y[row], slacks[row]
                began = time.perf_counter()
                element = self._element(int(rows[row]), q[row], b[row])
                status[row], x[row], y[row] = element.solve(q[row], b[row], near)
                seconds[row] = time.perf_counter() - began

        entries = sum(len(form.order) for form in self.forms.values())
        spread(work, len(parts), useful_threads(self.request.threads, entries, PAYS))
        found = Found.of(x, y, np.array(status, dtype=np.int8))
        found.seconds[:], found.set_ups[:] = seconds, set_ups
        return found

    def _element(self, row: int, q: FloatArray, b: FloatArray) -> Element:
        made = self.made[row]
        if made is None:
            P = self._matrix("P", row) if "P" in self.params else None
            made = self.made[row] = self.make(P, q, self._matrix("A", row), b)
        return made

    def _matrix(self, name: str, row: int) -> sparse.csc_matrix:
        param = self.params[name]
        return self.forms[name].matrix(param.values[param.index[row]])


def _columns(conic: Conic) -> dict[str, Columns]:
    """Columns of A and of the upper triangle of P, where there is one; computed once."""
    if Elements not in conic.derived:
        n, m, given = conic.n, conic.m, conic.patterns
        forms = {"A": Columns(given.get("A"), (m, n))}
        if conic.quadratic:
            forms["P"] = Columns(given.get("P"), (n, n), upper=True)
        conic.derived[Elements] = forms
    return conic.derived[Elements]
