"""Public names: where they live, how they are documented, and what pickles say of them."""

import copy
import importlib
import inspect
import pickle
import pickletools
import typing
from dataclasses import is_dataclass, replace

import pytest
import torch

import lpgd
import lpgd.testing
import lpgd.torch
from lpgd.core import errors

PACKAGES = (
    "lpgd", "lpgd.oracles", "lpgd.rules",
    "lpgd.torch", "lpgd.torch.losses", "lpgd.torch.metrics", "lpgd.testing",
)  # fmt: skip
CLASSES = [
    (package, name)
    for package in PACKAGES
    for name in importlib.import_module(package).__all__
    if isinstance(getattr(importlib.import_module(package), name), type)
]


@pytest.mark.parametrize("module", PACKAGES)
def test_all_is_sorted_and_true(module):
    found = importlib.import_module(module)
    assert sorted(found.__all__) == sorted(set(found.__all__))
    for name in found.__all__:
        assert getattr(found, name) is not None


@pytest.mark.parametrize("package, name", CLASSES)
def test_public_classes_are_named_by_their_package(package, name):
    member = getattr(importlib.import_module(package), name)
    assert (member.__module__, member.__qualname__) == (package, name)
    assert member.__doc__
    assert pickle.loads(pickle.dumps(member)) is member


@pytest.mark.parametrize("package, name", CLASSES)
def test_annotations_of_public_classes_can_be_read(package, name):
    member = getattr(importlib.import_module(package), name)
    assert typing.get_type_hints(member).keys() >= inspect.get_annotations(member).keys()
    typing.get_type_hints(member.__init__)
    if not issubclass(member, Exception):
        assert inspect.signature(member) is not None


def modules_of(pickled):
    """Packages of ours that a pickle names."""
    texts = [argument for _, argument, _ in pickletools.genops(pickled) if argument]
    words = {text.split(" ")[0] for text in texts if isinstance(text, str)}
    return {word for word in words if word.split(".")[0] == "lpgd"}


INSTANCES = [
    lpgd.LPGD(0.3),
    lpgd.Exact(),
    lpgd.Cones(zero=1, soc=(3,)),
    lpgd.DaqpEngine(),
    lpgd.HighsEngine(),
    lpgd.MoreauEngine(),
    lpgd.ClarabelEngine(),
    lpgd.ScsEngine(),
    lpgd.Status.INFEASIBLE,
    lpgd.SolverError("no", [1], [lpgd.Status.CRASHED]),
    lpgd.StructureError("no"),
    lpgd.torch.ConicSolution(*torch.ones(3, 2)),
    lpgd.torch.DualSolution(*torch.ones(4, 2)),
]


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: type(instance).__name__)
def test_instances_travel_under_public_names(instance):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(instance, protocol)
        assert modules_of(pickled) <= set(PACKAGES)
        assert repr(pickle.loads(pickled)) == repr(instance)
    assert repr(copy.deepcopy(instance)) == repr(instance)
    if is_dataclass(instance):
        assert replace(instance) == instance


def test_every_error_is_public():
    ours = {
        name
        for name, member in vars(errors).items()
        if isinstance(member, type) and issubclass(member, errors.LpgdError | Warning)
    }
    assert ours <= set(lpgd.__all__)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'lpgd' has no attribute 'Lpgd'"):
        lpgd.Lpgd
    assert not hasattr(lpgd, "torch_")


def test_the_version_is_a_release():
    assert [part.isdigit() for part in lpgd.__version__.split(".")] == [True] * 3
