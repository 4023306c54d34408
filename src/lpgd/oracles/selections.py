"""Sets whose minimisers are found by sorting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpgd.core.errors import StructureError
from lpgd.core.public import public
from lpgd.core.reply import Reply
from lpgd.core.solution import FloatArray, Status
from lpgd.oracles.base import ExactOracle, SetOracle
from lpgd.oracles.checks import count


@public("lpgd.oracles")
class TopK(SetOracle):
    """The k cheapest entries, or with ``sense="max"`` the k largest; costs (B, n), x 0 or 1.

    Exact; of equal entries the first ones.

    Parameters
    ----------
    k : int, optional
        Without it every call brings its own: ``instances`` are numbers, one an element. An element
        with fewer than k entries is infeasible.
    """

    def __init__(self, k: int | None = None) -> None:
        self.k = None if k is None else count("k", k, least=0)

    def __repr__(self) -> str:
        return f"TopK({self.k})"

    def reply(self, costs: FloatArray, instances: Sequence[Any] | None = None) -> Reply:
        """See ``SetOracle.reply``; ``instances`` are numbers k."""
        if (instances is None) == (self.k is None):
            raise StructureError("k is given once: to TopK, or as instances")
        given = [self.k] * len(costs) if instances is None else instances
        k = np.array([count("k", each, least=0) for each in given], dtype=np.intp)
        x = (places(costs) < k[:, None]).astype(np.float64)
        lost = k > costs.shape[1]
        if not lost.any():
            return Reply(x)
        return Reply(x, np.where(lost, np.int8(Status.INFEASIBLE), np.int8(0)))


@public("lpgd.oracles")
class Ranking(ExactOracle):
    """Ranks 1 to n: the permutation x that minimises <c, x>; costs (B, n) of any sign.

    The largest cost has rank 1 (blackbox ranking: Rolínek et al., 2020); with ``sense="max"`` the
    smallest has. Exact; of equal entries the first has the smaller rank.
    """

    def __repr__(self) -> str:
        return "Ranking()"

    def minimise(self, costs: FloatArray) -> FloatArray:
        """See ``ExactOracle.minimise``."""
        return (places(-costs) + 1).astype(np.float64)


def places(costs: FloatArray) -> NDArray[np.intp]:
    """The place of each entry of a row in ascending order."""
    order = np.argsort(costs, axis=1, kind="stable")
    found = np.empty_like(order)
    np.put_along_axis(found, order, np.arange(costs.shape[1])[None], axis=1)
    return found
