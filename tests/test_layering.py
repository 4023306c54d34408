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
DATA = {
    "lpgd.core.solution",
    "lpgd.core.scaling",
    "lpgd.core.params",
    "lpgd.core.tilt",
    "lpgd.core.errors",
}
PROTOCOLS = {"lpgd.core.problem", "lpgd.core.rule", "lpgd.core.engine"}
ENGINE = DATA | {"lpgd.problems", "lpgd.core.problem", "lpgd.core.engine", "lpgd.engines.batch"}
CONE_ENGINE = ENGINE | {
    "lpgd.engines.cones.engine",
    "lpgd.engines.extras",
    "lpgd.engines.cones.loaded",
}
ALLOWED: dict[str, set[str]] = {
    "lpgd.core.solution": set(),
    "lpgd.core.stats": set(),
    "lpgd.core.scaling": {"lpgd.core.solution"},
    "lpgd.core.params": {"lpgd.core.solution"},
    "lpgd.core.tilt": {"lpgd.core.solution"},
    "lpgd.core.errors": {"lpgd.core.solution"},
    "lpgd.core.problem": DATA,
    "lpgd.problems": DATA | {"lpgd.core.problem"},
    "lpgd.core.rule": DATA | {"lpgd.core.problem"},
    "lpgd.rules.sizes": DATA | {"lpgd.core.problem", "lpgd.core.rule"},
    "lpgd.rules.auto": DATA | {"lpgd.core.rule", "lpgd.rules.sizes"},
    "lpgd.rules.lpgd": DATA | {"lpgd.core.problem", "lpgd.core.rule", "lpgd.rules.auto"},
    "lpgd.rules.exact": DATA | {"lpgd.core.problem", "lpgd.core.rule"},
    "lpgd.core.engine": DATA | {"lpgd.core.problem", "lpgd.families.conic.cones"},
    "lpgd.engines.batch": DATA,
    "lpgd.engines.registry": {"lpgd.core.errors", "lpgd.core.engine", "lpgd.core.rule"}
    | {"lpgd.problems", "lpgd.core.problem"},
    "lpgd.engines.daqp.form": DATA | {"lpgd.problems"},
    "lpgd.engines.daqp.metric": DATA,
    "lpgd.engines.daqp.units": DATA | {"lpgd.problems"},
    "lpgd.engines.daqp.engine": ENGINE
    | {"lpgd.engines.daqp.form", "lpgd.engines.daqp.metric", "lpgd.engines.daqp.units"},
    "lpgd.engines.highs.engine": ENGINE,
    "lpgd.engines.options": {"lpgd.core.engine"},
    "lpgd.engines.convert": DATA | {"lpgd.problems"},
    "lpgd.engines.extras": {"lpgd.core.errors"},
    "lpgd.engines.cones.loaded": ENGINE,
    "lpgd.engines.cones.refine": ENGINE,
    "lpgd.engines.cones.units": DATA,
    # the registry, since one engine takes what another stalls on
    "lpgd.engines.cones.engine": ENGINE
    | {"lpgd.engines.cones.units", "lpgd.engines.cones.loaded"}
    | {"lpgd.engines.cones.refine", "lpgd.engines.registry"},
    "lpgd.engines.cones.elements": ENGINE | {"lpgd.engines.convert"},
    "lpgd.engines.cones.moreau": CONE_ENGINE
    | {"lpgd.engines.convert", "lpgd.engines.cones.refine"},
    "lpgd.engines.cones.clarabel": CONE_ENGINE | {"lpgd.engines.cones.elements"},
    "lpgd.engines.cones.scs": CONE_ENGINE | {"lpgd.engines.cones.elements"},
    "lpgd.map.backward": DATA | PROTOCOLS,
    "lpgd.map.pushforward": DATA | PROTOCOLS | {"lpgd.map.backward"},
    "lpgd.map.solution_map": {"lpgd.map.backward", "lpgd.map.pushforward"}
    | DATA
    | PROTOCOLS
    | {"lpgd.core.stats", "lpgd.engines.registry", "lpgd.problems"},
    "lpgd.torch": DATA
    | PROTOCOLS
    | {"lpgd.engines.registry", "lpgd.engines.options"}
    | {
        "lpgd.map.backward",
        "lpgd.map.solution_map",
        "lpgd.core.stats",
        "lpgd.problems",
        "lpgd.rules.lpgd",
    },
    "lpgd.testing": DATA | PROTOCOLS | {"lpgd.problems", "lpgd.engines", "lpgd.rules"},
    # users of the package like any other: public names only
    "lpgd.experiments": {"lpgd", "lpgd.core.errors", "lpgd.torch"},
}
EVERYWHERE = {"numpy"}
OUTSIDE = {
    "lpgd.problems": {"scipy"},
    "lpgd.torch": {"torch", "scipy"},
    "lpgd.testing": {"hypothesis", "pytest"},
    "lpgd.experiments": {"torch", "scipy", "matplotlib", "rich", "threadpoolctl", "typer"},
    # solvers, only where they are called
    "lpgd.engines.daqp.metric": {"scipy"},
    "lpgd.engines.daqp.engine": {"daqp"},
    "lpgd.engines.highs.engine": {"highspy"},
    "lpgd.engines.cones.clarabel": {"scipy"},
    "lpgd.engines.cones.elements": {"scipy"},
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
