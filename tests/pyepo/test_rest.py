"""What the drop-in does not mirror is PyEPO's own, under our name."""

import importlib
import subprocess
import sys

import pytest

from tests.pyepo.models import pyepo

import lpgd.pyepo  # isort: skip
from lpgd import MissingExtraError
from lpgd.pyepo import _rest


@pytest.mark.parametrize(
    "name", ["model.grb.shortestpath", "dsl", "EPO", "twostage", "func.runtime", "utils"]
)
def test_other_modules_are_pyepos(name):
    ours, own = (importlib.import_module(f"{root}.{name}") for root in ("lpgd.pyepo", "pyepo"))
    assert ours is own
    assert own.__spec__.name == own.__name__ == f"pyepo.{name}"


def test_other_names_are_pyepos():
    assert lpgd.pyepo.EPO is pyepo.EPO
    assert lpgd.pyepo.__version__ == pyepo.__version__
    assert lpgd.pyepo.data.dataset.optDatasetConstrs is pyepo.data.dataset.optDatasetConstrs
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        lpgd.pyepo.func.nothing
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("lpgd.pyepo.nothing")


@pytest.mark.parametrize("module", ["func", "metric", "data"])
def test_every_public_name_of_pyepo_is_there(module):
    ours, own = (importlib.import_module(f"{root}.{module}") for root in ("lpgd.pyepo", "pyepo"))
    missing = [name for name in own.__all__ if not hasattr(ours, name)]
    assert not missing
    if module == "func":
        assert set(ours.__all__) == set(own.__all__)
        assert len(own.__all__) == 36
        assert all(getattr(ours, name).__module__.startswith("lpgd.pyepo") for name in own.__all__)


def test_without_pyepo_the_operations_are_there():
    code = f"""
import sys; sys.path[:] = {sys.path!r}
sys.modules["pyepo"] = None
import numpy as np, torch, lpgd.pyepo
class Model:
    modelSense, num_cost = 1, 3
    def setObj(self, c): self.c = np.asarray(c)
    def solve(self): return np.eye(3)[self.c.argmin()], float(self.c.min())
c = torch.rand(4, 3, requires_grad=True)
given = c, c.detach() + 1, torch.eye(3)[[0, 1, 2, 0]], torch.ones(4, 1)
lpgd.pyepo.func.SPOPlus(Model())(*given).backward()
x, costs = lpgd.pyepo.data.shortestpath.genData(4, 2, (2, 2))
print(c.grad.shape, costs.shape, hasattr(lpgd.pyepo, "model"))
try: import lpgd.pyepo.model
except ModuleNotFoundError: print("no model")
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shapes = "torch.Size([4, 3]) (4, 4) False"
    assert done.stdout.splitlines() == [shapes, "no model"]


def test_a_missing_pyepo_is_named_with_its_extra(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "pyepo"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyepo", None)
    with pytest.raises(MissingExtraError, match=r'pip install "lpgd\[pyepo\]"'):
        _rest.theirs("lpgd.pyepo.func.nothing")
