import numpy as np
import pytest

from lpgd import Cones
from lpgd.families.conic.cones import order_of, triangle


def test_rows_are_laid_out_in_a_fixed_order():
    cones = Cones(zero=1, nonneg=2, soc=(3,), psd=(2,), exp=1, power=(0.5,))
    assert cones.m == 15
    assert cones.blocks() == [
        ("zero", 0, 1), ("nonneg", 1, 3), ("soc", 3, 6), ("psd", 6, 9), ("exp", 9, 12),
        ("power", 12, 15),
    ]  # fmt: skip
    assert cones.kinds == {"zero", "nonneg", "soc", "psd", "exp", "power"}


def test_no_cones_have_no_rows():
    assert Cones().m == 0
    assert Cones().kinds == frozenset()


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"zero": -1}, "zero must be an int >= 0, got -1"),
        ({"nonneg": -1}, "nonneg must be an int >= 0, got -1"),
        ({"exp": -2}, "exp must be an int >= 0, got -2"),
        ({"zero": 1.5}, "zero must be an int >= 0, got 1.5"),
        ({"soc": (3, 1)}, "at least 2"),
        ({"psd": (0,)}, "at least 1"),
        ({"power": (1.0,)}, r"\(0, 1\)"),
    ],
)
def test_impossible_cones_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Cones(**wrong)


def test_sizes_come_in_a_tuple_or_list():
    assert Cones(soc=[3, 4]) == Cones(soc=(3, 4))
    with pytest.raises(TypeError, match="soc must be a tuple, one entry a cone, got 3"):
        Cones(soc=3)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_the_triangle_keeps_inner_products(order):
    rng = np.random.default_rng(0)
    rows, cols, scale = triangle(order)
    assert order_of(len(rows)) == order
    X, Y = (part + part.T for part in rng.normal(size=(2, order, order)))
    x, y = (part[rows, cols] * scale for part in (X, Y))
    assert x @ y == pytest.approx((X * Y).sum())


def test_the_triangle_goes_column_by_column():
    rows, cols, _ = triangle(3)
    places = list(zip(rows.tolist(), cols.tolist(), strict=True))
    assert places == [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize("sizes", [
    {"soc": (2.5,)}, {"soc": (3.0,)}, {"soc": (np.nan,)}, {"soc": (True, 3)}, {"soc": ("3",)},
    {"psd": (1.5,)}, {"psd": (np.inf,)}, {"psd": (None,)}, {"zero": 1.0}, {"zero": True},
    {"nonneg": np.nan}, {"nonneg": "2"}, {"exp": 0.5}, {"exp": -1}, {"power": (np.nan,)},
    {"power": (True,)}, {"power": ("0.5",)}, {"power": (None,)},
])  # fmt: skip
def test_sizes_that_are_none(sizes):
    with pytest.raises(ValueError, match=r"size|order|int >= 0|exponents"):
        Cones(**sizes)


def test_sizes_of_numpy_become_plain_ones():
    cones = Cones(
        np.int64(1), np.int32(2), (np.int64(3),), [np.int8(2)], np.int64(1), (np.float32(0.5),)
    )
    assert cones == Cones(1, 2, (3,), (2,), 1, (0.5,))
    assert all(type(size) is int for size in (cones.zero, *cones.soc, *cones.psd))
