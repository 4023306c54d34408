"""What users do wrong with losses: wrong shapes, options and numbers are named, not broadcast."""

import numpy as np
import pytest
import torch

import lpgd
from lpgd.losses.cone import projected
from lpgd.oracles import TopK
from lpgd.torch import losses

T = torch.float64
POOL = torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], dtype=T)
COSTS = torch.rand(3, 4, dtype=T, generator=torch.Generator().manual_seed(0))
TRUE = torch.rand(3, 4, dtype=T, generator=torch.Generator().manual_seed(1))
TARGET = torch.tensor([1.0, 1, 0, 0], dtype=T).expand(3, 4)
MADE = {
    "SPOPlus": (lambda **k: losses.SPOPlus(TopK(2), **k), (TRUE, TARGET)),
    "PG": (lambda **k: losses.PerturbationGradient(TopK(2), **k), (TRUE,)),
    "Imitation": (lambda **k: losses.Imitation(TopK(2), **k), (TARGET, TRUE)),
    "Hinge": (lambda **k: losses.StructuredHinge(TopK(2), **k), (TARGET,)),
    "FY": (lambda **k: losses.FenchelYoung(TopK(2), **k), (TARGET,)),
    "PFY": (lambda **k: losses.PerturbedFenchelYoung(TopK(2), **k), (TARGET,)),
    "NCE": (lambda **k: losses.NoiseContrastive(POOL, **k), (TARGET,)),
    "CMAP": (lambda **k: losses.ContrastiveMAP(POOL, **k), (TARGET,)),
    "pointwise": (lambda **k: losses.LearningToRank(POOL, "pointwise", **k), (TRUE,)),
    "pairwise": (lambda **k: losses.LearningToRank(POOL, "pairwise", **k), (TRUE,)),
    "listwise": (lambda **k: losses.LearningToRank(POOL, "listwise", **k), (TRUE,)),
}


@pytest.mark.parametrize("name", MADE)
def test_only_batch_dimensions_broadcast(name):
    made, given = MADE[name]
    for place in range(len(given)):
        for wrong in (given[place][:, :1], torch.ones(3, 5, dtype=T), torch.tensor(1.0, dtype=T)):
            parts = [*given[:place], wrong, *given[place + 1 :]]
            with pytest.raises(
                lpgd.StructureError, match=r"must have shape \(\.\.\., 4\) as costs"
            ):
                made()(COSTS, *parts)
    shared = [part[0] for part in given]
    full = [part.expand(3, 4) for part in shared]
    torch.testing.assert_close(
        made(reduction="none")(COSTS, *shared), made(reduction="none")(COSTS, *full)
    )


@pytest.mark.parametrize("name", MADE)
def test_batches_that_do_not_broadcast_are_named(name):
    made, given = MADE[name]
    parts = [*given[:-1], given[-1][:2]]
    with pytest.raises(lpgd.StructureError, match=r"do not broadcast: costs \(3,\), .* \(2,\)"):
        made()(COSTS, *parts)


@pytest.mark.parametrize("name", MADE)
def test_masks_are_zeros_and_ones(name):
    made, given = MADE[name]
    masks = [part > 0.5 for part in given]
    numbers = [mask.to(T) for mask in masks]
    loss = made(reduction="none")
    want = loss(COSTS, *numbers)
    if name == "PFY":  # draws other noise at each call
        loss = made(reduction="none")
    assert torch.equal(loss(COSTS, *masks), want)


@pytest.mark.parametrize("name", [*MADE, "CaVE"])
def test_unknown_reductions_are_refused(name):
    made = losses.CaVE if name == "CaVE" else MADE[name][0]
    with pytest.raises(ValueError, match="reduction must be"):
        made(reduction="avg")


@pytest.mark.parametrize("name", ["NCE", "CMAP", "pointwise", "pairwise", "listwise"])
def test_a_nan_stays_one_and_dtypes_mix(name):
    made, (given,) = MADE[name]
    loss, bad = made(reduction="none"), given.clone()
    fine = loss(COSTS, given)
    bad[1, 2] = torch.nan
    assert loss(COSTS, bad).isnan().tolist() == [False, True, False]
    torch.testing.assert_close(loss(COSTS, bad)[[0, 2]], fine[[0, 2]])
    torch.testing.assert_close(loss(COSTS.float(), given), fine, rtol=1e-5, atol=1e-5)
    assert loss(COSTS.float(), TARGET.long()).dtype == torch.float32


