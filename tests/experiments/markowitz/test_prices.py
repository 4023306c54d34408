import sys

import numpy as np
import pytest

from lpgd import MissingExtraError
from lpgd.experiments.markowitz.prices import load_prices, monthly_returns


@pytest.mark.parametrize(
    ("name", "assets", "first", "last"),
    [("sp500", 20, "1990-01-02", "2022-12-28"), ("factors", 5, "2014-01-02", "2022-12-28")],
)
def test_prices_that_skfolio_ships(name, assets, first, last):
    days, prices, names = load_prices(name)
    assert prices.shape == (len(days), assets)
    assert len(set(names)) == assets
    assert (str(days[0]), str(days[-1])) == (first, last)
    assert np.all(np.diff(days) > np.timedelta64(0))
    assert np.all(np.isfinite(prices) & (prices > 0))


def test_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.delitem(sys.modules, "skfolio.datasets", raising=False)
    monkeypatch.setitem(sys.modules, "skfolio", None)
    with pytest.raises(MissingExtraError, match=r'skfolio.*pip install "lpgd\[markowitz\]"'):
        load_prices("sp500")


def test_monthly_returns_run_from_last_day_to_last_day():
    days = np.array(
        ["2020-01-30", "2020-01-31", "2020-02-03", "2020-02-28", "2020-03-02"], "datetime64[D]"
    )
    prices = np.array([[1.0], [2.0], [9.0], [3.0], [6.0]])
    np.testing.assert_allclose(monthly_returns(days, prices), [[1.5], [2.0]])


def test_monthly_returns_do_not_look_ahead():
    days = np.datetime64("2020-01-01") + np.arange(200)
    prices = np.exp(np.random.default_rng(0).normal(scale=0.01, size=(200, 2)).cumsum(axis=0))
    changed = prices.copy()
    changed[days >= np.datetime64("2020-04-01")] *= 2
    before, after = monthly_returns(days, prices), monthly_returns(days, changed)
    np.testing.assert_array_equal(before[:2], after[:2])  # February and March
    assert not np.array_equal(before[2], after[2])
