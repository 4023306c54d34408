"""Who may import whom, read from the source: dependencies point one way."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lpgd

ROOT = Path(lpgd.__file__).parent

# Each layer, from the innermost out, with the layers that it may import beside itself. A name
# covers the modules below it; the most specific name counts.
DATA = {"lpgd.solution", "lpgd.scaling", "lpgd.params", "lpgd.tilt", "lpgd.errors"}
PROTOCOLS = {"lpgd.problems.base", "lpgd.rules.base", "lpgd.engines.base"}
ENGINE = DATA | {"lpgd.problems", "lpgd.problems.base", "lpgd.engines.base", "lpgd.engines.batch"}
CONE_ENGINE = ENGINE | {
    "lpgd.engines.cone_engine",
    "lpgd.engines.extras",
    "lpgd.engines.loaded",
}
ALLOWED: dict[str, set[str]] = {
    "lpgd.solution": set(),
    "lpgd.stats": set(),
    "lpgd.scaling": {"lpgd.solution"},
    "lpgd.params": {"lpgd.solution"},
    "lpgd.tilt": {"lpgd.solution"},
    "lpgd.errors": {"lpgd.solution"},
    "lpgd.problems.base": DATA,
    "lpgd.problems": DATA | {"lpgd.problems.base"},
    "lpgd.rules.base": DATA | {"lpgd.problems.base"},
    "lpgd.rules.sizes": DATA | {"lpgd.problems.base", "lpgd.rules.base"},
    "lpgd.rules.step": DATA | {"lpgd.rules.base", "lpgd.rules.sizes"},
    "lpgd.rules.lpgd": DATA | {"lpgd.problems.base", "lpgd.rules.base", "lpgd.rules.step"},
    "lpgd.rules.exact": DATA | {"lpgd.problems.base", "lpgd.rules.base"},
    "lpgd.engines.base": DATA | {"lpgd.problems.base", "lpgd.problems.cones"},
    "lpgd.engines.batch": DATA,
    "lpgd.engines.registry": {"lpgd.errors", "lpgd.engines.base", "lpgd.rules.base"}
    | {"lpgd.problems", "lpgd.problems.base"},
    "lpgd.engines._daqp_form": DATA | {"lpgd.problems"},
    "lpgd.engines._daqp_metric": DATA,
    "lpgd.engines._daqp_units": DATA | {"lpgd.problems"},
    "lpgd.engines._daqp": ENGINE
    | {"lpgd.engines._daqp_form", "lpgd.engines._daqp_metric", "lpgd.engines._daqp_units"},
    "lpgd.engines._highs": ENGINE,
    "lpgd.engines.options": {"lpgd.engines.base"},
    "lpgd.engines.convert": DATA | {"lpgd.problems"},
    "lpgd.engines.extras": {"lpgd.errors"},
    "lpgd.engines.loaded": ENGINE,
    "lpgd.engines.refine": ENGINE,
    "lpgd.engines.cone_units": DATA,
    # the registry, since one engine takes what another stalls on
    "lpgd.engines.cone_engine": ENGINE
    | {"lpgd.engines.cone_units", "lpgd.engines.loaded"}
    | {"lpgd.engines.refine", "lpgd.engines.registry"},
    "lpgd.engines.elements": ENGINE | {"lpgd.engines.convert"},
    "lpgd.engines._moreau": CONE_ENGINE | {"lpgd.engines.convert", "lpgd.engines.refine"},
    "lpgd.engines._clarabel": CONE_ENGINE | {"lpgd.engines.elements"},
    "lpgd.engines._scs": CONE_ENGINE | {"lpgd.engines.elements"},
    "lpgd.backward": DATA | PROTOCOLS,
    "lpgd.pushforward": DATA | PROTOCOLS | {"lpgd.backward"},
    "lpgd.solution_map": {"lpgd.backward", "lpgd.pushforward"}
    | DATA
    | PROTOCOLS
    | {"lpgd.stats", "lpgd.engines.registry", "lpgd.problems"},
    "lpgd.torch": DATA
    | PROTOCOLS
    | {"lpgd.engines.registry", "lpgd.engines.options"}
    | {"lpgd.backward", "lpgd.solution_map", "lpgd.stats", "lpgd.problems", "lpgd.rules.lpgd"},
    "lpgd.testing": DATA | PROTOCOLS | {"lpgd.problems", "lpgd.engines", "lpgd.rules"},
    # users of the package like any other: public names only
    "lpgd.experiments": {"lpgd", "lpgd.errors", "lpgd.torch"},
}
EVERYWHERE = {"numpy"}
OUTSIDE = {
    "lpgd.problems": {"scipy"},
    "lpgd.torch": {"torch", "scipy"},
    "lpgd.testing": {"hypothesis", "pytest"},
    "lpgd.experiments": {"torch", "scipy", "matplotlib", "rich", "threadpoolctl", "typer"},
    # solvers, only where they are called
    "lpgd.engines._daqp_metric": {"scipy"},
    "lpgd.engines._daqp": {"daqp"},
    "lpgd.engines._highs": {"highspy"},
    "lpgd.engines._clarabel": {"scipy"},
    "lpgd.engines.elements": {"scipy"},
    "lpgd.engines.convert": {"scipy"},
}
SOLVERS = {"daqp", "highspy", "clarabel", "moreau", "scs"}


def name_of(path: Path) -> str:
    parts = ["lpgd", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
CHECKED = [name for name in MODULES if name != "lpgd"]


def imports(module: str) -> Iterator[tuple[str, ast.stmt, bool]]:
    """Imported modules, whether at the top of the file; a package's submodule counts itself."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import in line {node.lineno}"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module), node, id(node) in top


