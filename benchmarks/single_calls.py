"""One training step on one small problem: this library's CvxpyLayer against cvxpylayers.

    python benchmarks/single_calls.py [--size "ADP"] [--rounds 30]

The problems are those of cvxpylayers' notebooks (see ``_single_problems.py``), both layers with
their defaults. Process time, the least of all rounds, in turns; milliseconds. ``off`` is how far
the gradients of the two are apart, relatively: cvxpylayers' are as accurate as its solver, and at a
vertex the default rule answers another question.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _harness import parse_options
from _single_problems import PROBLEMS, Single

Step = Callable[[], tuple[float, float]]


def layers(single: Single) -> dict[str, Callable[[], Any]]:
    """How each library makes a layer of a problem."""
    from cvxpylayers.torch import CvxpyLayer as Peer

    from lpgd.torch import CvxpyLayer as Ours

    given = single.problem, list(single.values), single.outputs
    return {
        "ours": lambda: Ours(*given, **single.options),
        "peer": lambda: Peer(*given, **single.options),
    }


def stepper(layer: Any, single: Single) -> tuple[Step, list[torch.Tensor]]:
    """One training step: process seconds of both passes; and the tensors that get gradients."""
    data = [torch.tensor(value, dtype=torch.float64).requires_grad_() for value in
            single.values.values()]  # fmt: skip

    def step() -> tuple[float, float]:
        for tensor in data:
            tensor.grad = None
        start = time.process_time()
        outputs = layer(*data)
        middle = time.process_time()
        sum(out.square().sum() for out in outputs).backward()
        return middle - start, time.process_time() - middle

    return step, data


def main() -> None:
    """Run the chosen problems and print a table."""
    options = parse_options("Single calls of CVXPY layers.", rounds=30)
    torch.set_num_threads(1)
    print(f"{'':20} {'ours':>15} {'peer':>15} {'ratio':>7} {'build':>13} {'ratio':>6} {'off':>8}")
    ratios = []
    for name, draw in PROBLEMS.items():
        if options.size and name not in options.size:
            continue
        single = draw(np.random.default_rng(options.seed))
        makers, built = layers(single), {"ours": [], "peer": []}
        for _ in range(4):
            for who in built:  # CVXPY keeps compilations with a problem: a new one each time
                make = layers(draw(np.random.default_rng(options.seed)))[who]
                start = time.process_time()
                make()
                built[who].append(time.process_time() - start)
        steps = {who: stepper(make(), single) for who, make in makers.items()}
        times = {who: [] for who in makers}
        for _ in range(options.rounds):
            for who, (step, _) in steps.items():
                times[who].append(step())
        grads = {who: torch.cat([t.grad.ravel() for t in data]) for who, (_, data) in steps.items()}
        off = float((grads["ours"] - grads["peer"]).norm() / grads["peer"].norm().clamp(min=1e-9))
        least = {who: 1e3 * np.array(t[3:]).min(axis=0) for who, t in times.items()}
        both = {who: 1e3 * np.array(t[3:]).sum(axis=1).min() for who, t in times.items()}
        ratio, make = both["ours"] / both["peer"], {k: 1e3 * min(v) for k, v in built.items()}
        ratios.append(ratio)
        shown = {who: f"{least[who][0]:6.2f} + {least[who][1]:5.2f}" for who in least}
        print(
            f"{name:20} {shown['ours']:>15} {shown['peer']:>15} {ratio:7.2f} {make['ours']:6.1f} "
            f"{make['peer']:6.1f} {make['ours'] / make['peer']:6.2f} {off:8.0e}",
            flush=True,
        )
    print(f"geometric mean {np.exp(np.mean(np.log(ratios))):.2f}, "
          f"at most 0.9 on {sum(r <= 0.9 for r in ratios)} of {len(ratios)}")  # fmt: skip


if __name__ == "__main__":
    main()
