"""Options that the commands of all experiments share."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option

from lpgd.experiments.settings import COUNT


def _parse_tau(text: str) -> float | str:
    """Read a tau from the command line: a number, or auto."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor auto") from None


_MOST_EPOCHS = COUNT[1]
_MOST_SEEDS = 1000  # tuning starts from the next seed
_MOST_JOBS = 1024

# Runs
Rule = Annotated[Literal["lpgd", "exact"], Option(help="Gradient rule.")]
Side = Annotated[Literal["lower", "upper", "average"], Option(help="LPGD: which side of the loss.")]
Loss = Annotated[
    Literal["linearised", "full"],
    Option(help="LPGD: linearise the loss, or add it to the program as it is (lower side)."),
]
Tau = Annotated[
    Any, Option(parser=_parse_tau, metavar="FLOAT|auto", help="LPGD: size of the tilt.")
]
Engine = Annotated[str, Option(help="Solver of the programs.")]
Threads = Annotated[int | None, Option(min=1, help="Solver threads; by default all.")]
RunsOut = Annotated[Path, Option(file_okay=False, help="Where run directories are made.")]
Resume = Annotated[
    Path | None,
    Option(file_okay=False, help="Continue this run (--epochs may grow, --threads change)."),
]

# Comparisons
Seeds = Annotated[
    int, Option(min=1, max=_MOST_SEEDS, help="Final runs per method, from seed 0 on.")
]
TuningEpochs = Annotated[int, Option(min=1, max=_MOST_EPOCHS, help="Longest tuning run.")]
MaxEpochs = Annotated[int, Option(min=1, max=_MOST_EPOCHS, help="Longest final run.")]
Jobs = Annotated[int, Option(min=1, max=_MOST_JOBS, help="Tuning runs at a time.")]
FinalJobs = Annotated[
    int,
    Option(min=1, max=_MOST_JOBS, help="Final runs at a time; more than 1 spoils the seconds."),
]
