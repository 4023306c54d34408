"""Hostile calls of the layers at length, judged as in tests/fuzz.

    python benchmarks/fuzz.py --calls 50000 --seed 0 [--layer qp lp conic cvxpy misuse]

A fault is made smaller, written with the line that repeats it, and makes the exit code 1. Cases are
numbered by their seed, ``--seed`` being the first; other numbers are other cases.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fuzz import hunt, judge
from tests.fuzz.draws import Draw

Found = dict[tuple[str, str], list[int]]
MISUSES = 1000  # calls that are wrong, of which there are few
EVERY = 10.0  # seconds between two lines of progress


def parse() -> argparse.Namespace:
    """Options of the command."""
    parser = argparse.ArgumentParser(description="Hostile calls of the layers.")
    parser.add_argument("--calls", type=int, default=50_000, help="least number of calls")
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    parser.add_argument("--layer", nargs="*", default=list(judge.NAMES), choices=judge.NAMES)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="most time to take")
    parser.add_argument("--examples", type=int, default=1, help="reports of each kind of fault")
    parser.add_argument("--out", type=Path, help="file for the reports, as well as the terminal")
    parser.add_argument(
        "--replay", nargs="+", metavar=("SEED", "CHOICES"), help="repeat one case of --layer"
    )
    return parser.parse_args()


def hunted(options: argparse.Namespace) -> tuple[Found, Counter[str]]:
    """Examine cases, the layers in turns, until there were calls enough."""
    found: Found = {}
    calls: Counter[str] = Counter()
    began = told = time.perf_counter()
    seed = options.seed
    share = {name: options.calls / len(options.layer) for name in options.layer}
    if len(share) > 1 and "misuse" in share:
        share["misuse"] = min(share["misuse"], MISUSES)
    while any(calls[name] < share[name] for name in options.layer):
        for name in options.layer:
            if calls[name] >= share[name]:
                continue
            faults, made = judge.examine(name, Draw(seed))
            calls[name] += made
            for kind in sorted({fault.kind for fault in faults}):
                found.setdefault((name, kind), []).append(seed)
                print(f"{name} {seed}: {kind}", flush=True)  # whatever becomes of the rest
        seed += 1
        now = time.perf_counter()
        if now - told > EVERY:
            told = now
            counts = ", ".join(f"{name} {calls[name]}" for name in options.layer)
            rate = calls.total() / (now - began)
            print(f"{calls.total()} calls ({counts}), {rate:.0f} a second, {len(found)} kinds of "
                  f"faults, at seed {seed}", flush=True)  # fmt: skip
        if now - began > options.seconds:
            break
    return found, calls


def reported(options: argparse.Namespace, found: Found) -> str:
    """All faults, the most frequent kinds first, each with small examples."""
    parts = list[str]()
    for (name, kind), seeds in sorted(found.items(), key=lambda item: -len(item[1])):
        parts.append(f"{name}: {kind}: {len(seeds)} cases, seeds {seeds[:10]}")
        print(parts[-1], flush=True)
        for seed in seeds[: options.examples]:
            fixed = hunt.smaller(name, seed, kind)
            parts.append(hunt.reproduction(name, seed, fixed, kind) + "\n")
            print(parts[-1], flush=True)
    return "\n".join(parts)


def replayed(options: argparse.Namespace) -> int:
    """Repeat one case and tell its faults."""
    (name,) = options.layer
    seed, *choices = options.replay
    pairs = [pair.rsplit("=", 1) for pair in ",".join(choices).split(",") if pair]
    fixed = {choice: int(index) for choice, index in pairs}
    faults, calls = judge.examine(name, Draw(int(seed), fixed))
    print(*faults, f"{calls} calls", sep="\n")
    for kind in dict.fromkeys(fault.kind for fault in faults):
        print(hunt.reproduction(name, int(seed), fixed, kind))
    return bool(faults)


def main() -> int:
    """Hunt, report, and say by the exit code whether anything was found."""
    options = parse()
    if options.replay:
        return replayed(options)
    found, calls = hunted(options)
    report = reported(options, found)
    if options.out:
        options.out.write_text(report + "\n")
    total = sum(map(len, found.values()))
    print(f"{calls.total()} calls from seed {options.seed}: {total} faults of {len(found)} kinds")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
