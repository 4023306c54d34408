import os
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info

from lpgd.experiments.jobs import job_pool
from lpgd.experiments.runs import ExperimentError


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


def test_a_killed_process_is_said_in_a_line():
    killed = pytest.raises(ExperimentError, match=r"was killed.*the same command continues")
    with killed, job_pool(1) as pool:
        pool.run(os._exit, [1], lambda task, result: None)


ORPHAN = """
import time
from lpgd.experiments.jobs import job_pool
if __name__ == "__main__":
    with job_pool(1) as pool:
        pool.run(abs, [1], lambda task, result: print("started", flush=True))
        pool.run(time.sleep, [600], print)
"""


def test_jobs_end_with_a_killed_parent():
    command = [sys.executable, "-c", ORPHAN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.kill()
        process.communicate(timeout=60)  # returns when no process holds the pipe any more
