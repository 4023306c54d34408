"""ConicLayer where elements of a batch fail, in each failure mode on every engine."""

import numpy as np
import pytest
import torch

import lpgd
from lpgd.engines import registry
from lpgd.engines.options import configure
from lpgd.torch import ConicLayer

ENGINES = ["moreau", "clarabel", "scs", "daqp", "highs"]


def troubled():
    """x in [0, b], minimise -x: solved, infeasible, NaN, badly scaled, unbounded."""
    A = torch.tensor([[-1.0], [1.0]], dtype=torch.float64).repeat(5, 1, 1)
    A[3], A[4, 1] = A[3] * 1e3, 0.0
    b = torch.tensor([[0, 1], [-1, 0], [0, torch.nan], [0, 2e3], [0, 1]], dtype=torch.float64)
    q = torch.full((5, 1), -1.0, dtype=torch.float64)
    q[3] = -1e3
    return q.requires_grad_(), A, b


@pytest.mark.parametrize("engine", ENGINES)
def test_failed_elements_are_named(engine):
    with pytest.raises(lpgd.SolverError) as caught:
        ConicLayer(lpgd.Cones(nonneg=2), lpgd.LPGD(0.1), engine=engine)(None, *troubled())
    assert caught.value.indices == (1, 2, 4)
    expected = (lpgd.Status.INFEASIBLE, lpgd.Status.INVALID, lpgd.Status.UNBOUNDED)
    assert caught.value.statuses == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_failed_elements_are_marked_and_the_others_right(engine):
    q, A, b = troubled()
    layer = ConicLayer(lpgd.Cones(nonneg=2), lpgd.LPGD(0.1), engine=engine, on_failure="nan")
    b.requires_grad_()
    with pytest.warns(lpgd.SolverWarning, match="3 of 5"):
        x, y, s = layer(None, q, A, b, return_duals=True)
    solved = torch.tensor([True, False, False, True, False])
    assert all(torch.equal(t.isfinite().all(-1), solved) for t in (x, y, s))
    torch.testing.assert_close(x[solved, 0], torch.tensor([1.0, 2.0]).double())
    x[solved].sum().backward()
    expected = torch.zeros(5, 2, dtype=torch.float64)
    expected[0, 1], expected[3, 1] = 1, 1e-3
    torch.testing.assert_close(b.grad, expected, atol=1e-8, rtol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_time_limit_is_honoured_and_reported(engine):
    n, draw = 150, np.random.default_rng(0)
    A = torch.tensor(np.concatenate([draw.normal(size=(2, n, n)), np.eye(n)[None].repeat(2, 0),
                                     -np.eye(n)[None].repeat(2, 0)], axis=1))  # fmt: skip
    b = torch.ones(3 * n, dtype=torch.float64)
    q = torch.tensor(draw.normal(size=(2, n)))
    limited, unused = configure(registry.get(engine), {"time_limit": 1e-6})
    assert not unused
    layer = ConicLayer(lpgd.Cones(nonneg=3 * n), lpgd.LPGD(0.1), engine=limited)
    with pytest.raises(lpgd.SolverError, match="time limit") as caught:
        layer(None, q, A, b)
    assert set(caught.value.statuses) == {lpgd.Status.TIME_LIMIT}
