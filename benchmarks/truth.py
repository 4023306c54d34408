"""How often are gradients wrong? Random programs of many families against differences.

    python benchmarks/truth.py [--families lasso softmax] [--instances 24] [--seed 0]
                               [--rule auto|exact|both] [--worst 5]
    python benchmarks/truth.py --replay "lasso, wide" 17

For each instance the layer's own solution, confirmed by an independent solver or a closed form, is
differenced along random directions in all parameters; where both sides agree at several steps, that
is the derivative (_truth_measure.py). The gradients of ``lpgd.LPGD()`` and ``lpgd.Exact()`` are
compared with it. An instance is wrong where its largest error over the directions exceeds 1e-3 of
the largest slope. Every second instance is in odd units. Costs at a vertex are left out.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch
from _truth_measure import (
    Found,
    Instance,
    Truth,
    instance,
    judge,
    points,
    solutions,
    truth,
    weighed,
)
from _truth_programs import FAMILIES, SHARES, Program

import lpgd

for name in ("cones", "decisions", "logs", "quadratic", "regression"):
    import_module(f"_truth_{name}")  # which enters its families

RULES = {"auto": lpgd.LPGD(), "exact": lpgd.Exact()}
GROUP = 12  # successive seeds share one structure, with the call that differences them
WRONG, FAR = 1e-3, 0.1


@dataclass
class Case:
    """One instance with all that was found."""

    family: str
    seed: int
    one: Instance
    known: Truth
    found: dict[str, Found]


def rng_of(name: str, *more: int) -> np.random.Generator:
    """A generator that depends on the family's name and on numbers alone."""
    return np.random.default_rng([zlib.crc32(name.encode()), *more])


