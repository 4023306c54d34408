"""Problems of Hock and Schittkowski (1981) with parameters put in, for torch and for CasADi.

Each function takes x and p entry by entry, so that it serves both. Bounds are written as they are
given; rows of g are <= 0, rows of h = 0.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from lpgd.torch import NLPLayer

Rows = Callable[[Any, Any], list[Any]]


@dataclass(frozen=True)
class Problem:
    """One of them; ``solution`` is that at the given parameters."""

    start: list[float]
    params: list[float]
    f: Callable[[Any, Any], Any]
    g: Rows | None = None
    h: Rows | None = None
    lb: list[float] | None = None
    ub: list[float] | None = None
    solution: list[float] | None = None
    boxes: dict[str, torch.Tensor] = field(init=False)

    def __post_init__(self) -> None:
        boxes = {"lb": self.lb, "ub": self.ub, "start": self.start}
        found = {k: torch.tensor(v, dtype=torch.float64) for k, v in boxes.items() if v}
        object.__setattr__(self, "boxes", found)

    @property
    def p(self) -> torch.Tensor:
        return torch.tensor(self.params, dtype=torch.float64)

    def layer(self, **options: Any) -> NLPLayer:
        """Of torch functions."""
        rows = {k: _stacked(part) for k, part in (("g", self.g), ("h", self.h)) if part}
        return NLPLayer(self.f, len(self.start), ranks=(1,), **rows, **options)

    def symbolic(self, **options: Any) -> NLPLayer:
        """Of CasADi's expressions."""
        import casadi

        x, p = casadi.SX.sym("x", len(self.start)), casadi.SX.sym("p", len(self.params))
        rows = {
            k: casadi.vertcat(*part(x, p)) for k, part in (("g", self.g), ("h", self.h)) if part
        }
        return NLPLayer.from_casadi(x, p, self.f(x, p), **rows, **options)


def _stacked(part: Rows) -> Callable[[Any, Any], torch.Tensor]:
    return lambda x, p: torch.stack(part(x, p))


def _hs100(x, p):
    square = (x[0] - 10) ** 2 + 5 * (x[1] - 12) ** 2 + x[2] ** 4 + 3 * (x[3] - 11) ** 2
    rest = 10 * x[4] ** 6 + 7 * x[5] ** 2 + x[6] ** 4 - 4 * x[5] * x[6] - p[0] * x[5] - p[1] * x[6]
    return square + rest


def _hs113(x, p):
    some = x[0] ** 2 + x[1] ** 2 + x[0] * x[1] - p[0] * x[0] - 16 * x[1] + (x[2] - 10) ** 2
    more = 4 * (x[3] - 5) ** 2 + (x[4] - p[1]) ** 2 + 2 * (x[5] - 1) ** 2 + 5 * x[6] ** 2
    rest = 7 * (x[7] - 11) ** 2 + 2 * (x[8] - 10) ** 2 + (x[9] - 7) ** 2
    return some + more + rest + 45


def _hs113_rows(x, p):
    return [
        -p[2] + 4 * x[0] + 5 * x[1] - 3 * x[6] + 9 * x[7],
        10 * x[0] - 8 * x[1] - 17 * x[6] + 2 * x[7],
        -8 * x[0] + 2 * x[1] + 5 * x[8] - 2 * x[9] - 12,
        3 * (x[0] - 2) ** 2 + 4 * (x[1] - 3) ** 2 + 2 * x[2] ** 2 - 7 * x[3] - 120,
        5 * x[0] ** 2 + 8 * x[1] + (x[2] - 6) ** 2 - 2 * x[3] - p[3],
        0.5 * (x[0] - 8) ** 2 + 2 * (x[1] - 4) ** 2 + 3 * x[4] ** 2 - x[5] - 30,
        x[0] ** 2 + 2 * (x[1] - 2) ** 2 - 2 * x[0] * x[1] + 14 * x[4] - 6 * x[5],
        -3 * x[0] + 6 * x[1] + 12 * (x[8] - 8) ** 2 - 7 * x[9],
    ]


