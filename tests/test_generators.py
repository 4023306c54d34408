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


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="deg must be"):
        generators.shortest_path(2, 2, (2, 2), degree=0)
    with pytest.raises(ValueError, match="noise_level must be"):
        generators.portfolio(2, 2, 2, noise=-1.0)
