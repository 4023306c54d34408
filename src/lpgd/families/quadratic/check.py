"""Which elements of a batch of QPs or cone programs have values that no solver should see."""

from collections.abc import Callable, Mapping
from math import isfinite
from types import MappingProxyType

import numpy as np

from lpgd.core.params import Param, Params, flat
from lpgd.core.pattern import Pattern
from lpgd.core.solution import BoolArray, FloatArray, IntArray
from lpgd.families.quadratic import inertia
from lpgd.families.quadratic.specks import without

# Asymmetry and negative curvature up to this many machine epsilons of ||P|| are rounding, but
# never more than a tenth of ||P||, as they would be in bfloat16.
ROUNDING, MOST = 1e3, 0.1
MATRICES = {"P", "G", "A"}
LEAST = 1e-200  # of squares that are safe from underflow, and one over it from overflow


def check(
    params: Params,
    resolution: float,
    patterns: Mapping[str, Pattern] = MappingProxyType({}),
    cost: str | None = None,
) -> tuple[Params, dict[int, str]]:
    """Symmetrise P, leave specks out; list unfit elements with the argument at fault.

    Parameters
    ----------
    params : Params
    resolution : float
        Machine epsilon of the caller's dtype.
    patterns : mapping from argument to Pattern
        Places of the values of sparse matrices; those of P are symmetric.
    cost : str or None
        What the user calls the linear cost; None means ``q``, or ``c`` without P.

    Returns
    -------
    params : Params
    unfit : dict from element to message
    """
    unfit: dict[int, str] = {}
    with np.errstate(all="ignore"):
        for name, param in params.items():
            if not isfinite(param.values.sum()):  # one cheap pass; infinities may be right
                legal = _LEGAL.get(name, np.isfinite)(param.values)
                label = (cost or ("q" if "P" in params else "c")) if name == "q" else name
                _note(unfit, param, ~_rowwise(legal), f"{label} {_WHY[name]}")
        specks = {n: without(params[n], patterns.get(n)) for n in MATRICES & params.keys()}
        params = {**params, **specks}
        if "lb" in params and "ub" in params:
            crossed = (params["lb"].full() > params["ub"].full()).any(axis=1)
            for element in np.flatnonzero(crossed):
                unfit.setdefault(int(element), "lb exceeds ub")
        if "P" in params:
            rounding = min(ROUNDING * resolution, MOST)
            params = {**params, "P": _symmetrised(params["P"], unfit, rounding, patterns.get("P"))}
    return params, unfit


def _symmetrised(
    given: Param, unfit: dict[int, str], rounding: float, pattern: Pattern | None
) -> Param:
    if pattern is None:
        return _convex(given, unfit, rounding)
    pattern = pattern.compact
    if not inertia.dense(pattern):
        return _convex_on(pattern, given, unfit, rounding)
    full = _convex(Param(pattern.dense(given.values), given.index), unfit, rounding)
    return Param(full.values[:, pattern.rows, pattern.cols], given.index)


def _convex_on(pattern: Pattern, hessian: Param, unfit: dict[int, str], rounding: float) -> Param:
    """The same as ``_convex`` of values on symmetric places."""
    values, squares, back = _in_fair_units(hessian.values)
    slack = rounding * np.sqrt(squares)
    mirrored = values[:, pattern.mirror]
    gap = (values - mirrored).max(axis=1, initial=0.0)
    _note(unfit, hessian, gap > slack, "P is not symmetric")
    values = 0.5 * (values + mirrored)
    shift = np.maximum(slack, np.finfo(np.float64).tiny)
    _note(unfit, hessian, ~inertia.definite(pattern, values, shift), "P has a negative eigenvalue")
    return Param(values if back is None else np.ldexp(values, back), hessian.index)


def _rowwise(legal: BoolArray) -> BoolArray:
    return np.logical_and.reduce(flat(legal), axis=1)


def _note(unfit: dict[int, str], param: Param, bad: BoolArray, why: str) -> None:
    if bad.any():
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
    gap = (values - mirrored).max(axis=(1, 2), initial=0.0)  # its transpose has the other signs
    _note(unfit, hessian, gap > slack, "P is not symmetric")
    if gap.any():
        values = 0.5 * (values + mirrored)
    _note(unfit, hessian, _indefinite(values, slack), "P has a negative eigenvalue")
    return Param(values if back is None else np.ldexp(values, back), hessian.index)


def _in_fair_units(P: FloatArray) -> tuple[FloatArray, FloatArray, IntArray | None]:
    """Matrices whose sums of squares neither overflow nor vanish, these sums, and the way back.

    The way back are exponents of 2; None where nothing is changed. Matrices with an entry that is
    not finite become zero. They are given whole or by their stored values.
    """
    squares = _squares(P)
    fair = (squares > LEAST) & (squares < 1 / LEAST)
    if fair.all():
        return P, squares, None
    each = (-1, *(1,) * (P.ndim - 1))
    finite = np.where(_rowwise(np.isfinite(P)).reshape(each), P, 0.0)
    _, exponent = np.frexp(np.abs(flat(finite)).max(axis=1, initial=0.0))
    exponent = np.where(fair, 0, exponent).astype(np.intp).reshape(each)  # entries may vanish
    scaled = np.ldexp(finite, -exponent)
    return scaled, _squares(scaled), exponent


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


def positive_definite(hessian: Param, pattern: Pattern | None = None) -> BoolArray:
    """Elements whose P is positive definite by more than rounding, shape (N,)."""
    used, index = np.unique(hessian.index, return_inverse=True)
    given = hessian.values[used]
    if pattern is not None and inertia.dense(pattern):
        given, pattern = pattern.dense(given), None
    with np.errstate(all="ignore"):
        values, squares, _ = _in_fair_units(given)
    least = ROUNDING * np.finfo(np.float64).eps * np.sqrt(squares)
    if pattern is None:
        shifted = values - least[:, None, None] * np.eye(values.shape[1])
        return (~_indefinite(shifted, np.zeros(len(used))) & (least > 0))[index]
    if pattern.compact.shape != pattern.shape:
        return np.zeros(len(index), dtype=np.bool_)
    return (inertia.definite(pattern, values, -least) & (least > 0))[index]


def _squares(matrices: FloatArray) -> FloatArray:
    rows = flat(matrices)
    return np.einsum("di,di->d", rows, rows)
