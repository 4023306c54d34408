"""Projections on the cone of the constraints that bind at a target (CaVE)."""

from __future__ import annotations

import numpy as np

from lpgd.core.extras import load
from lpgd.core.solution import FloatArray

ABSENT = 1e-7  # rows of a smaller sum of absolute values are padding


def projected(directions: FloatArray, normals: FloatArray, iterations: int | None) -> FloatArray:
    """Nearest points of the cones that normals span, one a row.

    Parameters
    ----------
    directions : (B, d) float64
    normals : (B, m, d) float64
        Rows of zeros are padding; without any other the direction is returned. What is not finite
        has no projection: NaN.
    iterations : int or None
        Steps of Clarabel's interior-point method, which in a few ends well inside the cone
        ("CaVE+"); None projects exactly.

    Raises
    ------
    MissingExtraError
        ``iterations`` are given and Clarabel is not installed.
    """
    found = np.array(directions)
    for row, (direction, own) in enumerate(zip(directions, normals, strict=True)):
        if not (np.isfinite(direction).all() and np.isfinite(own).all()):
            found[row] = np.nan
            continue
        present = own[np.abs(own).sum(axis=1) > ABSENT]
        if len(present):
            found[row] = _weights(direction, present, iterations) @ present
    return found


def _weights(direction: FloatArray, normals: FloatArray, iterations: int | None) -> FloatArray:
    """Weights >= 0 of the normals whose sum is nearest to the direction."""
    if iterations is None:
        from scipy.optimize import nnls

        return np.asarray(nnls(normals.T, direction)[0])
    from scipy.sparse import csc_matrix, identity, triu

    clarabel, m = load("clarabel", "conic", "CaVE with iterations"), len(normals)
    settings = clarabel.DefaultSettings()
    settings.max_iter, settings.verbose, settings.max_threads = iterations, False, 1
    settings.presolve_enable = settings.equilibrate_enable = False
    P = triu(csc_matrix(2 * normals @ normals.T)).tocsc()
    A, cones = (-identity(m, format="csc")).tocsc(), [clarabel.NonnegativeConeT(m)]
    q = -2 * normals @ direction
    solver = clarabel.DefaultSolver(P, q, A, np.zeros(m), cones, settings)
    return np.asarray(solver.solve().x)


def mean_normal(normals: FloatArray) -> FloatArray:
    """The mean of the normals (B, m, d) at length one, padding left out: (B, d)."""
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    unit = np.where(length > ABSENT, normals / np.maximum(length, ABSENT), 0.0)
    return unit.sum(axis=1) / np.maximum((length > ABSENT).sum(axis=1), 1)
