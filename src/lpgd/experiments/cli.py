"""Entry point of the command ``lpgd``; it needs the extra ``lpgd[experiments]``."""

import sys
import warnings
from importlib.util import find_spec
from io import TextIOWrapper
from typing import Any

_NEEDED = ("torch", "matplotlib", "rich", "typer")


def main() -> None:
    """Run the command line, or say in one line what is missing."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(f'lpgd: {", ".join(missing)} not found; try: pip install "lpgd[experiments]"')
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no rho ends no comparison
    warnings.formatwarning = _line
    from lpgd.experiments.commands import app

    app()


def _line(message: Warning | str, *_: Any) -> str:
    """A warning as users of a command read it: without a line of source."""
    return f"lpgd: {message}\n"


if __name__ == "__main__":
    main()
