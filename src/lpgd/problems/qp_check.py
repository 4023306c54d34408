"""Which elements of a batch of QPs have values that no solver should see."""

from collections.abc import Callable

import numpy as np

from lpgd.params import Param, Params
from lpgd.solution import BoolArray, FloatArray

# Asymmetry and negative curvature up to this many machine epsilons of ||P|| are rounding.
ROUNDING = 1e3


def check(params: Params, resolution: float) -> tuple[Params, dict[int, str]]:
    """Symmetrise P; list unfit elements with the argument at fault.

    Parameters
    ----------
    params : Params
    resolution : float
        Machine epsilon of the caller's dtype.

    Returns
    -------
    params : Params
    unfit : dict from element to message
    """
    unfit: dict[int, str] = {}
    for name, param in params.items():
        legal = _LEGAL.get(name, np.isfinite)(param.values)
        if not legal.all():
            label = "c" if name == "q" and "P" not in params else name
            _note(unfit, param, ~legal.reshape(len(legal), -1).all(axis=1), f"{label} {_WHY[name]}")
    if "lb" in params and "ub" in params:
        crossed = (params["lb"].full() > params["ub"].full()).any(axis=1)
        for element in np.flatnonzero(crossed):
            unfit.setdefault(int(element), "lb exceeds ub")
    if "P" in params:
        params = {**params, "P": _convex(params["P"], unfit, ROUNDING * resolution)}
    return params, unfit


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
    P = hessian.values
    finite = np.isfinite(P).all(axis=(1, 2))
    if not finite.all():
        P = np.where(finite[:, None, None], P, 0.0)
    size = np.sqrt(np.einsum("dij,dij->d", P, P))
    transposed = P.swapaxes(1, 2)
    gap = np.abs(P - transposed).max(axis=(1, 2), initial=0.0)
    _note(unfit, hessian, gap > rounding * size, "P is not symmetric")
    if gap.any():
        P = 0.5 * (P + transposed)
    _note(unfit, hessian, _indefinite(P, rounding * size), "P has a negative eigenvalue")
    return Param(P, hessian.index)


def _indefinite(P: FloatArray, slack: FloatArray) -> BoolArray:
    shift = np.maximum(slack, np.finfo(np.float64).tiny)[:, None, None]
    try:  # a factorization costs a fraction of the eigenvalues
        np.linalg.cholesky(P + shift * np.eye(P.shape[-1]))
    except np.linalg.LinAlgError:
        return np.linalg.eigvalsh(P)[:, 0] < -slack
    return np.zeros(len(P), dtype=np.bool_)
