"""Programs whose solution and multipliers are known by construction, and finite differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from lpgd.torch import DualSolution

Data = dict[str, torch.Tensor]
Layer = Callable[..., DualSolution]

inf = float("inf")


def known_qp(seed: int, n: int = 6) -> tuple[Data, DualSolution]:
    """A QP with all eight data, strictly complementary, and its solution.

    One equality, two of four inequalities, lb of x_0 and ub of x_1 are active; some bounds are
    infinite. Multipliers of active and slacks of inactive constraints lie in [0.5, 1.5].
    """
    draw = torch.Generator().manual_seed(seed)
    root = torch.randn(n, n, generator=draw, dtype=torch.float64)
    x, y = (torch.randn(k, generator=draw, dtype=torch.float64) for k in (n, 1))
    z, slack, low, up, gap = _positive(draw, 4, 4, n, n, n)
    z[2:], slack[:2], low[1:], up[0], up[2:] = 0, 0, 0, 0, 0
    data = {
        "P": root @ root.T / n + torch.eye(n, dtype=torch.float64),
        "G": torch.randn(4, n, generator=draw, dtype=torch.float64),
        "A": torch.randn(1, n, generator=draw, dtype=torch.float64),
        "lb": x - gap * (low == 0),
        "ub": x + gap * (up == 0),
    }
    data["lb"][2], data["ub"][3] = -inf, inf
    data["h"], data["b"] = data["G"] @ x + slack, data["A"] @ x
    data["q"] = -(data["P"] @ x + data["A"].T @ y + data["G"].T @ z + up - low)
    return data, DualSolution(x, y, z, up - low)


def known_lp(seed: int) -> tuple[Data, DualSolution]:
    """An LP in four variables at a nondegenerate vertex: one active row or bound of each kind."""
    draw = torch.Generator().manual_seed(seed)
    n = 4
    x, y = (torch.randn(k, generator=draw, dtype=torch.float64) for k in (n, 1))
    z, slack, low, up, gap = _positive(draw, 3, 3, n, n, n)
    z[1:], slack[0], low[1:], up[0], up[2:] = 0, 0, 0, 0, 0
    rows = torch.randn(4, n, generator=draw, dtype=torch.float64)
    rows[0, 2:], rows[1, 2:] = torch.tensor([[2.0, 1.0], [-1.0, 2.0]], dtype=torch.float64)
    data = {
        "A": rows[:1],
        "G": rows[1:],
        "b": rows[:1] @ x,
        "h": rows[1:] @ x + slack,
        "c": -(rows[:1].T @ y + rows[1:].T @ z + up - low),
        "lb": x - gap * (low == 0),
        "ub": x + gap * (up == 0),
    }
    return data, DualSolution(x, y, z, up - low)


def random_qp(*batch: int, n: int = 4, m: int = 5, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """P (n, n) and batched q, G, h; the origin is strictly feasible."""
    draw = torch.Generator().manual_seed(seed)
    root = torch.randn(n, n, generator=draw, dtype=torch.float64)
    q, G = (
        torch.randn(*batch, *shape, generator=draw, dtype=torch.float64) for shape in ((n,), (m, n))
    )
    h = torch.rand(*batch, m, generator=draw, dtype=torch.float64) + 0.5
    return root @ root.T + torch.eye(n, dtype=torch.float64), 3 * q, G, h


def assignment_lp(size: int, k: int = 4, seed: int = 0) -> Data:
    """Batch of assignment LPs in k x k variables whose costs in {0, 1, 2} are full of ties."""
    draw = torch.Generator().manual_seed(seed)
    eye, ones = torch.eye(k, dtype=torch.float64), torch.ones(1, k, dtype=torch.float64)
    return {
        "c": torch.randint(0, 3, (size, k * k), generator=draw).to(torch.float64),
        "A": torch.cat([torch.kron(eye, ones), torch.kron(ones, eye)]),
        "b": torch.ones(size, 2 * k, dtype=torch.float64),
        "lb": torch.zeros(k * k, dtype=torch.float64),
    }


def box_lp(size: int, n: int = 7, seed: int = 0) -> Data:
    """Batch of LPs over a box with a budget row; many costs are zero."""
    draw = torch.Generator().manual_seed(seed)
    return {
        "c": torch.randint(-1, 2, (size, n), generator=draw).to(torch.float64),
        "G": torch.ones(1, n, dtype=torch.float64),
        "h": torch.full((size, 1), n / 2, dtype=torch.float64),
        "lb": torch.zeros(n, dtype=torch.float64),
        "ub": torch.ones(n, dtype=torch.float64),
    }


def leaves(data: Mapping[str, torch.Tensor]) -> Data:
    """Copies that require gradients."""
    return {name: value.detach().clone().requires_grad_() for name, value in data.items()}


def cotangents(seed: int, solution: DualSolution) -> list[torch.Tensor]:
    """One random cotangent for each output."""
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(t.shape, generator=draw, dtype=t.dtype) for t in solution]


def differences(layer: Layer, data: Data, name: str, weights: list[torch.Tensor]) -> torch.Tensor:
    """Central differences of <weights, outputs> in one argument, P symmetrically, h = 1e-5.

    All perturbed programs are one batch of the layer.
    """
    value, step = data[name].detach(), 1e-5
    basis = torch.eye(value.numel(), dtype=value.dtype).reshape(-1, *value.shape)
    if name == "P":
        basis = 0.5 * (basis + basis.mT)
    moved = torch.cat([value + step * basis, value - step * basis])
    with torch.no_grad():
        outputs = layer(**{**data, name: moved}, return_duals=True)
    loss = torch.stack([(o * w).sum(-1) for o, w in zip(outputs, weights, strict=True)]).sum(0)
    plus, minus = loss.split(len(basis))
    return ((plus - minus) / (2 * step)).reshape(value.shape)


def _positive(draw: torch.Generator, *sizes: int) -> list[torch.Tensor]:
    return [torch.rand(k, generator=draw, dtype=torch.float64) + 0.5 for k in sizes]
