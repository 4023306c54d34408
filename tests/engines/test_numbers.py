import numpy as np
import pytest

import lpgd
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


@pytest.mark.parametrize("made", [lpgd.IpoptEngine, lpgd.PounceEngine, lpgd.SlsqpEngine])
@pytest.mark.parametrize("options", [
    {"tolerance": 0}, {"tolerance": -1.0}, {"tolerance": "a"}, {"iteration_limit": 0},
    {"iteration_limit": 2.5}, {"time_limit": -1}, {"time_limit": float("nan")}, {"n_jobs": 0},
    {"n_jobs": "2"}, {"n_jobs": True},
])  # fmt: skip
def test_engines_of_nonlinear_programs_check_their_options(made, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        made(**options)


@pytest.mark.parametrize("options", [{"n_jobs": "2"}, {"n_jobs": True}, {"timeout": 0.0}])
def test_workers_check_theirs(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        lpgd.Workers("daqp", **options)
