"""How many steps of the library one call takes: calls, files, and changes from file to file.

    PYTHONPATH=src python benchmarks/hops.py [--by-folder] [--trace]

Counts Python calls of functions of ``lpgd``, seen by ``sys.setprofile``, in the forward and the
backward pass of one ``QPLayer`` call and of one ``CvxpyLayer`` call with a second-order cone.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch

import lpgd
from lpgd.torch import CvxpyLayer, QPLayer

ROOT = Path(lpgd.__file__).parent


@dataclass
class Trace:
    """Functions of the library in the order of their calls."""

    codes: list[CodeType] = field(default_factory=list)

    def see(self, frame: FrameType, event: str, _: Any) -> None:
        """Take a call into account; for ``sys.setprofile``."""
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(ROOT)):
            self.codes.append(frame.f_code)

    @property
    def files(self) -> list[str]:
        """The file of each call."""
        return [str(Path(code.co_filename).relative_to(ROOT)) for code in self.codes]

    def __str__(self) -> str:
        files = self.files
        changes = sum(a != b for a, b in pairwise(files))
        return f"{len(files):4} calls {len(set(files)):4} files {changes:4} changes"


def traced(run: Callable[[], Any]) -> tuple[Trace, Any]:
    """What a call does, and what it returns."""
    trace = Trace()
    sys.setprofile(trace.see)
    try:
        result = run()
    finally:
        sys.setprofile(None)
    return trace, result


def quadratic() -> Callable[[], torch.Tensor]:
    """A batch of dense QPs with inequalities and one equality."""
    draw = torch.Generator().manual_seed(0)
    root, G, q, A = (
        torch.randn(*shape, generator=draw, dtype=torch.float64)
        for shape in ((8, 8), (6, 8), (4, 8), (1, 8))
    )
    P, h, b = root @ root.T + torch.eye(8), torch.ones(6).double(), torch.zeros(1).double()
    layer, given = QPLayer(lpgd.LPGD(0.1)), q.requires_grad_()
    return lambda: layer(P, given, G, h, A, b)


def second_order() -> Callable[[], torch.Tensor]:
    """A batch of CVXPY programs with one second-order cone."""
    import cvxpy as cp

    x, p = cp.Variable(4), cp.Parameter(4)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [cp.norm(x) <= 1])
    layer = CvxpyLayer(problem, [p], [x], rule=lpgd.LPGD(0.1))
    given = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    return lambda: layer(given)[0]


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by-folder", action="store_true", help="calls of each folder")
    parser.add_argument("--trace", action="store_true", help="every call in its order")
    chosen = parser.parse_args()
    for name, make in {"QPLayer": quadratic, "CvxpyLayer, one SOC": second_order}.items():
        call = make()
        call().sum().backward()  # what happens once a layer is not counted
        forward, x = traced(call)
        backward, _ = traced(x.square().sum().backward)
        for what, trace in {"forward": forward, "backward": backward}.items():
            print(f"{name:20} {what:9} {trace}")
            if chosen.by_folder:
                folders = Counter(str(Path(file).parent) for file in trace.files)
                print("   ", ", ".join(f"{k} {n}" for k, n in folders.most_common()))
            if chosen.trace:
                for code, file in zip(trace.codes, trace.files, strict=True):
                    print(f"    {file}:{code.co_firstlineno} {code.co_qualname}")


if __name__ == "__main__":
    main()
