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
    """Show the errors this library raises on purpose as one line, without a traceback."""
    try:
        yield
    except LpgdError as error:
        console.print(f"lpgd: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None


def given_options(context: typer.Context) -> set[str]:
    """Return the names of the options that the user typed."""
    return {
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
