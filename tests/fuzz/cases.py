"""A call to be made: programs, how they are batched and stored, options and cotangents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np
import torch

from lpgd import Cones
from tests.fuzz.calls import OUTPUTS, Outcome, call, layer_of, sparse
from tests.fuzz.elements import Element
from tests.fuzz.layouts import laid_out
from tests.fuzz.models import Model

ORDER = ("P", "q", "c", "G", "h", "A", "b", "lb", "ub")


@dataclass(frozen=True)
class Case:
    """Elements of one form, and a call of a layer that solves them.

    Attributes
    ----------
    layer : {"qp", "lp", "conic"}
    elements : tuple of Element
        As many as ``shape`` has entries.
    shape : tuple of int
        Batch dimensions of the answer.
    shared : mapping from argument to tuple of int
        Batch dimensions of the arguments that have fewer, or some of size one.
    options : mapping
        Of the layer; the rule is a text.
    dtypes, layouts : mapping from argument to str
    wanted : frozenset of str
        Arguments whose gradient is asked for.
    cotangents : mapping from output to (B, k) array
    patterns : mapping from argument to scipy matrix
    """

    layer: str
    elements: tuple[Element, ...]
    shape: tuple[int, ...]
    options: Mapping[str, Any]
    shared: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)
    layouts: Mapping[str, str] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    cotangents: Mapping[str, np.ndarray] = field(default_factory=dict)
    patterns: Mapping[str, Any] = field(default_factory=dict)
    cones: Cones | None = None
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    model: Model | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Outputs in their order."""
        return OUTPUTS[self.layer] if self.model is None else tuple(self.model.outputs)

    def core(self, name: str) -> tuple[int, ...]:
        """Shape of an output of one element."""
        if self.model is not None:
            return self.model.outputs[name]
        side = {"x": "q", "z_box": "q", "z": "h"}.get(name, "b")
        return self.sizes.get(side, (0,))

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the answer."""
        kinds = [getattr(torch, kind) for kind in self.dtypes.values()] or [torch.float64]
        return reduce(torch.promote_types, kinds)

    @property
    def precision(self) -> float:
        """Machine epsilon of the answer."""
        return torch.finfo(self.dtype).eps

    def held(self, name: str) -> bool:
        """Whether the dtype of an argument holds the gradients that numpy holds."""
        return self.dtypes.get(name, "float64") == "float64"

    def arrays(self) -> dict[str, np.ndarray]:
        """Each argument with its own batch dimensions."""
        found = dict[str, np.ndarray]()
        for name, core in self.sizes.items():
            rows = [e.data[name] for e in self.elements[: prod(self.shape)]]
            full = np.array(rows).reshape((*self.shape, *core))
            own = self.shared.get(name, self.shape)
            lead = (0,) * (len(self.shape) - len(own))
            at = lead + tuple(
                slice(None) if k == size else slice(0, k)
                for k, size in zip(own, self.shape[len(lead) :], strict=True)
            )
            found[name] = np.asarray(full[at])
        return found

    def leaves(self) -> dict[str, torch.Tensor]:
        """Tensors of the data."""
        found = dict[str, torch.Tensor]()
        for name, values in self.arrays().items():
            if name in self.patterns:
                places = self.patterns[name].tocoo()
                values = values[..., places.row, places.col]
            dtype, layout = self.dtypes.get(name, "float64"), self.layouts.get(name, "contiguous")
            found[name] = laid_out(values, dtype, layout).requires_grad_(name in self.wanted)
        return found

    def run(self) -> Outcome:
        """Make the call."""
        leaves = self.leaves()
        cotangents = {
            k: laid_out(
                v.reshape((*self.shape, *v.shape[1:])), "float64", self.layouts.get(k, "contiguous")
            )
            for k, v in self.cotangents.items()
        }
        return call(self.made(), self._arguments(leaves), leaves, cotangents, self.names)

    def made(self) -> torch.nn.Module:
        """A layer with these options."""
        if self.model is not None:
            return self.model.layer(self.options)
        options = self.options if self.cones is None else {**self.options, "cones": self.cones}
        return layer_of(self.layer, options)

    def _arguments(self, leaves: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        if self.model is not None:
            return {"*": tuple(leaves.values())}
        arguments: dict[str, Any] = {
            k: sparse(self.patterns[k], t) if k in self.patterns else t for k, t in leaves.items()
        }
        if self.layer == "lp":
            arguments["c"] = arguments.pop("q")
        if self.layer == "conic":
            arguments.setdefault("P", None)
        return {**arguments, "return_duals": True}

    def of(
        self, rows: Sequence[int], shape: tuple[int, ...] | None = None, **options: Any
    ) -> "Case":
        """Some elements with data of their own, plainly stored."""
        return replace(
            self,
            elements=tuple(self.elements[i] for i in rows),
            shape=(len(rows),) if shape is None else shape,
            shared={},
            layouts={},
            cotangents={k: v[list(rows)] for k, v in self.cotangents.items()},
            options={**self.options, **options},
        )

    def flat(self, values: np.ndarray, name: str) -> np.ndarray:
        """An output or a gradient of an argument that nobody shares, one row an element."""
        core = values.shape[len(self.shape) :]
        return values.reshape(prod(self.shape), *core)

    def without(self, element: int) -> "Case":
        """The same call with one element less."""
        keep = [i for i in range(len(self.elements)) if i != element]
        return self.of(keep)


def dense_sizes(element: Element) -> dict[str, tuple[int, ...]]:
    """Core shape of each argument, in the order of the layers' signatures."""
    return {k: element.data[k].shape for k in ORDER if k in element.data}
