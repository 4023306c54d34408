"""Packages that only some experiments need."""

from importlib import import_module
from typing import Any

from lpgd import MissingExtraError


def load(module: str, extra: str) -> Any:
    """Import a package, or raise `MissingExtraError` that says how to install it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name not in (module, package):
            raise
        raise MissingExtraError(
            f'this experiment needs {package}, which is not installed: pip install "lpgd[{extra}]"'
        ) from error
