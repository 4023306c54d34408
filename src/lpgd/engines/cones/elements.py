"""Solvers that take one cone program at a time, over a batch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
from scipy import sparse

from lpgd.core.pattern import Pattern
from lpgd.core.solution import FloatArray, IntArray, Solution, Status
from lpgd.engines.batch import spread, useful_threads
from lpgd.engines.convert import Compressed

if TYPE_CHECKING:
    from lpgd.core.params import Params
    from lpgd.families.conic.conic import Conic

Start = tuple[FloatArray, FloatArray, FloatArray]
"""x, y and s."""
Found = tuple[Status, FloatArray, FloatArray]
"""x and y are only read where the status is ``OPTIMAL``."""
PAYS = 500  # stored entries of P and A from which threads pay


class Element(Protocol):
    """A solver with the matrices of one element."""

    def solve(self, q: FloatArray, b: FloatArray, start: Start | None) -> Found:
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
    accuracy : float
    threads : int or None
    """

    def __init__(
        self,
        conic: Conic,
        params: Params,
        make: Callable[[Any, FloatArray, Any, FloatArray], Element],
        accuracy: float,
        threads: int | None,
    ) -> None:
        n, m = conic.n, conic.m
        self.params, self.make, self.accuracy, self.threads = params, make, accuracy, threads
        self.shapes = {"P": (n, n), "A": (m, n)}
        none = None if conic.quadratic else Pattern.empty(n)
        self.forms = {
            "P": Compressed.of(conic.patterns.get("P", none), (n, n)),
            "A": Compressed.of(conic.patterns.get("A"), (m, n)),
        }
        self.made: list[Element | None] = [None] * self.size

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.params["q"].index)

    def serves(self, rows: IntArray) -> bool:
        """Any elements in any order."""
        return True

    def solve(
        self, conic: Conic, params: Params, rows: IntArray, start: Solution | None
    ) -> Solution:
        """See ``Loaded.solve``. Rows of one element follow each other in one thread."""
        q, b = params["q"].full(), params["b"].full()
        slacks = None if start is None else conic.slacks(params, start.x)
        found = Solution.blank(len(rows), conic.n, conic.m)
        order = np.argsort(rows, kind="stable")
        bounds = np.flatnonzero(np.diff(rows[order], prepend=-1, append=self.size))
        parts = [order[a:b] for a, b in pairwise(bounds)]

        def work(chosen: IntArray) -> None:
            for row in (row for part in chosen for row in parts[part]):
                near = None
                if start is not None and slacks is not None:
                    near = start.x[row], start.y[row], slacks[row]
                element = self._element(int(rows[row]), q[row], b[row])
                status, x, y = element.solve(q[row], b[row], near)
                if status == Status.OPTIMAL:
                    if np.isfinite(x).all() and np.isfinite(y).all():
                        found.x[row], found.y[row] = x, y
                    else:
                        status = Status.NUMERICAL
                found.status[row] = status

        entries = sum(len(form.order) for form in self.forms.values())
        spread(work, len(parts), useful_threads(self.threads, entries, PAYS))
        return found

    def _element(self, row: int, q: FloatArray, b: FloatArray) -> Element:
        made = self.made[row]
        if made is None:
            P = self._matrix("P", row) if "P" in self.params else None
            upper = None if P is None else sparse.csc_matrix(sparse.triu(P))
            made = self.made[row] = self.make(
                upper, q, sparse.csc_matrix(self._matrix("A", row)), b
            )
        return made

    def _matrix(self, name: str, row: int) -> sparse.csr_array:
        form, param = self.forms[name], self.params[name]
        values = param.values[param.index[row]].reshape(-1)[form.order]
        return form.matrix(values, self.shapes[name])
