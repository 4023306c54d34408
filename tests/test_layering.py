"""Who may import whom, read from the source: imports point one way, and no two files in a circle.

Every import statement counts: those within functions and those for the type checker too.
"""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import lpgd

ROOT = Path(lpgd.__file__).parent

# The sets that all programs with linear rows refer to: qp has half-lines and lines.
CONES = {f"lpgd.families.conic.{name}" for name in ("cones", "curved", "projections")}
# Layers from the innermost out; a module may import from its own layer and from those named.
LAYERS: dict[str, set[str]] = {
    "lpgd.core": set(),
    **{name: {"lpgd.core", *CONES} for name in CONES},
    "lpgd.families.quadratic": {"lpgd.core", *CONES},
    "lpgd.families.qp": {"lpgd.core", "lpgd.families.quadratic", *CONES},
    "lpgd.families.conic": {"lpgd.core", "lpgd.families.quadratic", "lpgd.families.qp", *CONES},
    "lpgd.families.cvxpy": {"lpgd.core", "lpgd.families.quadratic", "lpgd.families.conic"},
    "lpgd.families.oracle": {"lpgd.core"},
    "lpgd.families.lagrangian": {"lpgd.core", "lpgd.families.quadratic", *CONES},
    "lpgd.families": {"lpgd.core"},
    "lpgd.oracles": {"lpgd.core"},
    "lpgd.rules": {"lpgd.core"},
    "lpgd.losses": {"lpgd.core", "lpgd.families", "lpgd.rules"},
    "lpgd.metrics": {"lpgd.core"},
    "lpgd.generators": {"lpgd.core"},
    "lpgd.engines.staying": set(),
    "lpgd.engines.scatter": {"lpgd.core", "lpgd.engines.staying"},
    "lpgd.engines.signals": set(),
    "lpgd.engines.oracle": {"lpgd.core", "lpgd.engines.scatter", "lpgd.engines.signals"},
    "lpgd.engines": {
        "lpgd.core",
        "lpgd.families",
        "lpgd.engines.scatter",
        "lpgd.engines.signals",
    },
    "lpgd.map": {"lpgd.core", "lpgd.rules", "lpgd.engines"},
    "lpgd.frontend": {
        "lpgd.core",
        "lpgd.families",
        "lpgd.rules",
        "lpgd.engines",
        "lpgd.map",
        "lpgd.losses",
    },
    "lpgd.diagnosis": {"lpgd.core", "lpgd.families", "lpgd.rules", "lpgd.map", "lpgd.frontend"},
    "lpgd.torch": {"lpgd.core", "lpgd.families", "lpgd.rules", "lpgd.losses", "lpgd.metrics"}
    | {"lpgd.map", "lpgd.frontend"},
    "lpgd.jax": {
        "lpgd.core",
        "lpgd.families",
        "lpgd.rules",
        "lpgd.losses",
        "lpgd.map",
        "lpgd.frontend",
    },
    "lpgd.testing": {"lpgd.core", "lpgd.families", "lpgd.rules", "lpgd.engines", "lpgd.map"},
    # users of the package like any other: public names only
    "lpgd.experiments": {"lpgd", "lpgd.generators", "lpgd.metrics", "lpgd.oracles", "lpgd.rules"}
    | {"lpgd.torch"},
    "lpgd.pyepo": {"lpgd.core", "lpgd.families", "lpgd.oracles", "lpgd.rules", "lpgd.losses"}
    | {"lpgd.metrics", "lpgd.generators", "lpgd.torch"},
}
# Neither the map nor the rules know a family, and the core knows nothing outside itself.
EVERYWHERE = {"numpy"}
OUTSIDE = {
    "lpgd.core": {"scipy"},
    "lpgd.families": {"scipy"},
    "lpgd.engines": {"scipy"},
    "lpgd.oracles": {"scipy"},
    "lpgd.diagnosis": {"scipy", "matplotlib"},
    "lpgd.torch": {"torch", "scipy"},
    "lpgd.jax": {"jax", "scipy"},
    "lpgd.losses": {"scipy"},
    "lpgd.pyepo": {"torch", "scipy", "sklearn"},
    "lpgd.testing": {"hypothesis", "pytest"},
    "lpgd.experiments": {"torch", "scipy", "matplotlib", "rich", "threadpoolctl", "typer"},
}
SOLVERS = {
    "lpgd.engines.daqp": {"daqp"},
    "lpgd.engines.highs": {"highspy"},
    "lpgd.oracles": {"highspy"},
}


def name_of(path: Path) -> str:
    parts = ["lpgd", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
CHECKED = [name for name in MODULES if name != "lpgd"]


def imports(module: str) -> Iterator[tuple[str, int, bool]]:
    """Imported modules, their lines, and whether they stand at the top of the file."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import in line {node.lineno}"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found = full if full in MODULES else str(node.module)
                yield found, node.lineno, id(node) in top


def owner(module: str, table: object) -> str:
    """The most specific name of the table that covers the module."""
    found = [name for name in table if module == name or module.startswith(f"{name}.")]
    return max(found, key=len, default="")


@pytest.mark.parametrize("module", CHECKED)
def test_imports_point_one_way(module):
    layer = owner(module, LAYERS)
    assert layer, f"{module}: add its layer"
    for imported, line, _ in imports(module):
        if imported.split(".")[0] != "lpgd" or owner(imported, LAYERS) == layer:
            continue
        allowed = LAYERS[layer]
        fits = (imported == "lpgd" and "lpgd" in allowed) or owner(imported, allowed - {"lpgd"})
        assert fits, f"{module}, line {line}: {layer} may not import {imported}"


def test_no_two_files_import_each_other():
    graph = {m: {i for i, _, _ in imports(m) if i in MODULES and i != m} for m in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("module", CHECKED)
def test_other_packages_stay_at_the_edges(module):
    allowed = EVERYWHERE | OUTSIDE.get(owner(module, OUTSIDE), set())
    solvers = SOLVERS.get(owner(module, SOLVERS), set())
    for imported, line, at_top in imports(module):
        root = imported.split(".")[0]
        if root == "lpgd" or root in sys.stdlib_module_names:
            continue
        assert root in allowed | solvers, f"{module}, line {line}: {root}"
        assert not (at_top and root in solvers), f"{module}: import {root} where it is called"


@pytest.mark.parametrize(
    "wrong, check",
    [
        ("from lpgd.engines.registry import get\n", test_imports_point_one_way),
        ("from lpgd.families.qp.qp import QP\n", test_imports_point_one_way),
        ("def f():\n    import torch\n", test_other_packages_stay_at_the_edges),
    ],
)
def test_the_checks_find_a_wrong_import(wrong, check, tmp_path, monkeypatch):
    path = tmp_path / "lpgd.py"
    path.write_text(wrong)
    monkeypatch.setitem(MODULES, "lpgd.rules.lpgd", path)
    with pytest.raises(AssertionError, match=r"lpgd.rules.lpgd, line \d"):
        check("lpgd.rules.lpgd")


def test_the_check_finds_a_circle(tmp_path, monkeypatch):
    path = tmp_path / "solution.py"
    path.write_text("def f():\n    from lpgd.core.tilt import Tilt\n")
    monkeypatch.setitem(MODULES, "lpgd.core.solution", path)
    with pytest.raises(pytest.fail.Exception, match=r"lpgd.core.tilt"):
        test_no_two_files_import_each_other()
