"""Elements that fail, and cotangents that are not finite."""

import pytest
import torch

import lpgd
from lpgd import Status
from lpgd.torch import LPLayer, QPLayer
from tests.torch.programs import inf, leaves, random_qp

FAILED = {3: Status.INFEASIBLE, 10: Status.UNBOUNDED, 20: Status.INVALID}
nan = float("nan")


def mixed_lp():
    """64 LPs over boxes with a row each: 3 is infeasible, 10 unbounded, 20 has a NaN cost."""
    draw = torch.Generator().manual_seed(0)
    data = {
        "c": torch.randn(64, 3, generator=draw, dtype=torch.float64),
        "G": torch.rand(64, 1, 3, generator=draw, dtype=torch.float64),
        "h": torch.ones(64, 1, dtype=torch.float64),
        "lb": -torch.ones(64, 3, dtype=torch.float64),
        "ub": torch.ones(64, 3, dtype=torch.float64),
    }
    data["h"][3], data["lb"][10, 0], data["c"][10, 0], data["c"][20, 1] = -9.0, -inf, 1.0, nan
    return data


def mixed_qp():
    """The same with a curvature, which element 10 lacks along its first variable."""
    data = mixed_lp()
    data["q"], data["P"] = data.pop("c"), torch.eye(3, dtype=torch.float64).repeat(64, 1, 1)
    data["P"][10, 0, 0] = 0.0
    return data


MIXED = pytest.mark.parametrize(
    "make, program, engine, cost",
    [
        (LPLayer, mixed_lp, "daqp", "c"),
        (LPLayer, mixed_lp, "highs", "c"),
        (QPLayer, mixed_qp, "daqp", "q"),
    ],
)


@MIXED
def test_a_mixed_batch_raises_with_everything_a_user_needs(make, program, engine, cost):
    layer = make(lpgd.LPGD(0.5), engine)
    with pytest.raises(lpgd.SolverError) as caught:
        layer(**program())
    assert caught.value.indices == (3, 10, 20)
    assert caught.value.statuses == tuple(FAILED.values())
    assert str(caught.value) == (
        f"{engine}: forward solve: 3 of 64 elements failed (batch index 3: infeasible, "
        f"10: unbounded, 20: {cost} has a NaN or infinite entry). Try: "
        f"{Status.INFEASIBLE.advice}; {Status.UNBOUNDED.advice}; {Status.INVALID.advice}."
    )
    assert layer.stats.failures == 3


@MIXED
def test_a_mixed_batch_is_marked_and_the_others_are_right(make, program, engine, cost):
    data = leaves(program())
    layer = make(lpgd.LPGD(5.0, side="lower"), engine, "nan")
    message = r"3 of 64 elements failed \(batch index 3: infeasible, 10: unbounded, 20: [cq] has"
    with pytest.warns(lpgd.SolverWarning, match=message) as caught:
        solution = layer(**data, return_duals=True)
    assert len(caught) == 1
    good = [i for i in range(64) if i not in FAILED]
    for part in solution:
        assert part[list(FAILED)].isnan().all()
        assert part[good].isfinite().all()

    weight = torch.randn(64, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.nansum(solution.x * weight).backward()
    alone = leaves({name: value[good] for name, value in data.items()})
    (make(lpgd.LPGD(5.0, side="lower"), engine)(**alone) * weight[good]).sum().backward()
    assert alone[cost].grad.any()
    for name, value in data.items():
        assert not value.grad[list(FAILED)].any(), name
        assert torch.equal(value.grad[good], alone[name].grad), name


def test_failed_elements_add_nothing_to_a_shared_argument():
    data = mixed_qp()
    data["P"] = torch.eye(3, dtype=torch.float64)
    data = leaves(data)
    good = [i for i in range(64) if i not in (3, 20)]
    with pytest.warns(lpgd.SolverWarning, match="2 of 64"):
        x = QPLayer(lpgd.LPGD(0.5), on_failure="nan")(**data)
    x.sum().backward()  # NaN is in the loss, its derivative is one
    alone = leaves({k: v if k == "P" else v[good] for k, v in data.items()})
    QPLayer(lpgd.LPGD(0.5))(**alone).sum().backward()
    assert torch.equal(data["P"].grad, alone["P"].grad)


def test_indices_follow_the_batch_dimensions():
    q = torch.zeros(2, 3, 1, dtype=torch.float64)
    q[1, 2] = q[0, 1] = nan
    P = torch.eye(1, dtype=torch.float64)
    with pytest.raises(lpgd.SolverError, match=r"batch index \(0, 1\): q has a NaN") as caught:
        QPLayer(lpgd.Exact())(P, q)
    assert caught.value.indices == ((0, 1), (1, 2))
    with pytest.raises(lpgd.SolverError, match="1 of 1 elements failed") as caught:
        QPLayer(lpgd.Exact())(P, q[1, 2])
    assert caught.value.indices == (0,)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("P", nan, "P has a NaN or infinite entry"),
        ("P", -5.0, "P has a negative eigenvalue"),
        ("q", inf, "q has a NaN or infinite entry"),
        ("G", inf, "G has a NaN or infinite entry"),
        ("h", -inf, "h has a NaN or -infinite entry"),
        ("lb", inf, "lb has a NaN or \\+infinite entry"),
        ("ub", -9.0, "lb exceeds ub"),
    ],
)
def test_bad_values_fail_their_element_alone(name, value, message):
    P, q, G, h = random_qp(3)
    bound = torch.ones_like(q)
    data = {"P": P.repeat(3, 1, 1), "q": q, "G": G, "h": h, "lb": -bound, "ub": bound.clone()}
    data[name][1, ..., 0] = value
    if name == "P":
        data["P"][1] = torch.diag(data["P"][1, :, 0])
    with pytest.warns(lpgd.SolverWarning, match=f"1 of 3 elements failed .*1: {message}"):
        x = QPLayer(lpgd.Exact(), on_failure="nan")(**data)
    assert x.isnan().all(dim=1).tolist() == [False, True, False]