PROBLEMS = {
    "HS21": Problem(
        [2.0, 2.0], [0.01, 10.0],
        lambda x, p: p[0] * x[0] ** 2 + x[1] ** 2 - 100,
        lambda x, p: [-10 * x[0] + x[1] + p[1]],
        lb=[2.0, -50.0], ub=[50.0, 50.0], solution=[2.0, 0.0],
    ),
    "HS28": Problem(
        [-4.0, 1.0, 1.0], [1.0, 2.0, 1.0],
        lambda x, p: p[0] * (x[0] + x[1]) ** 2 + (x[1] + x[2]) ** 2 + (p[2] - 1) * x[0],
        h=lambda x, p: [x[0] + p[1] * x[1] + 3 * x[2] - p[2]], solution=[0.5, -0.5, 0.5],
    ),
    "HS35": Problem(
        [0.5, 0.5, 0.5], [8.0, 2.0, 3.0],
        lambda x, p: 9 - p[0] * x[0] - 6 * x[1] - 4 * x[2] + 2 * x[0] ** 2 + p[1] * x[1] ** 2
        + x[2] ** 2 + 2 * x[0] * x[1] + 2 * x[0] * x[2],
        lambda x, p: [x[0] + x[1] + 2 * x[2] - p[2]],
        lb=[0.0, 0.0, 0.0], solution=[4 / 3, 7 / 9, 4 / 9],
    ),
    "HS43": Problem(
        [0.0, 0.0, 0.0, 0.0], [5.0, 21.0, 8.0, 10.0, 2.0],
        lambda x, p: x[0] ** 2 + x[1] ** 2 + 2 * x[2] ** 2 + x[3] ** 2 - p[0] * x[0] - 5 * x[1]
        - p[1] * x[2] + 7 * x[3],
        lambda x, p: [
            x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[3] ** 2 + x[0] - x[1] + x[2] - x[3] - p[2],
            x[0] ** 2 + 2 * x[1] ** 2 + x[2] ** 2 + 2 * x[3] ** 2 - x[0] - x[3] - p[3],
            p[4] * x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + 2 * x[0] - x[1] - x[3] - 5,
        ],
        solution=[0.0, 1.0, 2.0, -1.0],
    ),
    "HS65": Problem(
        [-4.0, 4.0, 0.0], [10.0, 5.0, 48.0],
        lambda x, p: (x[0] - x[1]) ** 2 + (x[0] + x[1] - p[0]) ** 2 / 9 + (x[2] - p[1]) ** 2,
        lambda x, p: [x[0] ** 2 + x[1] ** 2 + x[2] ** 2 - p[2]],
        lb=[-4.5, -4.5, -5.0], ub=[4.5, 4.5, 5.0], solution=[3.6504618, 3.6504618, 4.6204171],
    ),
    "HS71": Problem(
        [1.0, 5.0, 5.0, 1.0], [1.0, 25.0, 40.0],
        lambda x, p: p[0] * x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
        lambda x, p: [p[1] - x[0] * x[1] * x[2] * x[3]],
        lambda x, p: [x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[3] ** 2 - p[2]],
        lb=[1.0] * 4, ub=[5.0] * 4, solution=[1.0, 4.7429996, 3.8211499, 1.3794083],
    ),
    "HS76": Problem(
        [0.5, 0.5, 0.5, 0.5], [3.0, 0.5, 5.0, 1.5],
        lambda x, p: x[0] ** 2 + p[1] * x[1] ** 2 + x[2] ** 2 + 0.5 * x[3] ** 2 - x[0] * x[2]
        + x[2] * x[3] - x[0] - p[0] * x[1] + x[2] - x[3],
        lambda x, p: [
            x[0] + 2 * x[1] + x[2] + x[3] - p[2],
            3 * x[0] + x[1] + 2 * x[2] - x[3] - 4,
            p[3] - x[1] - 4 * x[2],
        ],
        lb=[0.0] * 4, solution=[0.2727273, 2.090909, -0.26e-10, 0.5454545],
    ),
    "HS100": Problem(
        [1.0, 2.0, 0.0, 4.0, 0.0, 1.0, 1.0], [10.0, 8.0, 127.0, 4.0],
        _hs100,
        lambda x, p: [
            2 * x[0] ** 2 + 3 * x[1] ** 4 + x[2] + 4 * x[3] ** 2 + 5 * x[4] - p[2],
            7 * x[0] + 3 * x[1] + 10 * x[2] ** 2 + x[3] - x[4] - 282,
            23 * x[0] + x[1] ** 2 + 6 * x[5] ** 2 - 8 * x[6] - 196,
            p[3] * x[0] ** 2 + x[1] ** 2 - 3 * x[0] * x[1] + 2 * x[2] ** 2 + 5 * x[5] - 11 * x[6],
        ],
        solution=[2.330499, 1.951372, -0.4775414, 4.365726, -0.6244870, 1.038131, 1.594227],
    ),
    "HS113": Problem(
        [2.0, 3.0, 5.0, 5.0, 1.0, 2.0, 7.0, 3.0, 6.0, 10.0], [14.0, 3.0, 105.0, 40.0],
        _hs113, _hs113_rows,
        solution=[
            2.171996, 2.363683, 8.773926, 5.095984, 0.9906548, 1.430574, 1.321644, 9.828726,
            8.280092, 8.375927,
        ],
    ),
}  # fmt: skip
FLAT = Problem(  # HS26: the solution is a minimum of fourth order
    [-2.6, 2.0, 2.0], [0.0, 3.0],
    lambda x, p: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4 + p[0] * x[0],
    h=lambda x, p: [(1 + x[1] ** 2) * x[0] + x[2] ** 4 - p[1]],
)  # fmt: skip
