import numpy as np

from lpgd.engines.highs.run import _times


def test_units_beyond_numbers_warn_of_nothing():
    """Threads do not see the numpy settings of the one that started them."""
    with np.errstate(all="raise"):
        assert _times(np.array([1e300]), 200).tolist() == [np.inf]
