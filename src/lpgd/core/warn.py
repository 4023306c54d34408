"""Warnings that point at the user's line."""

import os
import sys
import warnings
from pathlib import Path

OURS = str(Path(__file__).parents[1]) + os.sep
FRAMEWORKS = ("torch", "jax", "jaxlib")


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the innermost line that is neither ours nor an autodiff framework's."""
    frame, level = sys._getframe(1), 2  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and _inside(frame.f_code.co_filename, frame.f_globals):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _inside(file: str, names: dict[str, object]) -> bool:
    package = str(names.get("__name__", "")).split(".")[0]
    return package in FRAMEWORKS or file.startswith(OURS)
