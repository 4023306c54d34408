"""Linear programs over a fixed polytope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray
from lpgd.oracles.base import SetOracle, refuse
from lpgd.oracles.checks import entries
from lpgd.oracles.milp import replied, stacked
from lpgd.oracles.program import Basis, Outcome, Program


@public("lpgd.oracles")
class Polytope(SetOracle):
    """minimise <c, x> subject to Gx <= h, Ax = b, lb <= x <= ub; costs (B, n).

    The primal simplex method of HiGHS, which starts every solve at the same vertex of the set, so
    that answers depend on the costs alone. Exact to 1e-9 of the largest cost; where the minimiser
    is not unique, some vertex. To differentiate G, h, A or b as well use ``lpgd.torch.LPLayer``.

    Parameters
    ----------
    G, h, A, b : arrays (m, n) and (m,); matrices may be scipy's sparse ones
        One pair may be missing.
    lb, ub : float or (n,)
    """

    def __init__(
        self, G: Any = None, h: Any = None, A: Any = None, b: Any = None, *,
        lb: Any = 0.0, ub: Any = np.inf,
    ) -> None:  # fmt: skip
        matrix, sides = stacked(G, h, A, b)
        bounds = entries("lb", lb, matrix.shape[1]), entries("ub", ub, matrix.shape[1])
        self.program = Program.of(matrix, sides, bounds, integer=False)
        self.shape = (self.program.n,)
        self.gap = 1e-9
        self._basis: Basis | None = None

    def __repr__(self) -> str:
        return f"Polytope(n={self.program.n}, rows={len(self.program.row_lower)})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_basis": None}

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``."""
        refuse(self, instances)
        if self._basis is None:
            self._basis = self.program.vertex()
        basis = self._basis

        def one(cost: FloatArray) -> Outcome:
            return self.program.solve(cost, basis=basis)

        return replied(costs, one)
