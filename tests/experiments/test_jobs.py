import pytest
from threadpoolctl import threadpool_info

from lpgd.experiments.jobs import job_pool


def invert(number):
    return 1 / number


def threads(_):
    return [pool["num_threads"] for pool in threadpool_info()]


def test_processes_have_one_thread_each():
    with job_pool(2) as pool:
        for found in pool.run(threads, [0, 1], lambda task, result: None):
            assert found
            assert set(found) == {1}


def test_results_keep_the_order():
    heard = []
    with job_pool(2) as pool:
        results = pool.run(invert, [4, 2, 1], lambda task, result: heard.append((task, result)))
    assert results == [0.25, 0.5, 1.0]
    assert sorted(heard) == [(1, 1.0), (2, 0.5), (4, 0.25)]


def test_an_error_ends_the_pool():
    with pytest.raises(ZeroDivisionError), job_pool(1) as pool:
        pool.run(invert, [0, 1], lambda task, result: None)