def owner(module: str, table: dict[str, set[str]] | set[str]) -> str | None:
    """The most specific name of the table that covers the module."""
    found = [name for name in table if module == name or module.startswith(f"{name}.")]
    return max(found, key=len, default=None)


@pytest.mark.parametrize("module", CHECKED)
def test_every_module_has_a_layer(module):
    is_package = any(name.startswith(f"{module}.") for name in MODULES)
    assert owner(module, ALLOWED) or is_package, f"{module}: add it to ALLOWED"


@pytest.mark.parametrize("module", CHECKED)
def test_dependencies_point_inwards(module):
    layer = owner(module, ALLOWED)
    for imported, node, _ in imports(module):
        if imported.split(".")[0] != "lpgd":
            continue
        target = owner(imported, set(ALLOWED) | {"lpgd"})
        allowed = ALLOWED[layer] if layer else set()
        within = layer is not None and owner(imported, {layer}) == layer
        covered = owner(imported, allowed - {"lpgd"}) or (imported == "lpgd" and "lpgd" in allowed)
        assert within or covered, (
            f"{module}, line {node.lineno}: a {layer} may not import {imported} ({target})"
        )


@pytest.mark.parametrize("module", CHECKED)
def test_other_packages_stay_at_the_edges(module):
    allowed = EVERYWHERE | OUTSIDE.get(owner(module, OUTSIDE) or "", set())
    for imported, node, at_top in imports(module):
        root = imported.split(".")[0]
        if root == "lpgd" or root in sys.stdlib_module_names:
            continue
        assert root in allowed, f"{module}, line {node.lineno}: {root}"
        assert not (at_top and root in SOLVERS), f"{module}: import {root} where it is called"


def test_engines_and_frontends_do_not_know_each_other():
    for module in CHECKED:
        found = {imported for imported, _, _ in imports(module)}
        if module.startswith("lpgd.engines._"):
            others = {m for m in found if m.startswith("lpgd.engines._")}
            assert not {m for m in others if not m.startswith(module)}
        if not module.startswith(("lpgd.torch", "lpgd.experiments")):
            assert not {m for m in found if m.startswith("lpgd.torch")}


def test_the_check_finds_a_wrong_import(tmp_path, monkeypatch):
    wrong = tmp_path / "lpgd.py"
    wrong.write_text("from lpgd.engines.registry import get\n")
    monkeypatch.setitem(MODULES, "lpgd.rules.lpgd", wrong)
    with pytest.raises(AssertionError, match=r"lpgd.rules.lpgd, line 1: .*lpgd.engines.registry"):
        test_dependencies_point_inwards("lpgd.rules.lpgd")
