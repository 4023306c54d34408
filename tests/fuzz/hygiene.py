"""What a call may let out: our exceptions, our warnings, and nothing else."""

from pathlib import Path

import torch

import lpgd
from tests.fuzz.calls import Outcome
from tests.fuzz.findings import Finding

HOMES = (str(Path(lpgd.__file__).parent), str(Path(torch.__file__).parent))
OURS = (lpgd.SolverWarning, lpgd.StuckWarning)


def escaped(outcome: Outcome) -> list[Finding]:
    """Exceptions and warnings that are not ours, prints, writes to the caller's data."""
    found = list[Finding]()
    for stage, error in (("forward", outcome.error), ("backward", outcome.late)):
        if error is not None and not isinstance(error, lpgd.SolverError):
            name = type(error).__name__
            found.append(Finding(f"{stage} raises {name}", str(error)[:300]))
        elif error is not None and not error.statuses:
            found.append(Finding(f"{stage} SolverError without statuses", str(error)[:300]))
    for warning in outcome.warned:
        name = warning.category.__name__
        where = f"{warning.filename}:{warning.lineno}"
        if not issubclass(warning.category, OURS):
            found.append(Finding(f"{name} leaks", f"{where}: {str(warning.message)[:200]}"))
        elif warning.filename.startswith(HOMES):
            found.append(Finding(f"{name} points into a library", where))
    if outcome.printed:
        found.append(Finding("prints to the terminal", outcome.printed[:200]))
    found += [Finding("input written to", name) for name in outcome.touched]
    return found
