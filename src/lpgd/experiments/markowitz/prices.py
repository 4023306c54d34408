"""Historical prices: what skfolio ships, as monthly returns."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lpgd.experiments.extras import load
from lpgd.experiments.markowitz.estimates import Floats

Prices = Literal["sp500", "factors"]


def load_prices(name: Prices) -> tuple[NDArray[np.datetime64], Floats, list[str]]:
    """Read daily closing prices: days (D,), prices (D, n), names of the assets.

    ``sp500``: 20 companies, 1990 to 2022; ``factors``: 5 exchange-traded funds, 2014 to 2022.
    """
    datasets = load("skfolio.datasets", "markowitz")
    table = datasets.load_sp500_dataset() if name == "sp500" else datasets.load_factors_dataset()
    days = table.index.to_numpy().astype("datetime64[D]")
    return days, table.to_numpy(dtype=np.float64), [str(column) for column in table.columns]


def monthly_returns(days: NDArray[np.datetime64], prices: Floats) -> Floats:
    """Return gross returns (T, n) between the last trading days of successive months."""
    months = days.astype("datetime64[M]")
    last = np.append(np.flatnonzero(months[1:] != months[:-1]), len(days) - 1)
    closing = prices[last]
    return closing[1:] / closing[:-1]
