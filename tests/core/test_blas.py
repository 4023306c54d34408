"""BLAS keeps to one thread while anybody is inside, and users have their own setting again."""

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from threading import Barrier

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from lpgd.core.blas import OneThread
from lpgd.diagnosis import shape
from lpgd.losses import upper
from lpgd.rules import face

import_module("scipy.linalg")  # which brings a BLAS of its own
BLAS = ThreadpoolController().select(user_api="blas")
with BLAS.limit(limits=2):  # some have been built without threads
    THREADED = [one for one in BLAS.lib_controllers if one.get_num_threads() == 2]


def counts():
    return [library.get_num_threads() for library in THREADED]


@pytest.fixture(autouse=True)
def two():
    with BLAS.limit(limits=2):
        yield


def test_the_outermost_takes_it_back():
    one = OneThread()
    with one:
        with one:
            assert set(counts()) == {1}
        assert set(counts()) == {1}
    assert set(counts()) == {2}


def test_errors_take_it_back():
    with pytest.raises(ZeroDivisionError), OneThread():
        1 / 0
    assert set(counts()) == {2}


def test_threads_that_overlap_leave_what_was_there():
    one, together = OneThread(), Barrier(4)

    @one
    def work(_):
        together.wait()
        return set(counts())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [{1}] * 4
    assert set(counts()) == {2}


def test_a_setting_of_one_is_left_alone():
    with BLAS.limit(limits=1):
        with OneThread():
            pass
        assert set(counts()) == {1}


@pytest.mark.parametrize(
    ("work", "given", "routine"),
    [
        (face.along, (np.eye(2), np.ones(2)), "lstsq"),
        (upper._least, (np.eye(2)[None], np.ones((1, 1, 2))), "eigvalsh"),
        (upper._convexifier, (np.eye(2), np.ones((1, 2)), 1.0), "eigvalsh"),
        (shape.rank, (np.eye(2),), "matrix_rank"),
        (shape._free, (np.ones((1, 2)), np.ones(2, dtype=np.bool_)), "svd"),
        (shape._spans, (np.eye(2), np.ones(2)), "lstsq"),
    ],
)
def test_algebra_outside_of_calls_has_one_thread_too(work, given, routine, monkeypatch):
    seen, honest = [], getattr(np.linalg, routine)

    def watched(*args, **options):
        seen.append(set(counts()))
        return honest(*args, **options)

    monkeypatch.setattr(np.linalg, routine, watched)
    work(*given)
    assert seen
    assert all(threads == {1} for threads in seen)
    assert set(counts()) == {2}
