import math
import sys

import pytest

from lpgd import MissingExtraError
from lpgd.experiments.extras import load


def test_a_package_that_is_there():
    assert load("math", "any") is math


def test_a_package_that_is_missing_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(MissingExtraError, match=r'needs cvxpy.*pip install "lpgd\[markowitz\]"'):
        load("cvxpy", "markowitz")


def test_a_package_that_fails_to_import_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import there_is_no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="there_is_no_such_module"):
        load("half_installed", "any")