def examine(name: str, seeds: list[int], rules: list[str]) -> list[Case]:
    """All instances of a family; those of one structure share the call that differences them."""
    cases = list[Case]()
    for group in sorted({seed // GROUP for seed in seeds}):
        own = [seed for seed in seeds if seed // GROUP == group]
        cases += _group(name, own, structure(name, group * GROUP), rules)
    return cases


def structure(name: str, seed: int) -> Program:
    """The program of a family that an instance belongs to."""
    return FAMILIES[name](rng_of(name, seed // GROUP))


def _group(name: str, seeds: list[int], program: Program, rules: list[str]) -> list[Case]:
    layers = {rule: program.layer(RULES[rule]) for rule in rules}
    drawn = [instance(program, rng_of(name, seed, 0), odd=seed % 2 == 1) for seed in seeds]
    stacks = [points(one) for one in drawn]
    outputs = solutions(layers[rules[0]], [point for stack in stacks for point in stack])
    cases, at = list[Case](), 0
    for seed, one, stack in zip(seeds, drawn, stacks, strict=True):
        mine = [out[at : at + len(stack)] for out in outputs]
        at += len(stack)
        one = weighed(one, rng_of(name, seed, 1), [m[0] for m in mine])
        known = truth(program, one, mine)
        found = {}
        if known.verdict == "derivative":
            found = {rule: judge(layer, program, one, known) for rule, layer in layers.items()}
        cases.append(Case(name, seed, one, known, found))
    return cases


def wrong(found: Found, beyond: float = WRONG) -> bool:
    """Whether a gradient is off by more than a share of the slope."""
    return not found.error <= beyond


def silent(found: Found) -> bool:
    """Wrong, and not counted as unverified."""
    return wrong(found) and not found.raised and not found.unverified


def header(rules: list[str]) -> str:
    """Names of the columns."""
    columns = "".join(f" | {r:>5} wrong  >10% silent unseen solves" for r in rules)
    return f"{'family':44s}  all deriv{columns}"


def line(name: str, cases: list[Case], rules: list[str]) -> str:
    """One row of the table."""
    known = [case for case in cases if case.found]
    text = f"{name:44s} {len(cases):4d} {len(known):5d}"
    for rule in rules:
        found = [case.found[rule] for case in known]
        bad = [f for f in found if wrong(f)]
        unseen = sum(silent(f) and not f.degenerate for f in bad)
        solves = np.mean([f.re_solves for f in found]) if found else np.nan
        text += (
            f" | {len(bad):11d} {sum(wrong(f, FAR) for f in bad):5d} "
            f"{sum(map(silent, bad)):6d} {unseen:6d} {solves:6.2f}"
        )
    why = Counter(case.known.verdict for case in cases if not case.found)
    return text + ("  left out: " + ", ".join(f"{n} {v}" for v, n in why.items()) if why else "")


def rates(cases: list[Case], rules: list[str]) -> str:
    """The shares that matter, over all families."""
    known, text = [case for case in cases if case.found], ""
    for rule in rules:
        found = [case.found[rule] for case in known]
        for what, count in (
            ("wrong by > 1e-3", sum(wrong(f) for f in found)),
            ("wrong by > 10 %", sum(wrong(f, FAR) for f in found)),
            ("wrong, not unverified", sum(map(silent, found))),
            ("... nor degenerate", sum(silent(f) and not f.degenerate for f in found)),
            ("raised", sum(bool(f.raised) for f in found)),
        ):
            text += f"{rule:6s} {what:24s} {count:5d} of {len(known)} = {count / len(known):.2%}\n"
    return text


def told(case: Case, rule: str) -> str:
    """What is wrong with one instance, and how to see it again."""
    f, k = case.found[rule], case.known
    right, got = (np.array2string(part.slopes, precision=5) for part in (k, f))
    return (
        f"{rule:6s} error {f.error:8.1e}  right {right}  got {got}  scale {k.scale:.1e}  "
        f"sides {k.spread:.0e} at h {k.step:.0e}  other solver {k.mismatch:.0e}  "
        f"degenerate {f.degenerate:.0f} unverified {f.unverified:.0f} {f.raised}  "
        f"units {case.one.units.x:.1e} {case.one.units.f:.1e} single {case.one.single:d}\n"
        f'       --replay "{case.family}" {case.seed}'
    )


def parse() -> argparse.Namespace:
    """Options of the command."""
    parser = argparse.ArgumentParser(description="How often are gradients wrong?")
    parser.add_argument("--families", nargs="*", help="parts of their names; all if absent")
    parser.add_argument("--instances", type=int, default=24, help="of each family")
    parser.add_argument("--seed", type=int, default=0, help="of the first instance")
    parser.add_argument("--rule", choices=(*RULES, "both"), default="both")
    parser.add_argument("--worst", type=int, default=0, help="instances to tell more of, each rule")
    parser.add_argument("--replay", nargs=2, metavar=("FAMILY", "SEED"), help="one instance again")
    return parser.parse_args()


def replay(name: str, seed: int, rules: list[str]) -> None:
    """Show one instance in full."""
    (case,) = examine(name, [seed], rules)
    print(case.known)
    for value, kind in zip(case.one.values, structure(name, seed).kinds, strict=True):
        print(kind, np.array2string(value, precision=4, threshold=40))
    for rule in case.found:
        print(told(case, rule))


def main() -> int:
    """Examine, and print the table, the rates and the worst instances."""
    options = parse()
    warnings.simplefilter("ignore")
    torch.set_default_dtype(torch.float64)
    rules = list(RULES) if options.rule == "both" else [options.rule]
    if options.replay:
        replay(options.replay[0], int(options.replay[1]), rules)
        return 0
    began, cases = time.perf_counter(), list[Case]()
    print(header(rules))
    for name in FAMILIES:
        if options.families and not any(part in name for part in options.families):
            continue
        many = math.ceil(SHARES[name] * options.instances)
        now = examine(name, list(range(options.seed, options.seed + many)), rules)
        print(line(name, now, rules), flush=True)
        cases += now
    print(line("total", cases, rules))
    print(rates(cases, rules), f"{time.perf_counter() - began:.0f} s", sep="")
    for rule in rules:
        known = [case for case in cases if case.found]
        known.sort(key=lambda case: -case.found[rule].error)
        for case in known[: options.worst]:
            if wrong(case.found[rule]):
                print(told(case, rule))
    return 0


if __name__ == "__main__":
    sys.exit(main())
