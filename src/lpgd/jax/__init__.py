"""Functions for JAX. Experimental."""

from lpgd.core.errors import MissingExtraError

try:
    import jax as _  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "jax":
        raise
    raise MissingExtraError(
        'lpgd.jax needs jax, which is not installed: pip install "lpgd[jax]"'
    ) from error

from lpgd.jax.qp import solve_qp

__all__ = ["solve_qp"]
