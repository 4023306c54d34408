import numpy as np
import pytest

import lpgd
from lpgd.core.options import array, choice, flag, number, positive, whole


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


@pytest.mark.parametrize("value", ["c", None, 1, ["a"], {}, np.array(["a", "b"])])
def test_choices(value):
    with pytest.raises(ValueError, match="kind must be one of 'a', 'b', got"):
        choice("kind", value, ("a", "b"))
    choice("kind", "b", ("a", "b"))


@pytest.mark.parametrize("value", [0, 0.0, -1.0, np.inf, np.nan, "1", None, True])
def test_positive_numbers(value):
    with pytest.raises(ValueError, match=r"size must be a .*number"):
        positive("size", value)
    positive("size", 1e-300)


def test_arrays_are_copies_of_numbers():
    given = np.ones(2)
    assert array("x", given) is not given
    assert array("x", [[1, 2], [3, 4]]).dtype == np.float64
    for wrong in ("3", b"x", 1j, None, {}, object(), [None], 10**30):
        with pytest.raises(ValueError, match="x must be numbers, got dtype"):
            array("x", wrong)
    with pytest.raises(ValueError, match="x must be an array of numbers: "):
        array("x", [[1.0], [1.0, 2.0]])


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
