"""The experiments' files import one another in one direction, and of the library public names."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import lpgd
import lpgd.experiments
import lpgd.generators
import lpgd.metrics
import lpgd.oracles
import lpgd.rules
import lpgd.torch
import lpgd.torch.losses

ROOT = Path(lpgd.experiments.__file__).parent
PACKAGES = (lpgd, lpgd.oracles, lpgd.rules, lpgd.torch, lpgd.torch.losses)
PUBLIC = {f"{package.__name__}.{name}" for package in PACKAGES for name in package.__all__} | {
    f"{module.__name__}.{name}"  # modules of functions alone
    for module in (lpgd.generators, lpgd.metrics)
    for name, value in vars(module).items()
    if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
}


def name_of(path: Path) -> str:
    parts = ["lpgd.experiments", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(part for part in parts if part != "__init__")


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(source: str) -> Iterator[str]:
    """Yield every imported name, also of imports within functions and for type checkers."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def file_of(name: str) -> str | None:
    """Return the longest known module that a name begins with."""
    return max((m for m in FILES if f"{name}.".startswith(f"{m}.")), key=len, default=None)


def graph() -> dict[str, set[str | None]]:
    return {
        module: {file_of(name) for name in imported(path.read_text("utf-8"))} - {None, module}
        for module, path in FILES.items()
    }


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Return the modules on circles and between them: both ends of every chain are taken away."""
    left = dict(edges)
    while True:
        targets = set().union(*left.values())
        ends = [m for m in left if not left[m] & left.keys() or m not in targets]
        if not ends:
            return sorted(left)
        for module in ends:
            del left[module]


def test_no_file_imports_itself_through_others():
    assert circle(graph()) == []


def test_circles_are_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"x"}}) == ["b", "c"]


@pytest.mark.parametrize("module", FILES)
def test_only_public_names_of_the_library(module):
    for name in imported(FILES[module].read_text("utf-8")):
        if name.split(".")[0] == "lpgd":
            assert name in PUBLIC or name.startswith("lpgd.experiments."), name