def test_elements_are_named_as_the_caller_counts_them():
    costs = COSTS.clone()
    costs[1, 0] = torch.nan
    with pytest.raises(lpgd.SolverError) as caught:
        losses.SPOPlus(TopK(2))(costs, TRUE, TARGET)
    assert caught.value.indices == (1,)


@pytest.mark.parametrize("made", [losses.Imitation, losses.PerturbationGradient])
@pytest.mark.parametrize("tau", ["auto", 0.0, -1, np.nan])
def test_a_weight_is_a_number(made, tau):
    with pytest.raises(ValueError, match="tau must be"):
        made(TopK(1), tau=tau)


def test_pools_are_tables():
    assert losses.NoiseContrastive(POOL.tolist()).pool.shape == (3, 4)
    with pytest.raises(ValueError, match="pool must have shape"):
        losses.NoiseContrastive(np.ones(3))
    with pytest.raises(lpgd.StructureError, match="costs must have shape"):
        losses.NoiseContrastive(POOL)(COSTS[:, :3], TARGET[:, :3])


@pytest.mark.parametrize("wrong", [lambda x: x.square(), lambda x: x.mean()])
def test_a_score_wants_a_loss_of_each_solution(wrong):
    with pytest.raises(lpgd.StructureError, match=r"one number for each .* \(3, 10\)"):
        losses.ScoreFunction(TopK(1), wrong)(COSTS)


