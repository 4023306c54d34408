"""Every oracle of lpgd.oracles against lists of all points, and against independent solvers.

    python benchmarks/oracles.py [--elements 2000] [--only list|solver] [--families TSP CVRP]
    python benchmarks/oracles.py --replay list TSP 17

Small sets are listed point by point (_oracle_lists.py); the least costs of medium ones are those of
OR-tools' flows, SCIP, GLOP and CP-SAT, or of networkx (_oracle_medium.py). Costs have ties, zeros,
all signs and sizes from 2^-40 to 2^40; sets may be empty, and where an oracle takes instances each
element has a set of its own. An answer must be a point of the set, at the least cost to the gap of
the oracle, and the same to the last bit in other company. The exit code is 1 if anything was found.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import zlib
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from _oracle_cases import Draw, Tally, judge
from _oracle_lists import lists
from _oracle_medium import medium

KINDS: dict[str, dict[str, Draw]] = {"list": lists, "solver": medium}
SHOWN = 3  # faults of each family that are told


def rng_of(kind: str, name: str, seed: int) -> np.random.Generator:
    """A generator of its own for each case."""
    return np.random.default_rng([zlib.crc32(f"{kind} {name}".encode()), seed])


def examined(kind: str, name: str, seed: int, tally: Tally) -> None:
    """Judge one case."""
    try:
        faults = judge(KINDS[kind][name](rng_of(kind, name, seed)), tally)
    except Exception:  # whatever it is, it is a fault
        faults = [traceback.format_exc()]
    tally.faults += [f"--replay {kind} {name!r} {seed}: {fault}" for fault in faults]


def main() -> int:
    """Examine, print a table, and say by the exit code whether anything was found."""
    parser = argparse.ArgumentParser(description="Oracles against independent answers.")
    parser.add_argument("--elements", type=int, default=2000, help="least number for each family")
    parser.add_argument("--only", choices=tuple(KINDS), help="one kind of reference")
    parser.add_argument("--families", nargs="*", help="some of the families")
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--replay", nargs=3, metavar=("KIND", "FAMILY", "SEED"))
    options = parser.parse_args()
    if options.replay:
        kind, name, seed = options.replay
        examined(kind, name, int(seed), tally := Tally())
        print(*tally.faults or ["nothing found"], sep="\n")
        return bool(tally.faults)
    print(f"{'family':28}{'held against':>14}{'elements':>10}{'negative':>10}{'ties':>8}"
          f"{'empty':>8}{'worst':>10}{'seconds':>9}{'faults':>8}")  # fmt: skip
    total, found = 0, 0
    for kind in KINDS if options.only is None else (options.only,):
        for name in options.families or KINDS[kind]:
            if name not in KINDS[kind]:
                continue
            tally, seed, began = Tally(), options.seed, time.perf_counter()
            while tally.elements < options.elements and len(tally.faults) < 20:
                examined(kind, name, seed, tally)
                seed += 1
            print(f"{name:28}{kind:>14}{tally.elements:10}{tally.negative:10}{tally.ties:8}"
                  f"{tally.empty:8}{tally.worst:10.0e}{time.perf_counter() - began:9.1f}"
                  f"{len(tally.faults):8}")  # fmt: skip
            for fault in tally.faults[:SHOWN]:
                print(f"  {fault}")
            sys.stdout.flush()
            total, found = total + tally.elements, found + len(tally.faults)
    print(f"{total} elements, {found} faults")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