def test_an_asymmetric_P_is_bad_and_rounding_is_not():
    P, q, _, _ = random_qp()
    rounded = P.float() + torch.triu(torch.full((4, 4), 1e-6), 1)
    x = QPLayer(lpgd.Exact())(rounded, q.float())
    torch.testing.assert_close(x, -torch.linalg.solve(P, q).float(), rtol=1e-4, atol=1e-5)
    with pytest.raises(lpgd.SolverError, match="P is not symmetric"):
        QPLayer(lpgd.Exact())(rounded.double(), q)


def test_rounding_of_P_is_judged_by_its_own_dtype():
    """Under autocast P = R R' comes in bfloat16, the rest in float32."""
    root = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    P = (root @ root.T).bfloat16()
    assert torch.linalg.eigvalsh(P.double())[0] < -1e-3
    bound = torch.ones(6)
    x = QPLayer(lpgd.LPGD(0.1))(P, torch.ones(6), lb=-bound, ub=bound)
    assert x.dtype == torch.float32
    assert x.isfinite().all()


@pytest.mark.parametrize("rule", [lpgd.LPGD(0.5), lpgd.Exact()], ids=str)
@pytest.mark.parametrize("value", [nan, inf])
def test_a_non_finite_cotangent_gives_nan_and_solves_nothing(rule, value):
    P, q, G, h = random_qp(3)
    data = leaves({"P": P.repeat(3, 1, 1), "q": q, "G": G, "h": h})
    layer = QPLayer(rule)
    x = layer(**data)
    cotangent = torch.ones_like(x)
    cotangent[1, 2] = value
    x.backward(cotangent)
    clean = leaves(data)
    QPLayer(rule)(**clean).sum().backward()
    for name, leaf in data.items():
        assert leaf.grad[1].isnan().all(), name
        assert torch.equal(leaf.grad[[0, 2]], clean[name].grad[[0, 2]]), name
    assert layer.stats.re_solves == 0  # the others are within reach


def test_a_non_finite_cotangent_of_a_failed_element_is_ignored():
    P, q, G, h = random_qp(3)
    q[1, 0] = nan
    data = leaves({"P": P, "q": q, "G": G, "h": h})
    with pytest.warns(lpgd.SolverWarning):
        x = QPLayer(lpgd.LPGD(0.5), on_failure="nan")(**data)
    x.square().sum().backward()  # the cotangent of a NaN is NaN
    assert all(leaf.grad.isfinite().all() for leaf in data.values())
    assert data["q"].grad.any(dim=1).tolist() == [True, False, True]


def test_a_batch_that_fails_altogether():
    q = torch.full((2, 1), nan, dtype=torch.float64, requires_grad=True)
    P = torch.eye(1, dtype=torch.float64, requires_grad=True)
    layer = QPLayer(lpgd.LPGD(0.5), on_failure="nan")
    with pytest.warns(lpgd.SolverWarning, match="2 of 2"):
        x = layer(P, q)
    assert x.isnan().all()
    x.sum().backward()
    assert not q.grad.any()
    assert not P.grad.any()
    assert layer.stats.set_ups == 0
