"""Matrices of programs, from plain to degenerate; every row and entry is of size one."""

import numpy as np

from tests.fuzz.draws import Draw

SPECK = 1e-310
HESSIANS = (
    "identity", "definite", "diagonal", "low rank", "zero", "ill conditioned", "near singular",
    "specks", "one zero row",
)  # fmt: skip
HESSIAN_WEIGHTS = (2, 6, 2, 3, 2, 1, 1, 1, 1)
ROWS = (
    "normal", "integer", "sparse", "unit", "duplicates", "parallel", "opposite", "zero row",
    "combination", "near parallel", "specks",
)  # fmt: skip
ROW_WEIGHTS = (6, 3, 2, 1, 2, 2, 2, 1, 1, 1, 1)
# What rows or columns of nothing else want of multipliers and variables, no number is.
OVERFLOWING = "nothing but specks"
UNFAIR = ("near singular", "near parallel", "ill conditioned", OVERFLOWING)


def hessian(draw: Draw, n: int, tag: str) -> tuple[np.ndarray, str]:
    """A positive semidefinite matrix (n, n), and its kind."""
    kind = draw.pick("P kind" + tag, HESSIANS, HESSIAN_WEIGHTS)
    rng = draw.numbers("P" + tag)
    if kind == "identity":
        return np.eye(n), kind
    if kind == "diagonal":
        return np.diag(rng.uniform(0.5, 2.0, n)), kind
    if kind == "zero":
        return np.zeros((n, n)), kind
    root = rng.normal(size=(n, n))
    plain = root @ root.T / n + 0.5 * np.eye(n)
    if kind in ("low rank", "near singular"):
        thin = root[:, : max(1, n // 2)]
        P = thin @ thin.T / n + (10.0 ** -rng.integers(8, 15) * np.eye(n)) * (kind[0] == "n")
    elif kind == "ill conditioned":
        Q = np.linalg.qr(root)[0]
        P = (Q * 10.0 ** np.linspace(0, -rng.uniform(2, 8), n)) @ Q.T
    elif kind == "one zero row":
        keep = np.ones(n)
        keep[rng.integers(n)] = 0.0
        P = plain * np.outer(keep, keep)
    elif kind == "specks":
        P = np.where(np.eye(n, dtype=bool), plain, SPECK)
    else:
        P = plain
    return 0.5 * (P + P.T), kind


def rows(draw: Draw, count: int, n: int, tag: str) -> tuple[np.ndarray, str]:
    """Rows of constraints (count, n), and their kind."""
    kind = draw.pick("rows" + tag, ROWS, ROW_WEIGHTS)
    rng = draw.numbers("rows" + tag)
    M = rng.normal(size=(count, n))
    if kind == "integer":
        M = rng.integers(-2, 3, size=(count, n)).astype(np.float64)
    elif kind in ("sparse", "specks"):
        there = rng.random((count, n)) < 0.5
        M = np.where(there, M, 0.0 if kind == "sparse" else SPECK)
        if kind == "specks" and not (there.any(axis=0).all() and there.any(axis=1).all()):
            kind = OVERFLOWING
    elif kind == "unit":
        M = np.eye(n)[rng.integers(n, size=count)] * rng.choice([-1.0, 1.0], (count, 1))
    elif count:
        _relate(M, kind, rng)
    return M, kind


def _relate(M: np.ndarray, kind: str, rng: np.random.Generator) -> None:
    """Make the last row depend on the others."""
    first, last = M[0], len(M) - 1
    if kind == "zero row":
        M[last] = 0.0
    elif last and kind == "duplicates":
        M[last] = first
    elif last and kind == "parallel":
        M[last] = first * 2.0 ** rng.integers(-6, 7)
    elif last and kind == "opposite":
        M[last] = -first
    elif last and kind == "combination":
        M[last] = rng.integers(-2, 3, last) @ M[:last]
    elif last and kind == "near parallel":
        M[last] = first + 10.0 ** -rng.uniform(3, 7) * rng.normal(size=M.shape[1])
