"""Moreau's own torch layer on the data that CVXPY compiles to, without CVXPY in the timed part.

cvxpylayers 1.2.0 cannot hand semidefinite cones to Moreau, so this row is what Moreau's time there
can be compared with; it has less to do than a layer on CVXPY parameters.
"""

from __future__ import annotations

import moreau
import moreau.torch
import numpy as np
import torch
from _cones import Array, ConeInstance

from lpgd.core.params import batched
from lpgd.core.pattern import Pattern
from lpgd.engines.convert import Compressed
from lpgd.families.cvxpy.compile import compile_model

NAMES = ("P", "A", "q", "b")


class MoreauAlone:
    """One batch; the leaves are the program's data, and the cotangent is that of ½‖x‖²."""

    def __init__(self, instance: ConeInstance) -> None:
        family = instance.family
        model = compile_model(family.problem(), list(family.parameters.values()), [family.variable])
        conic = model.inner
        self.keys = {key: list(instance.values)[own.parameter] for key, own in model.inputs.items()}
        data = model.data({key: batched(instance.values[k]) for key, k in self.keys.items()})
        self.model, self.directions = model, instance.directions
        self.user = torch.tensor(model.outputs[0].entries.matrix.toarray())  # (size, n)
        self.shape = family.variable.shape
        n, m = conic.n, conic.m
        compressed = {
            "P": Compressed.of(conic.patterns.get("P", Pattern.empty(n)), (n, n)),
            "A": Compressed.of(conic.patterns["A"], (m, n)),
        }
        self.orders = {name: c.order for name, c in compressed.items()}
        self.leaves = {}
        for name in NAMES:
            batch = len(data["q"].index)
            values = np.array(data[name].full()) if name in data else np.zeros((batch, 0))
            if name in compressed:
                values = values.reshape(len(values), -1)[:, self.orders[name]]
            self.leaves[name] = torch.tensor(values).requires_grad_(name != "P")
        self.solver = moreau.torch.Solver(
            n, m,
            *(torch.tensor(part) for name in "PA" for part in
              (compressed[name].starts, compressed[name].places)),
            cones=moreau.Cones(
                num_zero_cones=conic.cones.zero,
                num_nonneg_cones=conic.cones.nonneg,
                so_cone_dims=list(conic.cones.soc),
                psd_dims=list(conic.cones.psd),
                num_exp_cones=conic.cones.exp,
            ),
            settings=moreau.Settings(enable_grad=True, solver="ipm"),
        )  # fmt: skip

    def forward(self) -> None:
        """Solve, keeping what the backward pass needs."""
        for leaf in self.leaves.values():
            leaf.grad = None
        solution = self.solver.solve(*(self.leaves[name] for name in NAMES))
        self.x = solution.x @ self.user.T

    def backward(self) -> None:
        """Write the gradients of the data."""
        self.x.backward(self.x.detach())

    def answers(self) -> dict[str, Array]:
        """x, and the slopes of the parameters: of their images in the data, pulled back."""
        gradients = {}
        for name in ("A", "q", "b"):
            gradient = self.leaves[name].grad.numpy()
            if name in self.orders:
                back = np.empty_like(gradient)
                back[:, self.orders[name]] = gradient
                gradient = back
            gradients[name] = gradient
        slopes = {}
        for key, name in self.keys.items():
            pulled = sum(
                form.parts[key].pull(gradients[argument])
                for argument, form in self.model.maps.items()
                if key in form.parts
            )
            direction = self.directions[name].reshape(len(pulled), -1)
            slopes[name] = (pulled * direction).sum(1)
        return {"x": self.x.detach().numpy().reshape(-1, *self.shape), **slopes}
