"""Warnings point at the line of the user, whatever lies between."""

from pathlib import Path

import pytest
import torch
from torch.func import jacrev, jvp, vmap

import lpgd
from lpgd.torch import ConicLayer, LPLayer, QPLayer

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of its own jvp
NAN = torch.tensor([[1.0, 2.0], [float("nan"), 0.0]], dtype=torch.float64)
EYE = torch.eye(2, dtype=torch.float64)
LAYER = QPLayer(lpgd.LPGD(0.3), on_failure="nan")


def forward():
    LAYER(EYE, NAN)


def mapped():
    vmap(lambda q: LAYER(EYE, q))(NAN)


def tangent():
    jvp(lambda q: LAYER(EYE, q), (NAN,), (NAN,))


def conic():
    ConicLayer(lpgd.Cones(nonneg=2), on_failure="nan")(EYE, NAN, EYE, EYE[0])


def compiled():
    torch.compile(LAYER, backend="eager")(EYE, NAN)


def saved():
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t)
    with hooks:
        LAYER(EYE, NAN.clone().requires_grad_())


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # the compiler's own
@pytest.mark.parametrize("call", [forward, mapped, tangent, conic, compiled, saved])
def test_failures_are_told_where_the_layer_is_called(call):
    with pytest.warns(lpgd.SolverWarning) as told:
        call()
    ours = [warning for warning in told if issubclass(warning.category, lpgd.SolverWarning)]
    assert {Path(warning.filename) for warning in ours} == {Path(__file__)}


def reach(c):
    return LPLayer(lpgd.LPGD(1e-3))(c, lb=-EYE[0] - 1, ub=EYE[0] + 1)


def by_backward(c):
    reach(c.requires_grad_()).sum().backward()


def by_grad(c):
    torch.autograd.grad(reach(c.requires_grad_()).sum(), c)


def by_rows(c):
    jacrev(reach)(c)


@pytest.mark.parametrize("pull", [by_backward, by_grad, by_rows])
def test_training_that_would_stall_is_told_where_the_gradient_is_asked_for(pull):
    with pytest.warns(lpgd.StuckWarning) as told:
        pull(torch.tensor([1.0, -1.0], dtype=torch.float64))
    assert [Path(warning.filename) for warning in told] == [Path(__file__)]


def test_a_folder_whose_name_begins_like_ours_is_the_users(tmp_path):
    from lpgd.core import warn

    beside = Path(warn.OURS).with_name("lpgd_of_mine") / "train.py"
    assert not warn._inside(str(beside), {})
    assert warn._inside(str(Path(warn.OURS) / "core" / "warn.py"), {})
