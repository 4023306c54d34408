"""Derivatives of a planted cone program by implicit differentiation in double precision.

At a strictly complementary solution the optimality conditions are smooth equations; torch
differentiates them. No solver takes part, so that nothing limits the accuracy.
"""

from __future__ import annotations

import torch

from lpgd.families.conic.cones import Cones, order_of, triangle

Data = dict[str, torch.Tensor]


def gradients(
    cones: Cones, data: Data, x: torch.Tensor, y: torch.Tensor, weights: list[torch.Tensor]
) -> Data:
    """Gradient of <weights, (x, y, s)> in the data of one program with dense matrices."""
    leaves = {name: value.clone().requires_grad_() for name, value in data.items()}
    n = len(x)

    def conditions(z: torch.Tensor) -> torch.Tensor:
        return _conditions(cones, leaves, z[:n], z[n:])

    def loss(z: torch.Tensor) -> torch.Tensor:
        s = leaves["b"] - leaves["A"] @ z[:n]
        return weights[0] @ z[:n] + weights[1] @ z[n:] + weights[2] @ s

    z = torch.cat([x, y]).requires_grad_()
    assert conditions(z).abs().max() < 1e-12
    jacobian = torch.autograd.functional.jacobian(conditions, z.detach())
    (slope,) = torch.autograd.grad(loss(z), z)
    multiplier = torch.linalg.solve(jacobian.T, slope)
    total = loss(z.detach()) - multiplier @ conditions(z.detach())
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return dict(zip(leaves, found, strict=True))


def _conditions(cones: Cones, data: Data, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    P = 0.5 * (data["P"] + data["P"].T)
    s = data["b"] - data["A"] @ x
    parts, powers = [P @ x + data["q"] + data["A"].T @ y], iter(cones.power)
    for kind, start, stop in cones.blocks():
        a, b = s[start:stop], y[start:stop]
        if kind == "power":
            parts.append(_power(a, b, next(powers)))
        else:
            parts.append(_COMPLEMENTARY[kind](a, b))
    return torch.cat(parts)


def _soc(s: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.cat([(s @ y)[None], s[0] * y[1:] + y[0] * s[1:]])


def _psd(s: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    rows, cols, scale = (torch.tensor(part) for part in triangle(order_of(len(s))))
    S, Y = (_matrix(part / scale, rows, cols) for part in (s, y))
    return (S @ Y + Y @ S)[rows, cols]


def _matrix(entries: torch.Tensor, rows: torch.Tensor, cols: torch.Tensor) -> torch.Tensor:
    order = int(rows.max()) + 1
    upper = torch.zeros(order, order, dtype=entries.dtype).index_put((rows, cols), entries)
    return upper + torch.triu(upper, 1).T


def _exp(s: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    rise = torch.exp(s[0] / s[1])
    normal = [y[0] + y[2] * rise, y[1] + y[2] * (1 - s[0] / s[1]) * rise, s[2] - s[1] * rise]
    return torch.stack(normal)


def _power(s: torch.Tensor, y: torch.Tensor, alpha: float) -> torch.Tensor:
    w = s[0] ** alpha * s[1] ** (1 - alpha)  # the planted third entry is positive
    normal = [y[0] + y[2] * alpha * w / s[0], y[1] + y[2] * (1 - alpha) * w / s[1], s[2] - w]
    return torch.stack(normal)


_COMPLEMENTARY = {
    "zero": lambda s, y: s,
    "nonneg": lambda s, y: s * y,
    "soc": _soc,
    "psd": _psd,
    "exp": _exp,
}
