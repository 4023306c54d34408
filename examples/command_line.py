"""Options that every example has."""

import argparse
from collections.abc import Callable
from pathlib import Path


def run(example: Callable[..., dict[str, float]], description: str | None) -> None:
    """Call ``example(folder, small=..., seed=...)`` with what the command line says."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    parser.add_argument("--small", action="store_true", help="a few seconds instead of a minute")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    example(options.out, small=options.small, seed=options.seed)
