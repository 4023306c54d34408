"""Packages that only some experiments need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lpgd.errors import MissingExtraError


def load(module: str, extra: str) -> Any:
    """Import a package, or raise `MissingExtraError` that says how to install it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"this experiment needs {error.name}, which is not installed: "
            f'pip install "lpgd[{extra}]"'
        ) from error
