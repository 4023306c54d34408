"""Rows that are a PyTorch function of (q, G, h): this library and the layers of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from _problems import Array, Instance

Layer = Callable[..., torch.Tensor]


class TorchRunner:
    """Run ``layer(q=, G=, h=) -> x`` and pull x itself back, the cotangent of ½‖x‖².

    The names in ``wanted`` require gradients; the others enter as constants.
    """

    def __init__(self, instance: Instance, layer: Layer, wanted: tuple[str, ...] = ("q", "G", "h")):
        self.layer = layer
        arrays = {"q": instance.q, "G": instance.G, "h": instance.h}
        self.data = {k: torch.tensor(v).requires_grad_(k in wanted) for k, v in arrays.items()}
        self.shared_ndim = instance.G.ndim

    def forward(self) -> None:
        """Solve, keeping what the backward pass needs."""
        for tensor in self.data.values():
            tensor.grad = None
        self.x = self.layer(**self.data)

    def backward(self) -> None:
        """Write the gradients of the data."""
        self.x.backward(self.x.detach())

    def answers(self) -> dict[str, Array]:
        """x and the gradients that were asked for."""
        found = {k: v.grad.numpy() for k, v in self.data.items() if v.grad is not None}
        if "G" in found and found["G"].ndim > self.shared_ndim:
            found["G"] = found["G"].sum(0)  # copies of a shared G
        return {"x": self.x.detach().numpy(), **found}


def ours(instance: Instance, rule: Any, *, learn_P: bool = False, **options: Any) -> TorchRunner:
    """This library; ``learn_P`` also asks for the gradient of the shared P."""
    from lpgd.torch import LPLayer, QPLayer

    if instance.P is None:
        linear = LPLayer(rule, **options)
        return TorchRunner(instance, lambda q, G, h: linear(q, G, h))
    quadratic = QPLayer(rule, **options)
    P = torch.tensor(instance.P).requires_grad_(learn_P)

    def layer(q: torch.Tensor, G: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        P.grad = None
        return quadratic(P, q, G, h)

    return TorchRunner(instance, layer)


def ours_copied(instance: Instance, rule: Any) -> TorchRunner:
    """This library on a shared G that was copied for each element, so that it counts as batched."""
    runner = ours(instance, rule)
    copies = runner.data["G"].detach().repeat(instance.sizes[0], 1, 1)
    runner.data["G"] = copies.requires_grad_()
    return runner


def cvxpy_form(instance: Instance, *, learn_rows: bool = True) -> tuple[Any, list[Any], Any]:
    """The instance in CVXPY, P a constant: problem, parameters (q, G, h; or q, h) and variable.

    Without ``learn_rows`` the shared G is a constant too: the cheapest form for everybody.
    """
    import cvxpy as cp

    _, n, m = instance.sizes
    x = cp.Variable(n)
    q, G, h = cp.Parameter(n), cp.Parameter((m, n)), cp.Parameter(m)
    cost = q @ x
    if instance.P is not None:
        cost = cost + 0.5 * cp.quad_form(x, cp.psd_wrap(instance.P))
    if learn_rows:
        return cp.Problem(cp.Minimize(cost), [G @ x <= h]), [q, G, h], x
    return cp.Problem(cp.Minimize(cost), [instance.G @ x <= h]), [q, h], x


def on_cvxpy(instance: Instance, make: Callable[..., Layer], *, learn_rows: bool) -> TorchRunner:
    """A layer that ``make(problem, parameters, variables)`` builds on the instance in CVXPY."""
    problem, parameters, x = cvxpy_form(instance, learn_rows=learn_rows)
    layer = make(problem, parameters, [x])
    if learn_rows:
        return TorchRunner(instance, lambda q, G, h: layer(q, G, h)[0])
    return TorchRunner(instance, lambda q, G, h: layer(q, h)[0], wanted=("q", "h"))


def peer_layer(interface: str | None = None, **solver_args: Any) -> Callable[..., Layer]:
    """cvxpylayers' layer; ``interface`` None is diffcp, with its solver, tolerance and mode."""
    from cvxpylayers.torch import CvxpyLayer

    options = {"solver_args": solver_args} | ({"solver": interface} if interface else {})
    return lambda *given: CvxpyLayer(*given, **options)


def our_layer(rule: Any = None, **options: Any) -> Callable[..., Layer]:
    """This library's layer on CVXPY problems."""
    from lpgd.torch import CvxpyLayer

    return lambda *given: CvxpyLayer(*given, rule=rule, **options)


def cvxpylayers(
    instance: Instance, interface: str | None = None, **solver_args: Any
) -> TorchRunner:
    """cvxpylayers on the instance, with gradients of q, G and h."""
    return on_cvxpy(instance, peer_layer(interface, **solver_args), learn_rows=True)


def proxsuite(instance: Instance) -> TorchRunner:
    """ProxQP's torch layer with its default tolerances.

    It always computes the gradient of P too, and writes gradients in torch's default dtype
    (float32 here), whose rounding is far below the tolerance of the check.
    """
    from proxsuite.torch.qplayer import QPFunction

    batch, _, m = instance.sizes
    function = QPFunction()
    P = torch.tensor(instance.P)
    nothing = torch.zeros(0, dtype=torch.float64)
    lower = torch.full((batch, m), -1e20, dtype=torch.float64)
    return TorchRunner(instance, lambda q, G, h: function(P, q, nothing, nothing, G, lower, h)[0])
