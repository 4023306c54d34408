import sys

import pytest

from lpgd import MissingExtraError
from lpgd.core.extras import load


def test_installed_modules_are_loaded():
    assert load("pickle", "conic").dumps


def test_a_missing_solver_names_its_extra():
    with pytest.raises(MissingExtraError, match=r'"lpgd\[conic\]"'):
        load("no_such_solver", "conic")


def test_errors_inside_a_solver_are_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "broken_solver.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_solver", raising=False)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        load("broken_solver", "conic")


def test_a_module_of_a_missing_package_names_the_package():
    with pytest.raises(MissingExtraError, match=r"who needs no_such_solver, .* \"lpgd\[oracles\]"):
        load("no_such_solver.parts.one", "oracles", "who")
