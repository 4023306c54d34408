import importlib

import pytest

import lpgd
from lpgd.core import errors


@pytest.mark.parametrize("module", ["lpgd", "lpgd.torch", "lpgd.testing"])
def test_all_is_sorted_and_true(module):
    found = importlib.import_module(module)
    assert sorted(found.__all__) == sorted(set(found.__all__))
    for name in found.__all__:
        assert getattr(found, name) is not None


@pytest.mark.parametrize("name", lpgd.__all__)
def test_public_names_live_in_the_package_and_are_documented(name):
    member = getattr(lpgd, name)
    assert member.__name__ == name
    assert member.__module__.startswith("lpgd.")
    assert member.__doc__


def test_every_error_is_public():
    ours = {
        name
        for name, member in vars(errors).items()
        if isinstance(member, type) and issubclass(member, errors.LpgdError | Warning)
    }
    assert ours - {"MissingExtraError"} <= set(lpgd.__all__)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'lpgd' has no attribute 'Lpgd'"):
        lpgd.Lpgd
    assert not hasattr(lpgd, "torch_")


def test_the_version_is_a_release():
    assert [part.isdigit() for part in lpgd.__version__.split(".")] == [True] * 3
