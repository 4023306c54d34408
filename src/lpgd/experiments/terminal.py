"""Manners on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from lpgd.errors import LpgdError

INTERRUPTED = 130  # what shells report for a process that Ctrl-C ended


@contextmanager
def report_errors(console: Console) -> Iterator[None]:
    """Show errors raised on purpose, and those of files, as one line without a traceback."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read the output has left; nothing to say to them
    except OSError as error:
        named = "" if error.filename is None else f"{error.filename}: "
        _show(console, f"{named}{error.strerror or error}")
        raise typer.Exit(2) from None
    except LpgdError as error:
        _show(console, str(error))
        raise typer.Exit(2) from None


def _show(console: Console, complaint: str) -> None:
    console.print(f"lpgd: {complaint}", style="red", markup=False, highlight=False, soft_wrap=True)


def given_options(context: typer.Context) -> set[str]:
    """Return the names of the options that the user typed."""
    return {
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
