"""Integer programs on two workers: the layer against two independent processes.

    python benchmarks/scale_out.py [--backend loky|dask|ray] [--rounds 3] [--batch 64]

Knapsacks of 100 items and 3 constraints. Rounds are interleaved; each prints how long
the layer took with n_jobs=2, how long two processes that know nothing of each other took for
halves of the batch, and the ratio. Answers have to be identical.
"""

import argparse
import time
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context

import joblib
import numpy as np
import torch

from lpgd.oracles import Knapsack
from lpgd.torch import OracleLayer

ITEMS, ROWS = 100, 3


def instance(batch):
    """The knapsack and its values."""
    draw = np.random.RandomState(0)
    weights = draw.randint(1, 100, (ROWS, ITEMS))
    return Knapsack(weights, weights.sum(axis=1) // 2), draw.random_sample((batch, ITEMS))


def alone(half, batch, gate, results):
    """One of two processes: waits for the other, solves its half."""
    torch.set_num_threads(1)
    oracle, values = instance(batch)
    layer = OracleLayer(oracle, sense="max")
    mine = torch.from_numpy(values[half::2])
    layer(mine[:1])
    gate.wait()
    began = time.perf_counter()
    x = layer(mine)
    results.put((half, time.perf_counter() - began, x.numpy()))


def independent(batch):
    """Seconds of the slower of two processes, and their solutions."""
    context = get_context("spawn")
    gate, results = context.Barrier(2), context.Queue()
    workers = [context.Process(target=alone, args=(half, batch, gate, results)) for half in (0, 1)]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    x = np.empty((batch, ITEMS))
    for half, _, part in found:
        x[half::2] = part
    return max(seconds for _, seconds, _ in found), x


@contextmanager
def cluster(name):
    """A local cluster of two workers."""
    if name == "dask":
        from distributed import Client, LocalCluster

        size = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(**size) as here, Client(here), joblib.parallel_config(backend="dask"):
            yield
    elif name == "ray":
        import ray
        from ray.util.joblib import register_ray

        ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
        register_ray()
        with joblib.parallel_config(backend="ray"):
            yield
        ray.shutdown()
    else:
        with nullcontext():
            yield


def main():
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=("loky", "dask", "ray"), default="loky")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    oracle, values = instance(options.batch)
    layer, costs = OracleLayer(oracle, sense="max", n_jobs=2), torch.from_numpy(values)
    with cluster(options.backend):
        layer(costs[:8])  # starts the workers
        for _ in range(options.rounds):
            began = time.perf_counter()
            x = layer(costs)
            mine = time.perf_counter() - began
            theirs, expected = independent(options.batch)
            assert (x.numpy() == expected).all()
            print(f"layer {mine:.2f} s, two processes {theirs:.2f} s, {theirs / mine:.2f} of them")


if __name__ == "__main__":
    main()
