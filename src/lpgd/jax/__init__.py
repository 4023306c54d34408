"""Functions and layers for JAX, and the sparse argument ``Sparse``."""

from lpgd.core.errors import MissingExtraError

try:
    import jax as _jax  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "jax":
        raise
    raise MissingExtraError(
        'lpgd.jax needs jax, which is not installed: pip install "lpgd[jax]"'
    ) from error

from lpgd.jax import losses
from lpgd.jax.conic import ConicSolution, solve_conic
from lpgd.jax.cvxpy import CvxpyLayer
from lpgd.jax.envelope import EnvelopeLoss
from lpgd.jax.errors import errors
from lpgd.jax.nonlinear import NonlinearProgram, solve_nlp
from lpgd.jax.oracle import argmin
from lpgd.jax.own import initial_state
from lpgd.jax.quadratic import DualSolution, solve_lp, solve_qp
from lpgd.jax.saddle import SaddlePoint, saddle
from lpgd.jax.sparse import Sparse

__all__ = [
    "ConicSolution",
    "CvxpyLayer",
    "DualSolution",
    "EnvelopeLoss",
    "NonlinearProgram",
    "SaddlePoint",
    "Sparse",
    "argmin",
    "errors",
    "initial_state",
    "losses",
    "saddle",
    "solve_conic",
    "solve_lp",
    "solve_nlp",
    "solve_qp",
]
