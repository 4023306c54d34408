"""Section 7 of the mathematical reference: two programs worked by hand."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lpgd import LPGD, Exact
from lpgd.core.rule import Rule
from tests.support import program

LP_PROGRAM = program(q=[-3, -2], G=[[1, 1]], h=[1], lb=[0, 0])
QP_PROGRAM = program(
    P=np.diag([1, 2, 4]), q=[-1, 0, 3], A=[[1, 1, 1]], b=[4], lb=[-np.inf, -np.inf, 0]
)
LP_DX, QP_DX = (1.0, -1.0), (2.0, -1.0, 1.0)


@dataclass(frozen=True)
class Example:
    """A pullback and the gradients it must give."""

    label: str
    program: Any
    rule: Rule
    dx: tuple[float, ...]
    gradients: dict[str, Any]
    dy: Any = None


@dataclass(frozen=True)
class Point:
    """A tilted program and its solution."""

    label: str
    program: Any
    dx: tuple[float, ...]
    t: float
    x: Any
    value: float
    rho: float = 0.0
    duals: dict[str, Any] = field(default_factory=dict)


def _lp(label: str, rule: Rule, *gradients: Any) -> Example:
    named = dict(zip(("q", "G", "h", "lb"), gradients, strict=True))
    return Example(f"LP {label}", LP_PROGRAM, rule, LP_DX, named)


LP_TRUE = ([0, 0], [[-1, 0]], [1], [0, -2])
LP_EXAMPLES = [
    _lp("lower", LPGD(2.0, 0.0, "lower"), [-0.5, 0.5], [[-1.5, 2]], [-0.5], [1.5, -0.5]),
    _lp("upper", LPGD(2.0, 0.0, "upper"), *LP_TRUE),
    _lp("average", LPGD(2.0), [-0.25, 0.25], [[-1.25, 1]], [0.25], [0.75, -1.25]),
    _lp(
        "augmented", LPGD(2.0, 4.0, "lower"),
        [-3 / 16, 3 / 16], [[-23 / 32, 15 / 32]], [0.25], [0, -0.5],
    ),
    *(_lp(f"small {s}", LPGD(0.25, 0.0, s), *LP_TRUE) for s in ("lower", "upper", "average")),
    _lp("exact", Exact(), *LP_TRUE),
]  # fmt: skip


def _qp(label: str, rule: Rule, dq: Any, db: float, dA: Any, dP: Any, dl: float) -> Example:
    curved = np.zeros((3, 3))
    curved[[0, 0, 1, 1], [0, 1, 0, 1]] = dP[0], dP[1], dP[1], dP[2]
    named = {"q": dq, "b": [db], "A": [dA], "P": curved, "lb": [0, 0, dl]}
    return Example(f"QP {label}", QP_PROGRAM, rule, QP_DX, named)


PLAIN = ([-1, 1, 0], 1.0)
AUGMENTED = ([-0.6, 0.6, 0], 0.8)
QP_EXAMPLES = [
    _qp("lower", LPGD(0.5, 0.0, "lower"), *PLAIN, [-0.5, -3.5, 0], (-11 / 4, 3 / 4, 5 / 4), 0),
    _qp("upper", LPGD(0.5, 0.0, "upper"), *PLAIN, [-1.5, -2.5, 0], (-13 / 4, 5 / 4, 3 / 4), 0),
    *(
        _qp(f"average {tau}", LPGD(tau), *PLAIN, [-1, -3, 0], (-3, 1, 1), 0)
        for tau in (0.5, 4.0)
    ),
    _qp("exact", Exact(), *PLAIN, [-1, -3, 0], (-3, 1, 1), 0),
    _qp(
        "augmented lower", LPGD(0.5, 1.0, "lower"),
        *AUGMENTED, [-0.96, -2.24, 0], (-1.71, 0.51, 0.69), 0.2,
    ),
    _qp(
        "augmented upper", LPGD(0.5, 1.0, "upper"),
        *AUGMENTED, [-1.44, -1.76, 0], (-1.89, 0.69, 0.51), 0.2,
    ),
    _qp("augmented", LPGD(0.5, 1.0), *AUGMENTED, [-1.2, -2, 0], (-1.8, 0.6, 0.6), 0.2),
    Example(
        "QP dual cotangent", QP_PROGRAM, LPGD(0.5), QP_DX,
        {
            "q": [-4 / 3, 5 / 6, 0], "b": [2 / 3],
            "A": [[2 / 3, -7 / 3, 0]], "lb": [0, 0, 1 / 3],
        },
        dy=[0.5, 0, 0, 0],
    ),
]  # fmt: skip
EXAMPLES = LP_EXAMPLES + QP_EXAMPLES

POINTS = [
    Point("LP", LP_PROGRAM, LP_DX, 0.0, [1, 0], -3.0, duals={"G": 3, "lb": [0, 1]}),
    Point("LP lower", LP_PROGRAM, LP_DX, 2.0, [0, 1], -4.0, duals={"G": 4, "lb": [3, 0]}),
    Point("LP upper", LP_PROGRAM, LP_DX, -2.0, [1, 0], -5.0, duals={"G": 5, "lb": [0, 5]}),
    Point(
        "LP augmented", LP_PROGRAM, LP_DX, 2.0, [5 / 8, 3 / 8], -25 / 16, 4.0,
        {"G": 5 / 2, "lb": [0, 0]},
    ),
    Point("LP +1/4", LP_PROGRAM, LP_DX, 0.25, [1, 0], -2.75, duals={"G": 2.75, "lb": [0, 0.5]}),
    Point("LP -1/4", LP_PROGRAM, LP_DX, -0.25, [1, 0], -3.25, duals={"G": 3.25, "lb": [0, 1.5]}),
    Point("QP", QP_PROGRAM, QP_DX, 0.0, [3, 1, 0], 2.5, duals={"A": -2, "lb": [0, 0, 1]}),
    Point("QP lower", QP_PROGRAM, QP_DX, 0.5, [2.5, 1.5, 0], 37 / 8, duals={"A": -2.5}),
    Point("QP upper", QP_PROGRAM, QP_DX, -0.5, [3.5, 0.5, 0], -3 / 8, duals={"A": -1.5}),
    Point(
        "QP augmented lower", QP_PROGRAM, QP_DX, 0.5, [2.7, 1.3, 0], 4.775, 1.0,
        {"A": -2.4, "lb": [0, 0, 1.1]},
    ),
    Point(
        "QP augmented upper", QP_PROGRAM, QP_DX, -0.5, [3.3, 0.7, 0], -0.225, 1.0,
        {"A": -1.6, "lb": [0, 0, 0.9]},
    ),
]  # fmt: skip
