"""Shared by the tests of the drop-in: PyEPO's models, data and calls of both packages."""

import contextlib
import io

import pytest

pytest.importorskip("pyepo")
pytest.importorskip("gurobipy")

import pyepo
import torch
from pyepo.data.dataset import optDataset
from pyepo.model.grb import knapsackModel, shortestPathModel, tspGGModel

OPERATIONS = {
    "DBB": ("cp", {}),
    "NID": ("cp", {}),
    "DPO": ("cp", {"n_samples": 5}),
    "DPOMul": ("cp", {"n_samples": 5, "sigma": 0.5}),
    "IMLE": ("cp", {"n_samples": 5}),
    "IMLE two": ("cp", {"n_samples": 5, "two_sides": True}),
    "AIMLE": ("cp", {"n_samples": 5}),
    "AIMLE two": ("cp", {"n_samples": 5, "two_sides": True}),
    "SPOPlus": ("cp,c,w,z", {}),
    "PG": ("cp,c", {}),
    "PG two": ("cp,c", {"two_sides": True}),
    "PFY": ("cp,w", {"n_samples": 5}),
    "PFYMul": ("cp,w", {"n_samples": 5, "sigma": 0.5}),
    "NCE": ("cp,w", {"dataset": None}),
    "CMAP": ("cp,w", {"dataset": None}),
    "lsLTR": ("cp,c", {"dataset": None}),
    "prLTR": ("cp,c", {"dataset": None}),
    "ptLTR": ("cp,c", {"dataset": None}),
}


def model(kind):
    """One of PyEPO's models on Gurobi, and data for it."""
    how = {"deg": 4, "noise_width": 0.5, "seed": 1}
    if kind == "path":
        x, c = pyepo.data.shortestpath.genData(24, 5, (4, 5), **how)
        return shortestPathModel((4, 5)), x, c
    if kind == "knapsack":
        weights, x, c = pyepo.data.knapsack.genData(24, 5, 10, 2, **how)
        made = knapsackModel(weights, [20.0, 25.0])
        made._model.Params.MIPGap = 0.0  # PyEPO leaves it at 1e-4
        return made, x, c
    x, c = pyepo.data.tsp.genData(8, 5, 5, **how)
    return tspGGModel(5), x, c


class Data:
    """Costs, solutions and objectives of a data set, and predictions that are off."""

    def __init__(self, kind, dtype=torch.float64):
        self.model, x, c = model(kind)
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
            self.set = optDataset(self.model, x, c)
        draw = torch.Generator().manual_seed(3)
        noise = torch.randn(self.set.costs.shape, generator=draw)
        self.c, self.w, self.z = (
            part.to(dtype) for part in (self.set.costs, self.set.sols, self.set.objs)
        )
        self.cp = (self.set.costs * (1 + 0.5 * noise)).to(dtype)

    def given(self, signature, costs):
        """Arguments of an operation."""
        named = {"cp": costs, "c": self.c, "w": self.w, "z": self.z}
        return [named[name] for name in signature.split(",")]

    def results(self, package, name, calls=2, **more):
        """Outputs and gradients of some calls of one operation."""
        signature, options = OPERATIONS[name]
        options = {**options, **more}
        if "dataset" in options:
            options["dataset"] = self.set
        operation = getattr(package, name.removesuffix(" two"))(self.model, **options)
        found = []
        for _ in range(calls):
            costs = self.cp.clone().requires_grad_()
            out = operation(*self.given(signature, costs))
            draw = torch.Generator().manual_seed(5)
            loss = torch.randn(out.shape, generator=draw, dtype=torch.float64).to(out.dtype)
            (out * loss).sum().backward()
            found += [out.detach(), costs.grad]
        return operation, found
