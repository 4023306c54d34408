"""Deterministic hypothesis: a failure here fails everywhere. Frameworks that are absent skip.

``LPGD_TESTS_WITHOUT=torch`` (or jax, or both) runs the tests as if it were not installed.
"""

import os
import sys
from importlib.abc import MetaPathFinder
from types import ModuleType

import pytest
from hypothesis import settings

ABSENT = os.environ.get("LPGD_TESTS_WITHOUT", "").replace(",", " ").split()


class Absence(MetaPathFinder):
    """Makes packages as good as not installed."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


if ABSENT:
    sys.meta_path.insert(0, Absence())

pytest.register_assert_rewrite("lpgd.testing")

settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("deterministic")

FRAMEWORKS = ("torch", "jax")


def missing(error: BaseException | None) -> str | None:
    """The framework for lack of which something could not be imported."""
    while error is not None:
        name = str(getattr(error, "name", None) or "").split(".")[0]
        told = [own for own in FRAMEWORKS if f"needs {own}, which is not installed" in str(error)]
        if isinstance(error, ImportError) and (name in FRAMEWORKS or told):
            return told[0] if told else name
        error = error.__cause__ or error.__context__
    return None


class Module(pytest.Module):
    """Skipped, where it needs a framework that is not there."""

    def _getobj(self):
        try:
            return super()._getobj()
        except self.CollectError as error:
            framework = missing(error)
            if framework is None or find(framework):
                raise
            pytest.skip(f"needs {framework}", allow_module_level=True)


def find(framework: str) -> bool:
    """Whether a framework can be imported."""
    try:
        __import__(framework)
    except ImportError:
        return False
    return True


def pytest_pycollect_makemodule(module_path, parent):
    """Modules of this suite are of our own kind."""
    return Module.from_parent(parent, path=module_path)


def skipping():
    """Around a test: one that imports an absent framework as it runs is skipped, too."""
    try:
        return (yield)
    except ImportError as error:
        framework = missing(error)
        if framework is None or find(framework):
            raise
        pytest.skip(f"needs {framework}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """See ``skipping``."""
    return (yield from skipping())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """See ``skipping``."""
    return (yield from skipping())


@pytest.fixture
def diffcp(monkeypatch):
    """An imported diffcp, whose errors cvxpylayers' users catch."""
    module = ModuleType("diffcp")
    module.SolverError = type("SolverError", (Exception,), {})
    monkeypatch.setitem(sys.modules, "diffcp", module)
    return module
