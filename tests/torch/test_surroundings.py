"""Checkpoints, hooks of saved tensors, traces: what surrounds a call of a layer."""

import numpy as np
import pytest
import torch
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint

import lpgd
from lpgd.torch import EnvelopeLoss, LPLayer, NLPLayer, OracleLayer, QPLayer, SaddleLayer
from tests.torch.procedures import by_descent

T = torch.float64
C = torch.tensor([[1.0, 2.0, -1.0], [3.0, 0.5, 0.2]], dtype=T)


def distance(x, y, c):
    return 0.5 * (x - c).square().sum() + 0.1 * (x**4).sum()


def cheapest(costs):
    return np.eye(costs.shape[1])[costs.argmin(axis=1)]


def enveloped():
    layer = SaddleLayer(distance, by_descent(distance, 3), lpgd.LPGD(0.1), ranks=(1,))
    loss = EnvelopeLoss(layer, lambda x, t: (x - t).cosh().sum(), tau=0.1, targets=(1,))
    return lambda c: loss(c, target=torch.ones(3, dtype=T))


MADE = {
    "saddle, first derivatives": lambda: SaddleLayer(
        distance, by_descent(distance, 3), lpgd.LPGD(0.1), ranks=(1,)
    ),
    "saddle, second derivatives": lambda: SaddleLayer(
        distance, by_descent(distance, 3), ranks=(1,), linearize=True
    ),
    "nlp": lambda: NLPLayer(lambda x, c: distance(x, None, c), 3, ranks=(1,), engine="slsqp"),
    "envelope of a function": enveloped,
}


@pytest.fixture(params=MADE)
def function(request):
    return MADE[request.param]()


def pulled(function, way):
    c = C.clone().requires_grad_()
    way(function, c)
    return c.grad


def plainly(function, c):
    function(c).square().sum().backward()


@pytest.mark.parametrize("reentrant", [True, False])
def test_functions_of_users_within_checkpoints(function, reentrant):
    def way(function, c):
        checkpoint(function, c, use_reentrant=reentrant).square().sum().backward()

    assert torch.equal(pulled(function, way), pulled(function, plainly))


def test_functions_of_users_while_saved_tensors_are_hooked(function):
    def way(function, c):
        with save_on_cpu():
            plainly(function, c)

    assert torch.equal(pulled(function, way), pulled(function, plainly))


def test_what_a_solve_raises_arrives_within_a_checkpoint():
    def fails(params, tilt):
        raise ArithmeticError("no luck today")

    like = torch.zeros(3, dtype=T), None
    layer = SaddleLayer(distance, fails, lpgd.LPGD(0.1), ranks=(1,), like=like)
    with pytest.raises(lpgd.SolverError, match="no luck today"):
        checkpoint(layer, C.clone().requires_grad_(), use_reentrant=False)


TRACED = {
    "qp": lambda c: QPLayer()(torch.eye(3, dtype=T), c),
    "lp": lambda c: LPLayer()(c, lb=-torch.ones(3, dtype=T), ub=torch.ones(3, dtype=T)),
    "oracle": lambda c: OracleLayer(cheapest)(c),
    "saddle": lambda c: MADE["saddle, first derivatives"]()(c),
    "nlp": lambda c: MADE["nlp"]()(c),
    "envelope": lambda c: enveloped()(c),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of its own torch.jit
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", TRACED)
def test_a_trace_would_keep_one_answer_and_is_refused(name):
    with pytest.raises(lpgd.StructureError, match="a trace cannot hold a solver"):
        torch.jit.trace(TRACED[name], (C,), check_trace=False)


def test_vectorised_jacobians_of_autograd_name_those_that_work():
    P, c = torch.eye(3, dtype=T), C[0]
    with pytest.raises(RuntimeError, match="jacrev, jacfwd and vmap can"):
        torch.autograd.functional.jacobian(lambda c: QPLayer()(P, c), c, vectorize=True)
    found = torch.autograd.functional.jacobian(lambda c: QPLayer()(P, c), c)
    torch.testing.assert_close(found, torch.func.jacrev(lambda c: QPLayer()(P, c))(c))


def test_programs_are_set_up_on_the_cpu_whatever_the_default_device():
    ones = torch.ones(2, dtype=T)
    layer = NLPLayer(
        lambda x, p: (x - p).square().sum(), 2, lambda x, p: ones * x - p, ranks=(1,),
        engine="slsqp",
    )  # fmt: skip
    with torch.device("meta"):
        x = layer(ones)
    torch.testing.assert_close(x, ones)
