"""What frontends need for a user's Lagrangian: the tilt that his procedure sees, and the view."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast, final

import numpy as np

from lpgd.core.engine import Engine
from lpgd.core.errors import StructureError
from lpgd.core.solution import FloatArray
from lpgd.core.tilt import Cotangent
from lpgd.engines.lagrangian.procedure import Asked, ProcedureEngine, Told
from lpgd.frontend.batches import Shape
from lpgd.frontend.trees import Flatten, Layout, Structure, flatten
from lpgd.map.forward import Forward

Wrap = Callable[[FloatArray], Any]
Read = Callable[[Any], FloatArray]


def engine(procedure: Callable[..., Any], *, together: bool, checked: bool) -> Engine:
    """A procedure as an engine; see ``ProcedureEngine``."""
    return cast(Engine, ProcedureEngine(procedure, together, checked))


@final
@dataclass(frozen=True)
class Perturbation:
    """What is added to a Lagrangian: t (<dx, x> + <dy, y>) + rho/2 ||x - anchor||^2, or t loss(x).

    It is false in the forward pass, where nothing is added and the methods change nothing.

    Attributes
    ----------
    t, rho : float
    dx, dy : tensor or tree, or None
        Like x and y; None in the forward pass, and beside a loss.
    anchor : tensor or tree, or None
        Like x.
    start : (x, y) or None
        The forward solution, from where to start.
    loss : callable or None
        A function of x that is added in whole, by ``EnvelopeLoss``.
    """

    t: Any = 0.0
    rho: Any = 0.0
    dx: Any = None
    dy: Any = None
    anchor: Any = None
    start: Any = None
    wrap: Wrap = field(default=np.asarray, repr=False)
    flat: Flatten = field(default=flatten, repr=False)
    loss: Callable[[Any], Any] | None = None

    def __bool__(self) -> bool:
        return self.dx is not None or self.loss is not None

    def cost(self, q: Any) -> Any:
        """Linear costs <q, x>: q + t dx - rho anchor, for a tree like x."""
        if not self:
            return q
        if self.loss is not None:
            raise ValueError(
                "a loss is added in whole, which no linear costs express: solve the problem of "
                "tilt.objective(f) or tilt.lagrangian(L)"
            )
        return self._mapped(
            lambda a, d, b: a + self._times(self.t, d) - self._times(self.rho, b),
            q, self.dx, self.anchor,
        )  # fmt: skip

    def hessian(self, P: Any) -> Any:
        """Quadratic costs 1/2 x'Px: P + rho I, for a matrix (n, n)."""
        concrete = isinstance(self.rho, (float, np.ndarray))
        if not self or (concrete and not np.any(self.rho)):
            return P
        rho = np.asarray(self.rho) if concrete else self.rho
        eye = rho[..., None, None] * np.eye(P.shape[-1])
        return P + (eye if isinstance(P, np.ndarray) else self.wrap(eye))

    def side(self, b: Any) -> Any:
        """Right-hand sides of terms y (a(x) - b), as of Ax = b, Gx <= h, x <= ub: b - t dy."""
        return (
            self._mapped(lambda a, d: a - self._times(self.t, d), b, self.dy)
            if self.dy is not None
            else b
        )

    def lower(self, b: Any) -> Any:
        """Left-hand sides of terms y (b - a(x)), as of lb <= x: b + t dy."""
        return (
            self._mapped(lambda a, d: a + self._times(self.t, d), b, self.dy)
            if self.dy is not None
            else b
        )

    def objective(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """A function x -> f(x) with t <dx, x> + rho/2 ||x - anchor||^2, or t loss(x), added."""
        if not self:
            return f
        if self.loss is not None:
            loss, t = self.loss, self.t
            return lambda x, *rest: f(x, *rest) + t * loss(x)

        def tilted(x: Any, *rest: Any) -> Any:
            gap = self._mapped(lambda a, b: a - b, x, self.anchor)
            loss, near = self._dot(x, self.dx), self._dot(gap, gap)
            return f(x, *rest) + self._times(self.t, loss) + self._times(self.rho, 0.5 * near)

        return tilted

    def constraint(self, g: Callable[..., Any]) -> Callable[..., Any]:
        """A function x -> g(x) of terms y g(x), as of g(x) <= 0 or = 0, with t dy added."""
        if self.dy is None:
            return g
        return lambda x, *rest: self._mapped(
            lambda a, d: a + self._times(self.t, d), g(x, *rest), self.dy
        )

    def lagrangian(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """A function x, y -> L(x, y) with everything added."""
        if not self:
            return f

        def tilted(x: Any, y: Any, *rest: Any) -> Any:
            own = self.objective(lambda at: f(at, y, *rest))
            if self.dy is None:
                return own(x)
            return own(x) + self._times(self.t, self._dot(y, self.dy))

        return tilted

    def _times(self, size: Any, part: Any) -> Any:
        """A size, or one an element, times an array."""
        if np.ndim(size) == 0:
            return size * part
        each = np.reshape(size, (-1, *(1,) * (part.ndim - 1)))
        return (each if isinstance(part, np.ndarray) else self.wrap(each)) * part

    def _dot(self, tree: Any, other: Any) -> Any:
        """The inner product of two trees, of each element where there are several."""
        own = np.shape(self.t)
        pairs = zip(self.flat(tree)[0], self.flat(other)[0], strict=True)
        return sum((leaf * _kin(leaf, part)).reshape((*own, -1)).sum(-1) for leaf, part in pairs)

    def _mapped(self, change: Callable[..., Any], tree: Any, *others: Any) -> Any:
        """A change of each leaf of a tree, with those of others as arrays of its kind."""
        leaves, shape = self.flat(tree)
        beside = [self.flat(other)[0] for other in others]
        if any(len(parts) != len(leaves) for parts in beside):
            raise ValueError(f"expected a tree of {len(beside[0])} leaves, got {len(leaves)}")
        each = zip(leaves, *beside, strict=True)
        return shape.build([change(leaf, *(_kin(leaf, p) for p in ps)) for leaf, *ps in each])


def _kin(leaf: Any, part: Any) -> Any:
    """An array of the kind of a leaf: numpy's for numpy's."""
    alien = isinstance(leaf, (np.ndarray, float, int)) and hasattr(part, "numpy")
    return part.numpy() if alien else part


@final
@dataclass(frozen=True)
class SaddleView:
    """The leaves of x and of y, entries row by row."""

    x: Layout
    y: Layout

    @property
    def outputs(self) -> int:
        return len(self.x.shapes) + len(self.y.shapes)

    def gather(self, forward: Forward) -> list[np.ndarray]:
        x, y = forward.solution.x, forward.solution.y
        return [x[:, s] for s in self.x.slices()] + [y[:, s] for s in self.y.slices()]

    def cotangent(self, rows: np.ndarray, parts: Sequence[np.ndarray]) -> Cotangent:
        count, none = len(self.x.shapes), np.zeros((len(rows), 0))
        dx, dy = (np.concatenate([none, *some], axis=1) for some in (parts[:count], parts[count:]))
        return Cotangent(rows, dx, dy)

    def perturbation(self, asked: Asked, wrap: Wrap) -> Perturbation:
        """What a procedure is told of the tilt."""
        start = None
        if asked.start is not None:
            start = (self.x.split(asked.start[0], wrap), self.y.split(asked.start[1], wrap))
        flat = self.x.tree.of
        if asked.tilt is None:
            return Perturbation(start=start, wrap=wrap, flat=flat)
        tilt: Mapping[str, Any] = asked.tilt
        x, y = (lambda part: self.x.split(part, wrap)), (lambda part: self.y.split(part, wrap))
        t, rho = (_number(tilt[name]) for name in ("t", "rho"))
        return Perturbation(
            t, rho, x(tilt["dx"]), y(tilt["dy"]), x(tilt["anchor"]), start, wrap, flat
        )


@final
@dataclass(frozen=True, eq=False)
class Procedure:
    """A user's ``solve`` in arrays.

    Attributes
    ----------
    solve : callable
        From a tuple of parameters and a ``Perturbation`` to x, (x, y) or (x, y, value).
    view : SaddleView
    params : Structure
        Of the tuple of parameters.
    names : tuple of str
        The problem's names of their leaves.
    wrap, read : callable
        From an array to one of the framework, and back.
    together : bool
        Whether ``solve`` takes all elements at once.
    """

    solve: Callable[..., Any]
    view: SaddleView
    params: Structure
    names: tuple[str, ...]
    wrap: Wrap
    read: Read
    together: bool = False

    def __call__(self, asked: Asked) -> Told:
        """Ask it."""
        arrays = [asked.data[name] for name in self.names]
        lead = arrays[0].shape[:1] if self.together else ()
        tilt = self.view.perturbation(asked, self.wrap)
        x, y, value = self.answer(arrays, tilt)
        x = self.view.x.join(x, "x as returned by solve", lead)
        y = self.view.y.join(y, "y as returned by solve", lead)
        return Told(x, y, None if value is None else self.read(value))

    def answer(self, arrays: Sequence[FloatArray], tilt: Perturbation) -> tuple[Any, Any, Any]:
        """x and y in trees of arrays, and perhaps a value."""
        found = self.solve(self.params.build([self.wrap(a) for a in arrays]), tilt)
        x, y, value = answered(found)
        trees = (self.params.of(part) for part in (x, y))
        x, y = (tree.build([self.read(leaf) for leaf in leaves]) for leaves, tree in trees)
        return x, y, value


def real(array: np.ndarray) -> FloatArray:
    """Numbers of a procedure in float64.

    Raises
    ------
    StructureError
        They are complex: what is imaginary must not be lost.
    """
    if np.iscomplexobj(array):
        raise StructureError("solve must return real numbers, got complex ones")
    try:
        return np.asarray(array, np.float64)
    except (TypeError, ValueError):
        raise StructureError(f"solve must return numbers, got {array!r}") from None


def answered(found: Any) -> tuple[Any, Any, Any]:
    """(x, y, value) of what a procedure returned."""
    if found is None:
        raise StructureError("solve must return x, (x, y) or (x, y, value), got None")
    if isinstance(found, tuple) and len(found) in (2, 3):
        return found if len(found) == 3 else (*found, None)
    return found, None, None


def _number(value: FloatArray) -> Any:
    return float(value) if np.ndim(value) == 0 else value


def signed(spec: Any, y: Layout) -> np.ndarray:
    """Which entries of y (m,) are >= 0: a bool for all, or a tree of bools or masks like y.

    Raises
    ------
    StructureError
        The tree is not like y.
    """
    if isinstance(spec, (bool, np.bool_)):
        return np.full(y.size, bool(spec))
    leaves, tree = y.tree.of(spec)
    if tree != y.tree:
        names = ", ".join(y.tree.names("y"))
        raise ValueError(f"nonnegative must be a bool or a tree like y ({names}), got {spec!r}")
    pairs = zip(y.tree.names("y"), leaves, y.shapes, strict=True)
    masks = [_mask(name, np.asarray(leaf), shape) for name, leaf, shape in pairs]
    return np.concatenate([np.zeros(0, bool), *(mask.ravel() for mask in masks)])


def _mask(name: str, given: np.ndarray, shape: Shape) -> np.ndarray:
    """Which entries of one leaf of y are >= 0."""
    try:
        if given.dtype.kind not in "bui":
            raise ValueError
        return np.broadcast_to(given.astype(bool), shape)
    except ValueError:
        raise ValueError(
            f"nonnegative must hold a bool or a mask of shape {shape} for {name}, got "
            f"shape {given.shape} and dtype {given.dtype}"
        ) from None
