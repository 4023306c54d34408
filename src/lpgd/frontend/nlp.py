"""What frontends need for nonlinear programs: their structure, from functions or expressions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lpgd.core.options import whole
from lpgd.engines.lagrangian.symbolic import ALONE, Symbolic
from lpgd.families.lagrangian.constrained import Constrained, Functions, program
from lpgd.families.lagrangian.lagrangian import Lagrangian
from lpgd.families.lagrangian.model import Model
from lpgd.frontend.batches import Shape


def check(n: Any, f: Any, g: Any, h: Any) -> None:
    """Refuse what is no number of variables, and functions that cannot be called.

    Raises
    ------
    ValueError, TypeError
    """
    whole("n", n)
    for name, function in {"f": f, "g": g, "h": h}.items():
        if not callable(function) and (name == "f" or function is not None):
            raise TypeError(f"{name} must be a callable, got {function!r}")


def functional(
    model: Model,
    functions: Functions,
    sizes: tuple[int, int, int],
    names: tuple[str, ...],
    bounds: tuple[str, ...],
) -> Lagrangian:
    """The structure of programs of functions.

    Parameters
    ----------
    model : Model
        Of f + y'c.
    functions : Functions
    sizes : tuple of int
        Variables, rows of h, rows of g.
    names, bounds : tuple of str
        Of all arguments, and of those that are bounds.
    """
    n, equalities, others = sizes
    rows = Constrained(model, functions, n, equalities + others, bounds)
    return program(rows, equalities, names, "NLP")


@dataclass(frozen=True)
class Expressions:
    """A program of CasADi expressions."""

    symbolic: Symbolic

    @property
    def n(self) -> int:
        """Number of variables."""
        return self.symbolic.n

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Of the parameters of one element."""
        return self.symbolic.shapes

    def problem(self, names: tuple[str, ...], bounds: tuple[str, ...]) -> Lagrangian:
        """The structure of programs with these arguments."""
        made = self.symbolic
        rows = Constrained(made, made, made.n, made.rows, bounds, made)
        return program(rows, made.equalities, names, "symbolic NLP")


def symbolic(x: Any, params: Sequence[Any], f: Any, g: Any, h: Any) -> Expressions:
    """A program of expressions; see ``Symbolic.of``."""
    with ALONE:
        return Expressions(Symbolic.of(x, params, f, h, g))