class TestCaVE:
    NORMALS = torch.rand(3, 2, 4, dtype=T, generator=torch.Generator().manual_seed(2)) - 0.5

    def test_normals_are_shared_or_of_an_element(self):
        loss = losses.CaVE(reduction="none")
        each = loss(COSTS, self.NORMALS)
        shared = self.NORMALS[0]
        torch.testing.assert_close(
            loss(COSTS, shared), loss(COSTS, shared.expand(3, 2, 4)), rtol=0, atol=0
        )
        assert loss(COSTS, shared)[0] == each[0]
        assert loss(COSTS[:0], self.NORMALS[:0]).shape == (0,)
        assert loss(COSTS[0], shared).shape == ()
        for wrong in (self.NORMALS[:2], self.NORMALS[..., :3]):
            with pytest.raises(lpgd.StructureError, match="normals must have shape"):
                loss(COSTS, wrong)

    def test_a_nan_costs_its_element(self):
        loss = losses.CaVE(reduction="none")
        fine, costs, normals = loss(COSTS, self.NORMALS), COSTS.clone(), self.NORMALS.clone()
        costs[0, 1], normals[2, 0, 0] = torch.nan, torch.inf
        found = loss(costs, normals)
        assert found.isnan().tolist() == [True, False, True]
        assert found[1] == fine[1]
        assert np.isnan(projected(np.ones((1, 2)), np.full((1, 1, 2), np.nan), None)).all()


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_cancels_is_computed_in_float64(name, dtype):
    """Of large costs and small tilts, that is: the answer is that of float64, rounded once."""
    made, given = MADE[name]
    scale = 1.0 if name == "pointwise" else 100.0  # whose square would overflow
    options = {"tau": 1e-4, "side": "average"} if name == "PG" else {}
    few = [part.to(dtype) for part in (scale * COSTS, *given)]
    want = made(reduction="none", **options)(*[part.to(T) for part in few])
    if name == "PFY":  # its noise is drawn in the dtype of the costs
        options["sigma"] = 1e-9
        want = made(reduction="none", **options)(*[part.to(T) for part in few])
    found = made(reduction="none", **options)(*few)
    assert found.dtype == dtype
    torch.testing.assert_close(found.to(T), want.to(dtype).to(T), rtol=1e-6, atol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(made(reduction="none", **options)(*few), found)


@pytest.mark.parametrize("name", [*MADE, "CaVE"])
def test_arguments_are_dense_real_numbers(name):
    made, given = MADE.get(name, (losses.CaVE, (torch.ones(3, 2, 4, dtype=T),)))
    for place in range(len(given) + 1):
        parts = [COSTS, *given]
        for wrong in (parts[place].to(torch.complex64), parts[place].to_sparse()):
            with pytest.raises(lpgd.StructureError, match=r"must be (dense|real numbers)"):
                made()(*parts[:place], wrong, *parts[place + 1 :])


def test_pools_are_dense_real_numbers():
    for wrong in (POOL.to(torch.complex64), POOL.to_sparse()):
        with pytest.raises(ValueError, match="pool must be dense real numbers"):
            losses.ContrastiveMAP(wrong)


def test_the_best_of_a_pool_does_not_depend_on_batch_company():
    draw = torch.Generator().manual_seed(0)
    pool = torch.rand(200, 20, generator=draw).argsort(-1).argsort(-1).lt(5).to(T)
    costs = torch.randint(1, 10, (256, 20), generator=draw).to(T) / 10  # many ties
    for loss, given in (
        (losses.ContrastiveMAP(pool, reduction="sum"), pool[:1].expand(256, 20)),
        (losses.LearningToRank(pool, reduction="sum"), costs),
    ):
        together = torch.func.grad(loss)(costs, given)
        for row in range(256):
            alone = torch.func.grad(loss)(costs[row : row + 1], given[row : row + 1])
            torch.testing.assert_close(alone[0], together[row])


@pytest.mark.parametrize("name", ["NCE", "CMAP", "pointwise", "pairwise", "listwise"])
def test_pools_take_vmap(name):
    made, given = MADE[name]
    found = torch.func.vmap(made())(COSTS, *given)
    torch.testing.assert_close(found, made(reduction="none")(COSTS, *given))


def test_cave_broadcasts_and_names_what_has_no_rows():
    normals = torch.rand(3, 2, 4, dtype=T, generator=torch.Generator().manual_seed(2))
    loss = losses.CaVE(reduction="none")
    torch.testing.assert_close(loss(COSTS[0], normals), loss(COSTS[0].expand(3, 4), normals))
    torch.testing.assert_close(loss(COSTS[:, None], normals[0]).squeeze(1), loss(COSTS, normals[0]))
    with pytest.raises(lpgd.StructureError, match=r"normals must have shape \(\.\.\., m, d\)"):
        loss(COSTS, normals[0, 0])
    with pytest.raises(lpgd.StructureError, match="costs must have at least 1 dimension"):
        loss(COSTS[0, 0], normals)


def test_scores_take_counts_and_masks():
    target = TARGET.to(torch.bool)
    for of in (lambda x: (x != target[0]).any(-1), lambda x: (x != target[0]).sum(-1)):
        made = losses.ScoreFunction(TopK(2), of)
        want = losses.ScoreFunction(TopK(2), lambda x, of=of: of(x).to(x.dtype))
        assert torch.equal(made(COSTS), want(COSTS))
    for wrong in (lambda x: None, lambda x: x.sum(-1).numpy()):
        with pytest.raises(lpgd.StructureError, match=r"loss must return a torch\.Tensor"):
            losses.ScoreFunction(TopK(2), wrong)(COSTS)


def test_a_module_of_the_users_is_asked_in_the_dtype_of_the_costs():
    class Own(torch.nn.Module):
        def forward(self, costs):
            assert costs.dtype == torch.float32
            return torch.nn.functional.one_hot(costs.argmin(-1), 4).to(costs.dtype)

    loss = losses.SPOPlus(Own())(COSTS.float(), TRUE.float(), TARGET.float())
    assert loss.dtype == torch.float32


@pytest.mark.parametrize("iterations", [None, 3])
def test_cave_takes_transforms(iterations):
    normals = torch.rand(3, 2, 4, dtype=T, generator=torch.Generator().manual_seed(2))
    each = losses.CaVE(iterations=iterations, reduction="none")
    costs = COSTS.clone().requires_grad_()
    (want,) = torch.autograd.grad(each(costs, normals).sum(), costs)
    one = torch.func.grad(losses.CaVE(iterations=iterations))
    torch.testing.assert_close(torch.func.vmap(one)(COSTS, normals), want)
    shared = torch.func.vmap(each, in_dims=(0, None))(COSTS, normals[0])
    torch.testing.assert_close(shared, each(COSTS, normals[0]))
    torch.testing.assert_close(torch.func.jacrev(each)(COSTS, normals).sum(1), want)
    assert losses.CaVE(reduction="none")(COSTS[:, :0], normals[..., :0]).shape == (3,)
