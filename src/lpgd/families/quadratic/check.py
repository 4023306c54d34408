"""Which elements of a batch of QPs or cone programs have values that no solver should see."""

from collections.abc import Callable

import numpy as np

from lpgd.core.params import Param, Params, flat
from lpgd.core.pattern import Pattern
from lpgd.core.solution import BoolArray, FloatArray, IntArray

# Asymmetry and negative curvature up to this many machine epsilons of ||P|| are rounding, but
# never more than a tenth of ||P||, as they would be in bfloat16.
ROUNDING, MOST = 1e3, 0.1
LEAST = 1e-200  # of squares that are safe from underflow, and one over it from overflow


def check(
    params: Params, resolution: float, hessian: Pattern | None = None, cost: str | None = None
) -> tuple[Params, dict[int, str]]:
    """Symmetrise P; list unfit elements with the argument at fault.

    Parameters
    ----------
    params : Params
    resolution : float
        Machine epsilon of the caller's dtype.
    hessian : Pattern or None
        Places of the values of P, symmetric, where P is sparse.
    cost : str or None
        What the user calls the linear cost; None means ``q``, or ``c`` without P.

    Returns
    -------
    params : Params
    unfit : dict from element to message
    """
    unfit: dict[int, str] = {}
    cost = cost or ("q" if "P" in params else "c")
    with np.errstate(all="ignore"):  # one cheap pass: the sum of no NaN and no infinity
        odd = [name for name in params if not np.isfinite(params[name].values.sum())]
    for name in odd:
        param = params[name]
        legal = _LEGAL.get(name, np.isfinite)(param.values)
        if not legal.all():
            label = cost if name == "q" else name
            _note(unfit, param, ~_rowwise(legal), f"{label} {_WHY[name]}")
    if "lb" in params and "ub" in params:
        crossed = (params["lb"].full() > params["ub"].full()).any(axis=1)
        for element in np.flatnonzero(crossed):
            unfit.setdefault(int(element), "lb exceeds ub")
    if "P" in params:
        rounding = min(ROUNDING * resolution, MOST)
        params = {**params, "P": _symmetrised(params["P"], unfit, rounding, hessian)}
    return params, unfit


def _symmetrised(
    given: Param, unfit: dict[int, str], rounding: float, pattern: Pattern | None
) -> Param:
    if pattern is None:
        return _convex(given, unfit, rounding)
    # the one place where a sparse matrix is made dense: curvature has no cheaper test here
    pattern = pattern.compact
    full = _convex(Param(pattern.dense(given.values), given.index), unfit, rounding)
    return Param(full.values[:, pattern.rows, pattern.cols], given.index)


def _rowwise(legal: BoolArray) -> BoolArray:
    return np.logical_and.reduce(flat(legal), axis=1)


def _note(unfit: dict[int, str], param: Param, bad: BoolArray, why: str) -> None:
    for element in np.flatnonzero(bad[param.index]):
        unfit.setdefault(int(element), why)


def _below_infinity(values: FloatArray) -> BoolArray:
    return values < np.inf  # false for NaN


def _above_minus_infinity(values: FloatArray) -> BoolArray:
    return values > -np.inf


_LEGAL: dict[str, Callable[[FloatArray], BoolArray]] = {
    "lb": _below_infinity,
    "ub": _above_minus_infinity,
    "h": _above_minus_infinity,
}
_WHY = {
    **dict.fromkeys(("P", "q", "G", "A", "b"), "has a NaN or infinite entry"),
    "lb": "has a NaN or +infinite entry",
    "ub": "has a NaN or -infinite entry",
    "h": "has a NaN or -infinite entry",
}


def _convex(hessian: Param, unfit: dict[int, str], rounding: float) -> Param:
    values, squares, back = _in_fair_units(hessian.values)
    slack = rounding * np.sqrt(squares)
    mirrored = values.swapaxes(1, 2)
    gap: FloatArray = np.abs(values - mirrored).max(axis=(1, 2), initial=0.0)
    _note(unfit, hessian, gap > slack, "P is not symmetric")
    if gap.any():
        values = 0.5 * (values + mirrored)
    _note(unfit, hessian, _indefinite(values, slack), "P has a negative eigenvalue")
    return Param(values if back is None else np.ldexp(values, back), hessian.index)


def _in_fair_units(P: FloatArray) -> tuple[FloatArray, FloatArray, IntArray | None]:
    """Matrices whose squares neither overflow nor vanish; the sums of these; powers of 2 back.

    Those that are not finite are zero.
    """
    with np.errstate(all="ignore"):
        squares = np.einsum("dij,dij->d", P, P)
    if ((squares > LEAST) & (squares < 1 / LEAST)).all():
        return P, squares, None
    finite = np.where(_rowwise(np.isfinite(P))[:, None, None], P, 0.0)
    _, exponent = np.frexp(np.abs(finite).max(axis=(1, 2), initial=0.0))
    exponent = exponent.astype(np.intp)[:, None, None]
    scaled = np.ldexp(finite, -exponent)
    return scaled, np.einsum("dij,dij->d", scaled, scaled), exponent


def _indefinite(P: FloatArray, slack: FloatArray) -> BoolArray:
    shift = np.maximum(slack, np.finfo(np.float64).tiny)
    shifted = P.copy()
    np.einsum("dii->di", shifted)[:] += shift[:, None]  # a view of the diagonals
    try:  # a factorization costs a fraction of the eigenvalues
        np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        if len(P) == 1:
            return np.linalg.eigvalsh(P)[:, 0] < -slack
        each = [_indefinite(P[i : i + 1], slack[i : i + 1])[0] for i in range(len(P))]
        return np.array(each, dtype=np.bool_)
    return np.zeros(len(P), dtype=np.bool_)


def positive_definite(hessian: Param) -> BoolArray:
    """Elements whose dense P is positive definite by more than rounding, shape (N,)."""
    used, index = np.unique(hessian.index, return_inverse=True)
    values, squares, _ = _in_fair_units(hessian.values[used])
    least = ROUNDING * np.finfo(np.float64).eps * np.sqrt(squares)
    shifted = values - least[:, None, None] * np.eye(values.shape[1])
    return (~_indefinite(shifted, np.zeros(len(used))) & (least > 0))[index]
