"""Solvers that come with an extra."""

from importlib import import_module
from typing import Any

from lpgd.core.errors import MissingExtraError


def load(module: str, extra: str, who: str = "the engine") -> Any:
    """Import a solver, or say how to install it.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingExtraError(
            f'{who} needs {module}, which is not installed: pip install "lpgd[{extra}]"'
        ) from error
