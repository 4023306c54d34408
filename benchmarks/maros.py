"""Sparse QPs of the Maros-Meszaros test set: solved, how accurately, how fast, in how much memory.

    python benchmarks/maros.py FOLDER [NAME ...] [--dqp]

FOLDER holds Matlab files as in the repository qpsolvers/maros_meszaros_qpbenchmark: minimise
x'Px/2 + q'x subject to l <= Ax <= u, the last n rows of A being bounds. Every problem runs in a
process of its own, for at most LIMIT seconds. The loss is <w, x> with w in [-1, 1]; its gradient in
q along a random direction is compared with a central difference of the layer.

``--dqp`` adds dQP (package libdqp; PIQP and QDLDL, its fastest free pair), where it is installed,
on the same rows: at its default tolerance, and at the loosest of ``TOLERANCES`` at which its
residual is at most ``CLOSE`` (else at that of the least residual). Both layers
have seen a small problem before, so that no import is timed; times are the least of ``PASSES``
passes, of one where a pass takes a second.
"""

from __future__ import annotations

import argparse
import json
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
PASSES = 3
TOLERANCES = (1e-6, 1e-8, 1e-10, 1e-12)
CLOSE = 1e-9


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


def small():
    """Two variables, one of every kind of row."""
    eye = sparse.eye(2, format="csr")
    data = {"P": eye, "q": np.array([1.0, -2.0]), "A": eye[:1], "b": np.ones(1)}
    return data | {"G": eye[1:], "h": np.ones(1), "lb": np.zeros(2), "ub": 3 * np.ones(2)}


def timed(call):
    """Least seconds of a forward and of a backward pass, and what the first forward pass found."""
    first, taken = None, []
    while len(taken) < PASSES:
        began = time.perf_counter()
        loss, found = call()
        between = time.perf_counter()
        loss.backward()
        taken.append((between - began, time.perf_counter() - between))
        first = found if first is None else first
        if sum(taken[-1]) > 1:
            break
    return (*min(taken, key=sum), first)


def one(path, dqp):
    """Figures of one problem."""
    import torch

    import lpgd

    data = load(path)
    weight = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, len(data["q"])))
    if dqp:
        return dqp_one(data, weight)
    layer, args = ours(small(), lpgd.Exact())
    layer(**args).sum().backward()  # imports
    layer, args = ours(data, lpgd.Exact())

    def call():
        args["q"].grad = None
        found = layer(**args, return_duals=True)
        return (weight * found.x).sum(), found

    forward, backward, found = timed(call)
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


def dqp_rows(data):
    """dQP's data as tensors, and where its rows of each bound are."""
    import torch

    n = len(data["q"])
    eye, parts, bounds = sparse.eye(n, format="csr"), [], {}
    if "G" in data:
        parts.append((data["G"], data["h"]))
    for name, sign in (("lb", -1.0), ("ub", 1.0)):
        there = np.isfinite(data.get(name, np.full(n, np.inf)))
        if there.any():
            start = sum(len(side) for _, side in parts)
            bounds[name] = (sign, np.flatnonzero(there), start)
            parts.append((sign * eye[there], sign * data[name][there]))
    C = sparse.vstack([rows for rows, _ in parts]) if parts else None
    d = np.concatenate([side for _, side in parts]) if parts else None
    matrices = {"P": data["P"], "C": C, "A": data.get("A")}
    vectors = {"q": data["q"], "d": d, "b": data.get("b")}
    given = {k: None if M is None else to_torch(M) for k, M in matrices.items()}
    given |= {k: None if v is None else torch.from_numpy(v) for k, v in vectors.items()}
    given["q"].requires_grad_()
    return given, bounds


def dqp_found(data, bounds, found):
    """What dQP found, in the parts that `residual` takes."""
    import torch

    x, y, w = (part.detach().ravel() for part in found[:3])
    box = torch.zeros(len(data["q"]), dtype=torch.float64)
    for sign, where, start in bounds.values():
        box[where] += sign * w[start : start + len(where)]
    return x, y, w[: len(data.get("h", ()))], box


def dqp_one(data, weight):
    """Seconds of dQP on the same problem, and its residuals, for each of its tolerances."""
    from dqp import dQP

    def layer(eps):
        settings = dQP.build_settings(
            solve_type="sparse", qp_solver="piqp", lin_solver="qdldl", check_PSD=False, eps_abs=eps
        )
        return dQP.dQP_layer(settings=settings)

    names = ("P", "q", "C", "d", "A", "b")
    given, _ = dqp_rows(small())
    layer(TOLERANCES[0])(*(given[k] for k in names))[0].sum().backward()  # imports
    given, bounds = dqp_rows(data)
    rows = []
    for eps in TOLERANCES:
        solve = layer(eps)

        def call(solve=solve):
            given["q"].grad = None
            found = solve(*(given[k] for k in names))
            return (weight * found[0].ravel()).sum(), found

        forward, backward, found = timed(call)
        far = residual(data, dqp_found(data, bounds, found))
        rows.append({"eps": eps, "both": forward + backward, "residual": far})
        print(json.dumps({"dqp": rows}), flush=True)
        if far <= CLOSE:
            break
    return {"dqp": rows}


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


def line_of(found, rows):
    """What is printed of one problem: figures of ours, and of dQP's rows."""
    line = f"{found['residual']:9.1e} {found['forward']:8.3f} {found['backward']:8.4f} "
    line += f"{found['GB']:5.2f} {found['degenerate']:.0f}"
    line += f" difference {found['gap']:.1e}" if "gap" in found else ""
    for row in rows:
        line += f" dQP {row['eps']:.0e}: {row['both']:.4f} ({row['residual']:.1e})"
    return line


def compared(path):
    """dQP's rows at its default tolerance and where it is as accurate, and why it failed."""
    other = run(path, "--dqp")
    rows = other.get("dqp", [])
    chosen = [rows[0], min(rows, key=lambda row: row["residual"])] if rows else []
    return chosen, other.get("failed", "")


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
    print("problem     residual  forward backward    GB degenerate")
    solved, clean, ratios = 0, [], []
    for name in names:
        path = options.folder / f"{name}.mat"
        found = run(path)
        if "residual" not in found:
            print(f"{name:10s} {found.get('failed')}", flush=True)
            continue
        solved += found["residual"] <= 1e-6 and found["forward"] <= LIMIT
        clean += [found["gap"] <= 1e-3] if "gap" in found else []
        rows, failed = compared(path) if options.dqp else ([], "")
        if rows:
            both = found["forward"] + found["backward"]
            ratios.append([both / row["both"] for row in rows])
        print(f"{name:10s} {line_of(found, rows)} {failed}", flush=True)
    print(f"{solved} of {len(names)} solved")
    print(f"gradients right on {sum(clean)} of {len(clean)} clean ones")
    if ratios:
        loose, same = np.exp(np.mean(np.log(ratios), axis=0))
        print(
            f"ours over dQP on {len(ratios)}: {loose:.2f} at its default tolerance, "
            f"{same:.2f} where its residual is as small"
        )


if __name__ == "__main__":
    main()
