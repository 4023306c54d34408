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
        package = module.partition(".")[0]
        if error.name not in (module, package):
            raise
        raise MissingExtraError(
            f'{who} needs {package}, which is not installed: pip install "lpgd[{extra}]"'
        ) from error
