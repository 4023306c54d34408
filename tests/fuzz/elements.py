"""One program of a batch, and what is known of it before anything has solved it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

Arrays = Mapping[str, np.ndarray]
TINIEST, LARGEST = 1e-290, 1e290  # beyond, rescaled numbers lose digits


@dataclass(frozen=True)
class Element:
    """A program in its own units, planted in fair ones.

    Attributes
    ----------
    data : mapping from argument to array
    verdict : {"solvable", "infeasible", "unbounded", "invalid", "unknown"}
    point : mapping from output to array, or None
        A saddle point, in fair units.
    exact : bool
        Whether x is unique and well conditioned, so that it can be compared.
    smooth : bool
        Whether x and multipliers depend smoothly on the data.
    strict : bool
        Whether P is positive definite.
    fair : bool
        Whether a refusal is a fault: the program is well posed in its own units.
    fit : mapping from name to array or float
        Data, outputs = the fair ones times these.
    origin : mapping from argument to array
        The data in fair units.
    traits : tuple of str
    """

    data: Arrays
    verdict: str = "solvable"
    point: Arrays | None = None
    exact: bool = False
    smooth: bool = False
    strict: bool = False
    fair: bool = True
    fit: Arrays = field(default_factory=dict)
    origin: Arrays = field(default_factory=dict)
    traits: tuple[str, ...] = ()

    def known(self, verdict: str, *traits: str, fair: bool = True) -> "Element":
        """The same with another verdict, of which no solution is known."""
        return replace(
            self, verdict=verdict, point=None, exact=False, smooth=False,
            fair=fair and verdict != "unknown", traits=self.traits + traits,
        )  # fmt: skip

    def with_data(self, **changed: np.ndarray) -> "Element":
        """The same with other data."""
        return replace(self, data={**self.data, **changed})

    def rescaled(self, fit: Arrays, *traits: str, fair: bool) -> "Element":
        """The program in other units: data and outputs times ``fit``."""
        with np.errstate(all="ignore"):
            wide = {k: v * fit.get(k, 1.0) for k, v in self.data.items()}
            data = {k: v.astype(np.float64) for k, v in wide.items()}
            point = (self.point or {}).items()
            answer = [v * fit[k] for k, v in point if k in fit]
        # numbers hold no answer that is a speck
        fair &= not any(_blurred(v.astype(np.float64), v) for v in answer)
        moved = replace(
            self, data=data, fit=fit, fair=self.fair and fair, traits=self.traits + traits
        )
        blurred = [
            _blurred(data[k], wide[k])
            for k, v in self.data.items()
            if not self.fair or not (np.abs(v) > TINIEST).any()
        ]
        if any(blurred) or any(map(_lost, data.values(), self.data.values())):
            return moved.known("unknown", "lost digits", fair=False)
        return moved

    def rounded(self, dtypes: Mapping[str, str]) -> "Element":
        """The program whose data fit into the dtypes of a call."""
        import torch

        data = {
            name: torch.from_numpy(np.array(value))
            .to(getattr(torch, dtypes[name]))
            .double()
            .numpy()
            for name, value in self.data.items()
        }
        if all(np.array_equal(data[k], v, equal_nan=True) for k, v in self.data.items()):
            return self
        rounded = replace(
            self, data=data, exact=False, smooth=False, traits=(*self.traits, "rounded")
        )
        # what is too small for a dtype is zero there, and another program
        whole = all(((data[k] == 0) == (v == 0)).all() for k, v in self.data.items())
        robust = whole and self.smooth and self.strict
        robust |= self.verdict == "invalid" and _invalid(data)
        return rounded if robust else rounded.known("unknown")


def _lost(moved: np.ndarray, original: np.ndarray) -> bool:
    sizes = np.abs(moved[np.isfinite(original) & (np.abs(original) > TINIEST)])
    return bool(sizes.size and (sizes.min() < TINIEST or sizes.max() > LARGEST))


def _blurred(moved: np.ndarray, exactly: np.ndarray) -> bool:
    """Whether specks lost digits, which matters in rows of nothing else."""
    specks = (exactly != 0) & (np.abs(exactly) < TINIEST)
    moved, exactly = moved[specks], exactly[specks]
    return bool((np.abs(moved - exactly) > 1e-12 * np.abs(exactly)).any())


def _invalid(data: Arrays) -> bool:
    """Whether data are invalid in any precision; an asymmetric P may be symmetric to rounding."""
    crossed = "lb" in data and "ub" in data and (data["lb"] > data["ub"]).any()
    return bool(crossed or any(np.isnan(v).any() for v in data.values()))
