"""What is known of a Lagrangian: value and derivatives, which a frontend brings as callables."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np

from lpgd.core.params import Params
from lpgd.core.solution import BoolArray, FloatArray


class Curvature(NamedTuple):
    """Second derivatives of N Lagrangians.

    Attributes
    ----------
    xx : (N, n, n) float64
    yx : (N, m, n) float64
        Of constraints their Jacobian.
    yy : (N, m, m) float64
        Zero where multipliers enter linearly.
    """

    xx: FloatArray
    yx: FloatArray
    yy: FloatArray


class Model(Protocol):
    """A Lagrangian L(x, y, w) and its derivatives, at N points (N, n) and (N, m) at once.

    ``params`` hold the data of these rows.
    """

    def value(self, params: Params, x: FloatArray, y: FloatArray) -> FloatArray:
        """L, shape (N,)."""
        ...

    def slopes(self, params: Params, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The gradients in x (N, n) and in y (N, m)."""
        ...

    def curvature(self, params: Params, x: FloatArray, y: FloatArray) -> Curvature:
        """The second derivatives in x and y."""
        ...

    def gradient(
        self,
        params: Params,
        point: tuple[FloatArray, FloatArray],
        weight: FloatArray,
        wanted: Iterable[str],
    ) -> dict[str, FloatArray]:
        """The gradients in the distinct values of arguments of the sum of weight times L."""
        ...


class Smooth(Protocol):
    """A family whose Lagrangian has these derivatives, of data that may be tilted."""

    @property
    def n(self) -> int:
        """Length of x."""
        ...

    @property
    def m(self) -> int:
        """Length of y."""
        ...

    @property
    def nonnegative(self) -> BoolArray:
        """Entries of y that are >= 0, shape (m,)."""
        ...

    @property
    def twins(self) -> tuple[slice, slice] | None:
        """Rows of lower and of upper bounds, where there are both."""
        ...

    def slopes(self, params: Params, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See ``Model.slopes``."""
        ...

    def curvature(self, params: Params, x: FloatArray, y: FloatArray) -> Curvature:
        """See ``Model.curvature``."""
        ...


def blocks(hessian: FloatArray, n: int) -> Curvature:
    """Of matrices (N, n + m, n + m) of second derivatives in (x, y)."""
    return Curvature(*map(np.ascontiguousarray, (
        hessian[:, :n, :n], hessian[:, n:, :n], hessian[:, n:, n:]
    )))  # fmt: skip
