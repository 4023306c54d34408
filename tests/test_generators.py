"""Generators draw PyEPO's numbers."""

import numpy as np
import pytest

from lpgd import generators

OPTIONS = [(1, 0.0, 135), (2, 0.5, 0), (4, 0.5, 135), (6, 0.25, 7)]


@pytest.mark.parametrize("degree, noise, seed", OPTIONS)
@pytest.mark.parametrize("name", ["shortest_path", "knapsack", "tsp", "portfolio"])
def test_every_number_is_pyepos(name, degree, noise, seed):
    pyepo = pytest.importorskip("pyepo")
    size = {"shortest_path": ((4, 5),), "knapsack": (7, 2), "tsp": (7,), "portfolio": (6,)}[name]
    found = getattr(generators, name)(30, 5, *size, degree=degree, noise=noise, seed=seed)
    own = getattr(pyepo.data, name.replace("_", "")).genData
    option = "noise_level" if name == "portfolio" else "noise_width"
    expected = own(30, 5, *size, deg=degree, seed=seed, **{option: noise})
    import lpgd.pyepo

    ours = getattr(lpgd.pyepo.data, name.replace("_", "")).genData
    again = ours(30, 5, *size, deg=degree, seed=seed, **{option: noise})
    for a, b, c in zip(found, expected, again, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(c, b)
        assert a.dtype == b.dtype


SMALL = {"size": 2, "features": 2}
MADE = [
    (generators.shortest_path, {"grid": (2, 2)}), (generators.knapsack, {"items": 2}),
    (generators.tsp, {"cities": 3}), (generators.portfolio, {"assets": 2}),
]  # fmt: skip


@pytest.mark.parametrize("make, given", MADE)
@pytest.mark.parametrize("wrong, values", [
    ("size", [-1, 2.0, "2", None]), ("features", [0, 1.5]), ("degree", [0, 1.5, True]),
    ("noise", [-1.0, np.nan, np.inf, "a"]), ("seed", [-1, 2**32, "a", 0.5]),
])  # fmt: skip
def test_wrong_options_are_refused(make, given, wrong, values):
    for value in values:
        refused(make, given, wrong, value)


@pytest.mark.parametrize("make, given", MADE[1:])
def test_wrong_sizes_are_refused(make, given):
    for value in (0, -1, 2.5, "2", [2]):
        refused(make, given, next(iter(given)), value)
    refused(generators.knapsack, {"items": 2}, "dimensions", 0)


def refused(make, given, wrong, value):
    with pytest.raises(ValueError, match=f"{wrong} must be"):
        make(**{**SMALL, **given, wrong: value})


@pytest.mark.parametrize("value", [(2,), 3, (2, 0), (2, 1.5), None])
def test_wrong_grids_are_refused(value):
    with pytest.raises(ValueError, match="grid must be"):
        generators.shortest_path(2, 2, value)


def test_the_drop_in_names_arguments_as_pyepo_does():
    pytest.importorskip("torch")
    import lpgd.pyepo

    with pytest.raises(ValueError, match="noise_width must be"):
        lpgd.pyepo.data.tsp.genData(2, 2, 3, noise_width=-1)
    with pytest.raises(ValueError, match="noise_level must be"):
        lpgd.pyepo.data.portfolio.genData(2, 2, 3, noise_level=np.nan)


def test_no_instances_are_some_arrays_without_rows():
    x, c = generators.shortest_path(0, 2, (2, 3))
    assert x.shape == (0, 2)
    assert c.shape == (0, 7)
