import numpy as np
import pytest

from lpgd.engines.numbers import flag, number, whole


@pytest.mark.parametrize("value", [True, "1", None, np.nan, np.inf, -np.inf, -1.0, 0.5, [0.2]])
def test_numbers_out_of_range(value):
    with pytest.raises(ValueError, match=r"size must be a number in \[0.1, 0.5\), got"):
        number("size", value, least=0.1, below=0.5)
    number("size", np.float32(0.25), least=0.1, below=0.5)


@pytest.mark.parametrize("value", [True, "1", None, np.nan, np.inf, -1, 2.5, 2.0])
def test_numbers_that_are_not_whole(value):
    with pytest.raises(ValueError, match="count must be an integer >= 0, got"):
        whole("count", value, least=0)
    whole("count", np.int64(3))


@pytest.mark.parametrize("value", [1, "yes", None])
def test_flags(value):
    with pytest.raises(ValueError, match="loud must be True or False, got"):
        flag("loud", value)
    flag("loud", False)
