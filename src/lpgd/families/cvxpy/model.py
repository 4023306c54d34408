"""A CVXPY problem as a program whose data are affine in CVXPY's parameters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from lpgd.core.params import Param, Params, flat
from lpgd.core.problem import Family, Groups, Problem
from lpgd.core.solution import BoolArray, FloatArray, Solution
from lpgd.core.tilt import Term, Tilt
from lpgd.families.conic.polyhedral import Polyhedral
from lpgd.families.cvxpy.affine import Affine, Linear

AGAINST = "it was declared without, and the problem is convex for such values alone"


@final
@dataclass(frozen=True, eq=False)
class Input:
    """A parameter as the program takes it.

    Attributes
    ----------
    parameter : int
        Place among the user's parameters.
    name : str
        What the user calls it.
    shape : tuple of int
    log : bool
        Whether its logarithm enters (geometric programs).
    sign : int
        1 or -1 where only values of this sign make a convex program, else 0.
    """

    parameter: int
    name: str
    shape: tuple[int, ...]
    log: bool = False
    sign: int = 0


@final
@dataclass(frozen=True, eq=False)
class Output:
    """A variable of the user as a linear map of the solution, entries row by row.

    Attributes
    ----------
    shape : tuple of int
    entries : Linear (size, n), or (size, m) where ``dual``
    dual : bool
        Whether it is a multiplier of a constraint.
    """

    shape: tuple[int, ...]
    entries: Linear
    dual: bool = False


@final
@dataclass(frozen=True, eq=False)
class CvxpyModel(Family):
    """Structure of a CVXPY problem: an inner program and the maps from parameters to its data.

    Its arguments are the CVXPY parameters, under the keys of ``inputs``. What depends on shared
    parameters only is shared.

    Attributes
    ----------
    inner : Problem
        A ``Conic``, or a ``Polyhedral`` in front of a QP.
    maps : mapping from P, q, A, b to Affine
    inputs : mapping from str to Input
    outputs : tuple of Output
    offset : Affine
        The constant of the objective, (1,), which no solution depends on.
    """

    inner: Problem
    maps: Mapping[str, Affine]
    inputs: Mapping[str, Input]
    outputs: tuple[Output, ...]
    offset: Affine

    @property
    def family(self) -> str:
        """``"cvxpy"``."""
        return "cvxpy"

    @property
    def program(self) -> Problem:
        """What the engines solve."""
        return self.inner.program

    @property
    def n(self) -> int:
        """Number of variables of the program."""
        return self.inner.n

    @property
    def m(self) -> int:
        """Number of its rows."""
        return self.inner.m

    @property
    def costs(self) -> tuple[str, ...]:
        """Parameters that enter the objective."""
        return self._costs

    @cached_property
    def _costs(self) -> tuple[str, ...]:
        objective = [self.maps[name] for name in self.inner.costs if name in self.maps]
        return tuple(key for key in self.inputs if any(key in form.parts for form in objective))

    def data(self, params: Params) -> dict[str, Param]:
        """P, q, A and b of the cone program."""
        batch = next((len(param.index) for param in params.values()), 1)
        return {name: form(params, batch) for name, form in self.maps.items()}

    def check(self, params: Params, resolution: float) -> tuple[Params, Mapping[int, str]]:
        """Data of the program, and what is wrong with unfit elements."""
        unfit: dict[int, str] = {}
        for key, param in params.items():
            values, sign = flat(param.values), self.inputs[key].sign
            self._mark(unfit, key, param, np.isfinite(values), "has a NaN or infinite entry")
            if sign:
                fault = f"has {'negative' if sign > 0 else 'positive'} entries: {AGAINST}"
                self._mark(unfit, key, param, ~(sign * values < 0), fault)
        data = self.data(params)
        fixed = (
            {"P": Param(self._hessian, data.pop("P").index)} if self._hessian is not None else {}
        )
        checked, more = self.inner.check(data, resolution)
        told = {element: self._traced(note) for element, note in more.items()}
        return {**checked, **fixed}, {**told, **unfit}

    def _mark(
        self, unfit: dict[int, str], key: str, param: Param, good: BoolArray, fault: str
    ) -> None:
        """Say what is wrong with elements of which an entry is not good."""
        if not good.all():
            bad: BoolArray = ~np.logical_and.reduce(good, axis=1)
            for element in np.flatnonzero(bad[param.index]):
                unfit.setdefault(int(element), f"{self._label(key)} {fault}")

    @cached_property
    def _hessian(self) -> FloatArray | None:
        """P of the program where no parameter enters it: convex by CVXPY's rules, so unchecked."""
        form = self.maps.get("P")
        if form is None or form.parts:
            return None
        values = form.constant[None]
        if isinstance(self.inner, Polyhedral) and self.inner.dense:
            return self.inner.conic.patterns["P"].dense(values)
        return values

    def _traced(self, note: str) -> str:
        """What is said of the program's data, with the parameters that these come from."""
        data, _, fault = note.partition(" ")
        form = self.maps.get(data)
        sources = ", ".join(self._label(key) for key in form.parts) if form else ""
        return f"{data} of the compiled program, made of {sources}, {fault}" if sources else note

    def _label(self, key: str) -> str:
        given = self.inputs[key]
        name = f"parameter {given.name}"
        return f"the logarithm of {name}" if given.log else name

    def tilt(self, params: Params, tilt: Tilt) -> tuple[Problem, Params]:
        """Tilted program; ``params`` are the data that ``check`` returned."""
        return self.program.tilt(params, tilt)

    def lagrangian(self, params: Params, point: Solution, tilt: Tilt) -> FloatArray:
        """Value of the tilted Lagrangian; ``params`` are the data that ``check`` returned."""
        return self.program.lagrangian(params, point, tilt)

    def grad(
        self, params: Params, terms: Sequence[Term], wanted: Mapping[str, Groups]
    ) -> dict[str, FloatArray]:
        """Gradients of parameters: those of the data they enter, through the transposed maps.

        ``params`` are the data that ``check`` returned. Summed for a shared parameter before the
        transposed map.
        """
        gradients: dict[str, FloatArray] = {}
        for groups, names in _alike(wanted):
            entered = {d: m for d, m in self.maps.items() if any(k in m.parts for k in names)}
            parts = self.inner.grad(params, terms, dict.fromkeys(entered, groups))
            for name in names:
                shape = (len(groups), *self.inputs[name].shape)
                pulled = [
                    form.parts[name].pull(parts[argument])
                    for argument, form in entered.items()
                    if name in form.parts
                ]
                gradients[name] = sum(pulled[1:], pulled[0] if pulled else np.zeros(shape)).reshape(
                    shape
                )
        return gradients


def _alike(wanted: Mapping[str, Groups]) -> Iterator[tuple[Groups, list[str]]]:
    """Arguments whose gradients sum over the same rows."""
    kinds: list[tuple[Groups, list[str]]] = []
    for name, groups in wanted.items():
        for known, names in kinds:
            if known.shape == groups.shape and np.array_equal(known, groups):
                names.append(name)
                break
        else:
            kinds.append((groups, [name]))
    yield from kinds
