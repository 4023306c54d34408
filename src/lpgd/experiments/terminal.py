"""Manners on the command line."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from lpgd import LpgdError
from lpgd.experiments.runs import ExperimentError, RunDirectory
from lpgd.experiments.settings import Settings

INTERRUPTED = 130  # what shells report for a process that Ctrl-C ended


def new_console(*, stderr: bool = False) -> Console:
    """Return a console that shows names as they are, whatever brackets and colons they hold."""
    return Console(stderr=stderr, markup=False, emoji=False)


class OneLineRefusals(TyperGroup):
    """Commands that refuse the value of an option as they refuse all else: in a line."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            raise _refusal(error.format_message()) from None


@contextmanager
def report_errors() -> Iterator[None]:
    """Show errors raised on purpose, and those of files and memory, as one line, no traceback."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read the output has left; nothing to say to them
    except OSError as error:
        unnamed = "standard output" if error.errno == errno.ENOSPC else None
        name = error.filename or unnamed  # whatever else is written is named
        reason = error.strerror or str(error)
        raise _refusal(f"{name}: {reason}" if name else reason) from None
    except LpgdError as error:
        raise _refusal(str(error)) from None
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "can't allocate memory" not in str(error):
            raise  # torch's own kind of MemoryError
        raise _refusal("there is not enough memory for so many or so large programs") from None


def _refusal(complaint: str) -> typer.Exit:
    """Show a complaint in a line; on stderr, since it may be about stdout."""
    line = " ".join(complaint.splitlines())
    new_console(stderr=True).print(f"lpgd: {line}", style="red", highlight=False, soft_wrap=True)
    return typer.Exit(2)


def given_options(context: typer.Context) -> set[str]:
    """Return the names of the options that the user typed."""
    return {
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }


# With --resume the run's own configuration holds; these alone leave the numbers already written
# as they are.
_FREE_ON_RESUME = {"epochs", "threads"}


def changes_on_resume(context: typer.Context) -> dict[str, object]:
    """Return what the user changes in a run that continues; refuse what must not change."""
    given = given_options(context) - {"resume"}
    if given - _FREE_ON_RESUME:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(given - _FREE_ON_RESUME))
        raise ExperimentError(f"{names} cannot change on --resume; start a new run instead")
    return {name: context.params[name] for name in given}


def conclude(
    console: Console, name: str, run: RunDirectory, result: dict[str, Any] | None
) -> dict[str, Any]:
    """Say where the files of a finished run are, or how a run that was stopped continues."""
    if result is None:
        console.print(
            f"Stopped. Continue with: lpgd run {name} --resume {run.path}", soft_wrap=True
        )
        raise typer.Exit(INTERRUPTED)
    console.print(f"Files and figures: {run.path}", soft_wrap=True)
    return result


@contextmanager
def continuable(console: Console) -> Iterator[None]:
    """Let Ctrl-C end a comparison in peace."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("Stopped. The same command continues.")
        raise typer.Exit(INTERRUPTED) from None


def settings_given(context: typer.Context, kind: type[Settings], **changes: Any) -> dict[str, Any]:
    """Return the options that are fields of a configuration, some of them changed."""
    rule, given = context.params["rule"], given_options(context)
    for name in sorted(given):
        owners = [owner for owner, settings in kind.rules.items() if name in settings]
        if owners and rule not in owners:
            raise ExperimentError(
                f"--{name} belongs to --rule {' or '.join(owners)}, not to {rule}"
            )
    if context.params.get("loss") == "full" and "side" not in given:
        changes = {"side": "lower", **changes}  # the only one that there is
    names = {field.name for field in fields(kind)}
    return {k: v for k, v in {**context.params, **changes}.items() if k in names}
