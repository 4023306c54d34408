"""Metrics of decisions: values by hand, and shapes that are refused instead of broadcast."""

import numpy as np
import pytest

import lpgd
from lpgd import metrics
from lpgd.oracles import TopK

torch = pytest.importorskip("torch")

from lpgd.torch import metrics as accumulated  # noqa: E402

COSTS = torch.tensor([[1.0, 2.0], [3.0, 1.0], [1.0, 5.0]])
CHOSEN = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
BEST = torch.tensor([1.0, 1.0, 1.0])


def after(metric, *batches):
    for batch in batches:
        metric.update(*batch)
    return float(metric.compute())


def test_batches_of_any_dimensions_accumulate():
    halves = [tuple(part[at] for part in (CHOSEN, COSTS, BEST)) for at in (slice(1), slice(1, 3))]
    for shape in ((), (1,)):
        best = BEST.reshape(3, *shape)
        assert after(accumulated.Regret(), (CHOSEN, COSTS, best)) == pytest.approx(2 / 3)
        assert after(accumulated.Optimality(), (CHOSEN, COSTS, best)) == pytest.approx(2 / 3)
    assert after(accumulated.Regret(), *halves) == pytest.approx(2 / 3)
    deep = tuple(part[None] for part in (CHOSEN, COSTS, BEST))
    assert after(accumulated.Regret(normalise=False), deep) == pytest.approx(2 / 3)
    assert after(accumulated.Optimality(), deep) == pytest.approx(2 / 3)
    ties = (torch.zeros(3, 2), COSTS, BEST)
    worst = after(accumulated.UnambiguousRegret(TopK(1)), ties)
    assert worst == pytest.approx((1 + 2 + 4) / 3)
    deep = tuple(part[:, None] for part in ties)
    assert after(accumulated.UnambiguousRegret(TopK(1)), deep) == worst
    single = tuple(part[0] for part in ties)
    assert after(accumulated.UnambiguousRegret(TopK(1)), single) == pytest.approx(1)


@pytest.mark.parametrize("wrong", [CHOSEN.tolist(), CHOSEN.to("meta"), None])
def test_solutions_are_tensors_with_values(wrong):
    with pytest.raises(lpgd.StructureError, match=r"^solutions \(or costs\) "):
        accumulated.Regret().update(wrong, COSTS, BEST)


@pytest.mark.parametrize("made", [accumulated.Regret, accumulated.Optimality])
@pytest.mark.parametrize("place, wrong", [
    (0, CHOSEN[:, :1]), (1, COSTS[:, :1]), (1, COSTS[0]), (2, BEST[:1]), (2, torch.ones(4)),
    (2, torch.ones(3, 2)),
])  # fmt: skip
def test_other_shapes_are_refused(made, place, wrong):
    given = [CHOSEN, COSTS, BEST]
    given[place] = wrong
    metric = made()
    with pytest.raises(lpgd.StructureError, match="must have one shape"):
        metric.update(*given)
    assert metric.compute().isnan()


def test_functions_of_arrays_check_their_shapes():
    assert metrics.regret([1, 0], [1, 2], 1).shape == ()
    assert metrics.regret(CHOSEN, COSTS[0], 1.0).tolist() == [0, 0, 0]
    with pytest.raises(lpgd.StructureError, match="must have one size"):
        metrics.regret(CHOSEN[:, :1], COSTS, BEST)
    for wrong in (BEST[:, None], BEST[:2]):
        with pytest.raises(lpgd.StructureError, match=r"best must have shape \(3,\), got"):
            metrics.regret(CHOSEN, COSTS, wrong)
    assert np.isnan(metrics.regret([[np.nan, 0]], [[1, 2]], [1])).all()
    for function in (metrics.normalised_regret, metrics.optimal):
        with pytest.raises(lpgd.StructureError, match=r"best must have shape \(2,\), got \(3,\)"):
            function([0.0, 1.0], [1.0, 1.0, 1.0])
    assert metrics.normalised_regret([1.0, 1.0], 2.0) == pytest.approx(0.5)


def test_options_and_arrays_of_functions_are_checked():
    for costs, truth in (([1.0, 2.0], [1.0, 2.0]), ([[1.0]], [[1.0, 2.0]])):
        with pytest.raises(lpgd.StructureError, match="must have one shape"):
            metrics.worst_solutions(costs, truth, TopK(1))
    for wrong in (-1.0, np.nan, "1", None):
        with pytest.raises(ValueError, match="tolerance must be"):
            metrics.worst_solutions([[1.0]], [[1.0]], TopK(1), wrong)
        with pytest.raises(ValueError, match="tolerance must be"):
            metrics.optimal([1.0], [1.0], wrong)
        with pytest.raises(ValueError, match="tolerance must be"):
            accumulated.Optimality(tolerance=wrong)
        with pytest.raises(ValueError, match="tolerance must be"):
            accumulated.UnambiguousRegret(TopK(1), wrong)
    with pytest.raises(ValueError, match="solutions must be numbers"):
        metrics.regret("ab", [1.0, 2.0], 1.0)
    with pytest.raises(ValueError, match="normalise must be True or False"):
        accumulated.Regret(normalise="no")
    with pytest.raises(TypeError, match="oracle must be a callable"):
        accumulated.UnambiguousRegret(None)


@pytest.mark.parametrize("cast", ["half", "bfloat16", "float"])
def test_sums_stay_in_double_precision_whatever_the_model_is_cast_to(cast):
    metric = accumulated.Optimality()
    model = getattr(torch.nn.ModuleList([metric]), cast)()
    for _ in range(3000):
        metric.update(CHOSEN, COSTS, BEST)
    assert model[0].total.dtype == torch.float64
    assert float(metric.compute()) == pytest.approx(2 / 3)


def test_metrics_that_count_otherwise_are_not_merged():
    first = accumulated.Regret()
    for other in (accumulated.Optimality(), accumulated.Regret("max"), None):
        with pytest.raises(TypeError, match="must be a Regret with the same options"):
            first.merge_state(other)
    with pytest.raises(TypeError, match="same options"):
        first.merge_state(accumulated.Regret(normalise=False))


@pytest.mark.parametrize("wrong, told", [
    (CHOSEN.to(torch.complex64), "real numbers"), (CHOSEN.to_sparse(), "must be dense"),
])  # fmt: skip
def test_solutions_are_dense_real_numbers(wrong, told):
    with pytest.raises(lpgd.StructureError, match=told):
        accumulated.Regret().update(wrong, COSTS, BEST)


def test_an_oracle_of_other_shapes_is_refused_and_so_are_batches_that_do_not_broadcast():
    for wrong in (np.ones((1, 3)), np.ones(3), np.ones((2, 1))):
        with pytest.raises(lpgd.StructureError, match="the oracle returned shape"):
            metrics.unambiguous_regret(
                np.ones((2, 3)), np.ones((2, 3)), [1, 1], lambda _, wrong=wrong: wrong
            )
    with pytest.raises(lpgd.StructureError, match="do not broadcast"):
        metrics.regret(np.ones((2, 3)), np.ones((4, 3)), 1.0)
