"""Sparse QPs of the Maros-Meszaros test set: solved, how accurately, how fast, in how much memory.

    python benchmarks/maros.py FOLDER [NAME ...] [--dqp]

FOLDER holds Matlab files as in the repository qpsolvers/maros_meszaros_qpbenchmark: minimise
x'Px/2 + q'x subject to l <= Ax <= u, the last n rows of A being bounds. Every problem runs in a
process of its own, for at most LIMIT seconds. The loss is <w, x> with w in [-1, 1]; its gradient in
q along a random direction is compared with a central difference of the layer. ``--dqp`` adds dQP
(package libdqp), where it is installed, on the same rows.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import scipy.io
from scipy import sparse

LIMIT = 60.0
STEP = 1e-6  # of the finite difference, relative to the largest entry of q
NONE = 9e19  # sides from here on are none


def load(path):
    """P, q, G, h, A, b, lb and ub; absent ones are missing."""
    given = scipy.io.loadmat(path)
    q, low, high = (given[name].ravel().astype(float) for name in ("q", "l", "u"))
    low[low <= -NONE], high[high >= NONE] = -np.inf, np.inf
    C, n = sparse.csr_matrix(given["A"].astype(float)), len(q)
    m = C.shape[0] - n
    rows, lb, ub, low, high = C[:m], low[m:], high[m:], low[:m], high[:m]
    equal = low == high
    above, below = ~equal & np.isfinite(high), ~equal & np.isfinite(low)
    data = {"P": sparse.csr_matrix(given["P"].astype(float)), "q": q}
    if equal.any():
        data |= {"A": rows[equal], "b": high[equal]}
    if (above | below).any():
        data["G"] = sparse.vstack([rows[above], -rows[below]]).tocsr()
        data["h"] = np.concatenate([high[above], -low[below]])
    data |= {"lb": lb} if np.isfinite(lb).any() else {}
    return data | ({"ub": ub} if np.isfinite(ub).any() else {})


def residual(data, duals):
    """The usual one: infeasibility, stationarity and the duality gap, relative to their terms."""
    x, y, z, box = (part.detach().numpy() for part in duals)
    P, q, n = data["P"], data["q"], len(data["q"])
    A, b = data.get("A", sparse.csr_matrix((0, n))), data.get("b", np.zeros(0))
    G, h = data.get("G", sparse.csr_matrix((0, n))), data.get("h", np.zeros(0))
    lb, ub = data.get("lb", np.full(n, -np.inf)), data.get("ub", np.full(n, np.inf))

    def top(*parts: np.ndarray) -> float:
        return max([1.0, *(np.abs(p).max(initial=0.0) for p in parts)])

    violated = [np.abs(A @ x - b), np.maximum(G @ x - h, 0), lb - x, x - ub]
    primal = max(part.max(initial=0.0) for part in violated) / top(A @ x, b, G @ x)
    terms = (P @ x, q, A.T @ y + G.T @ z, box)
    dual = np.abs(sum(terms)).max() / top(*terms)
    up, down = np.maximum(box, 0), np.maximum(-box, 0)
    bounds = np.where(up > 0, ub, 0) @ up - np.where(down > 0, lb, 0) @ down
    value, lower = x @ (P @ x), (q @ x, b @ y, h @ z, bounds)
    gap = abs(value + sum(lower)) / max(1.0, abs(value), *map(abs, lower))
    return max(primal, dual, gap)


def ours(data, rule):
    """Layer, arguments and the tensor q."""
    import torch

    from lpgd.torch import QPLayer, Sparse

    args = {k: torch.from_numpy(v.data if k in "PGA" else v) for k, v in data.items()}
    args = {k: Sparse(data[k], v) if k in "PGA" else v for k, v in args.items()}
    args["q"].requires_grad_()
    return QPLayer(rule), args


def one(path, dqp):
    """Figures of one problem."""
    import torch

    import lpgd

    data, warm = load(path), {"P": sparse.eye(2, format="csr"), "q": np.ones(2)}
    layer, args = ours(warm, lpgd.Exact())
    layer(**args).sum().backward()  # imports
    if dqp:
        return dqp_one(data)
    layer, args = ours(data, lpgd.Exact())
    weight = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, len(data["q"])))
    began = time.perf_counter()
    found = layer(**args, return_duals=True)
    forward = time.perf_counter() - began
    began = time.perf_counter()
    (weight * found.x).sum().backward()
    backward = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    way = np.random.default_rng(1).normal(size=len(data["q"]))
    answer = {
        "forward": forward, "backward": backward, "GB": memory,
        "residual": residual(data, found), "degenerate": layer.stats.degenerate,
    }  # fmt: skip
    print(json.dumps(answer), flush=True)
    if layer.stats.degenerate == 0:
        slope = float(args["q"].grad.numpy() @ way)
        step = STEP * max(np.abs(data["q"]).max(), 1.0)
        ends = []
        for t in (step, -step):
            _, moved = ours({**data, "q": data["q"] + t * way}, lpgd.Exact())
            ends.append(float((weight * layer(**moved)).sum().detach()))
        difference = (ends[0] - ends[1]) / (2 * step)
        noise = 1e-10 * float(weight.abs() @ found.x.detach().abs()) / step
        answer["gap"] = abs(slope - difference) / max(abs(difference), abs(slope), noise)
    return answer


def dqp_one(data):
    """Seconds of dQP on the same problem."""
    import torch
    from dqp import dQP

    n, eye = len(data["q"]), sparse.eye(len(data["q"]), format="csr")
    C, d = [data["G"]] if "G" in data else [], [data["h"]] if "h" in data else []
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        there = np.isfinite(data.get(name, np.full(n, np.inf)))
        if there.any():
            C, d = [*C, sign * eye[there]], [*d, sign * data[name][there]]
    matrices = {"P": data["P"], "A": data.get("A"), "C": sparse.vstack(C) if C else None}
    given = {k: None if M is None else to_torch(M) for k, M in matrices.items()}
    vectors = {"q": data["q"], "b": data.get("b"), "d": np.concatenate(d) if d else None}
    given |= {k: None if v is None else torch.from_numpy(v) for k, v in vectors.items()}
    given["q"].requires_grad_()
    settings = dQP.build_settings(
        solve_type="sparse", qp_solver="piqp", lin_solver="qdldl", check_PSD=False
    )
    layer = dQP.dQP_layer(settings=settings)
    began = time.perf_counter()
    x = layer(*(given[k] for k in ("P", "q", "C", "d", "A", "b")))[0]
    forward = time.perf_counter() - began
    began = time.perf_counter()
    x.sum().backward()
    return {"dqp_forward": forward, "dqp_backward": time.perf_counter() - began}


def to_torch(matrix):
    import torch

    M = sparse.csc_matrix(matrix)
    parts = (torch.from_numpy(part.astype(np.int64)) for part in (M.indptr, M.indices))
    return torch.sparse_csc_tensor(*parts, torch.from_numpy(M.data), size=M.shape)


def run(path, *flags):
    """Figures of a problem, from a process of its own."""
    command = [sys.executable, __file__, "--one", str(path.parent), path.stem, *flags]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=6 * LIMIT)
        out, err, code = done.stdout, done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        out, err, code = (late.stdout or b"").decode(), "time", 1
    lines = [line for line in out.splitlines() if line.startswith("{")]
    found = json.loads(lines[-1]) if lines else {}
    if code:
        found["failed"] = (err.strip().splitlines() or ["killed"])[-1][:90]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--dqp", action="store_true")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.folder / f"{options.names[0]}.mat", options.dqp)))
        return
    names = options.names or sorted(path.stem for path in options.folder.glob("*.mat"))
    print(
        f"{'problem':10s} {'residual':>9s} {'forward':>8s} {'backward':>8s} {'GB':>5s} degenerate"
    )
    solved, clean, right, ratios = 0, 0, 0, []
    for name in names:
        found = run(options.folder / f"{name}.mat")
        if "residual" not in found:
            print(f"{name:10s} {found.get('failed')}", flush=True)
            continue
        good = found["residual"] <= 1e-6 and found["forward"] <= LIMIT
        solved += good
        line = f"{name:10s} {found['residual']:9.1e} {found['forward']:8.3f} "
        line += f"{found['backward']:8.4f} {found['GB']:5.2f} {found['degenerate']:.0f}"
        if "gap" in found:
            clean, right = clean + 1, right + (found["gap"] <= 1e-3)
            line += f" difference {found['gap']:.1e}"
        if options.dqp:
            other = run(options.folder / f"{name}.mat", "--dqp")
            line += f" dQP {other.get('dqp_forward', math.nan):.3f} "
            line += f"{other.get('dqp_backward', math.nan):.4f} {other.get('failed', '')}"
            if "dqp_backward" in other:
                both = found["forward"] + found["backward"]
                ratios.append(both / (other["dqp_forward"] + other["dqp_backward"]))
        print(line, flush=True)
    print(f"{solved} of {len(names)} solved; gradients right on {right} of {clean} clean ones")
    if ratios:
        print(f"ours over dQP: {math.exp(np.mean(np.log(ratios))):.2f} on {len(ratios)}")


if __name__ == "__main__":
    main()
