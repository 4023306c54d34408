"""What is PyEPO's own: modules and names that are not mirrored here are PyEPO's, unchanged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from lpgd.core.errors import MissingExtraError

OURS = "lpgd.pyepo"
HERE = Path(__file__).parent


def theirs(name: str) -> ModuleType:
    """PyEPO's module of the same name as one of ours.

    Raises
    ------
    MissingExtraError
        PyEPO is not installed.
    """
    own = "pyepo" + name[len(OURS) :]
    try:
        return import_module(own)
    except ModuleNotFoundError as error:
        if find_spec("pyepo") is not None:
            raise
        raise MissingExtraError(
            f'{name} needs pyepo, which is not installed: pip install "lpgd[pyepo]"'
        ) from error


def rest(module: str) -> Callable[[str], Any]:
    """A module's ``__getattr__``: what it does not define is PyEPO's."""

    def look_up(name: str) -> Any:
        if name == "__version__" or not name.startswith("__"):
            try:
                return getattr(theirs(module), name)
            except (AttributeError, MissingExtraError):
                pass
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return look_up


def base(module: str, name: str, otherwise: type) -> type:
    """PyEPO's class of the same name, so that what asks for one takes ours; else another."""
    try:
        return getattr(theirs(module), name)
    except MissingExtraError:
        return otherwise


class _Finder(MetaPathFinder, Loader):
    """Imports ``lpgd.pyepo.x`` as the module ``pyepo.x`` itself, where x is not mirrored."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parts = fullname.split(".")
        if not fullname.startswith(OURS + ".") or _mirrored(parts[2:]):
            return None
        if find_spec("pyepo") is None or find_spec(".".join(parts[1:])) is None:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(spec.name.removeprefix("lpgd."))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state  # it stays what it was


def _mirrored(parts: list[str]) -> bool:
    place = HERE.joinpath(*parts)
    return place.is_dir() or place.with_suffix(".py").is_file()


def install() -> None:
    """Let imports find PyEPO's modules below ``lpgd.pyepo``."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
