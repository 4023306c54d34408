import numpy as np
import pytest
from hypothesis import given

from lpgd.testing import Shape, plant, programs, tied, violation
from lpgd.testing.planting import MARGIN


@given(programs() | programs(sparse=True))
def test_planted_solutions_are_saddle_points(case):
    assert violation(case.problem, case.params, case.solution).max() < 1e-9


@given(programs(("LP",)))
def test_planted_vertices_have_as_many_multipliers_as_variables(case):
    equalities = case.problem.blocks.get("A", slice(0, 0)).stop
    active = (case.solution.y[:, equalities:] > MARGIN).sum(axis=1) + equalities
    np.testing.assert_array_equal(active, case.problem.n)


def test_the_same_seed_gives_the_same_program():
    shape = Shape(4, 1, 3, ("lb",), batch=2, distinct={"q": 2})
    one, two = (plant(shape, np.random.default_rng(5)) for _ in range(2))
    for name, param in one.params.items():
        np.testing.assert_array_equal(param.values, two.params[name].values)
    assert len(one.params["q"].values) == 2
    assert len(one.params["P"].values) == 1


@pytest.mark.parametrize("shape", [Shape(3, 0, 1, (), quadratic=False), Shape(1, 2)])
def test_impossible_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="other numbers of rows"):
        plant(shape, np.random.default_rng(0))


def test_the_search_ends(monkeypatch):
    monkeypatch.setattr("lpgd.testing.planting.MARGIN", 1e9)
    with pytest.raises(ValueError, match="no non-degenerate program"):
        plant(Shape(2, 0, 1), np.random.default_rng(0))


def test_tied_programs_share_all_but_their_costs():
    params = tied(4, np.random.default_rng(0)).params
    assert {name: len(p.values) for name, p in params.items() if name != "q"} == {
        "A": 1, "b": 1, "lb": 1, "ub": 1,
    }  # fmt: skip
    assert set(np.unique(params["q"].values)) == {0, 1}
