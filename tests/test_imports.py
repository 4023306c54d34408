"""What importing the package loads, seen from fresh interpreters."""

import subprocess
import sys

import pytest

SOLVERS = ("daqp", "highspy", "moreau", "clarabel")
HEAVY = ("torch", "jax", *SOLVERS, "scipy", "cvxpy", "hypothesis", "pytest", "matplotlib")
BLOCK = "import sys\nfor name in {names!r}: sys.modules[name] = None\n"


def run(code, blocked=()):
    # -I: neither the environment nor the working directory may help
    path = f"import sys; sys.path[:] = {sys.path!r}\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", path + BLOCK.format(names=blocked) + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = f"print([name for name in {HEAVY!r} if name in sys.modules])"


def test_the_package_loads_nothing_of_weight():
    assert run(f"import lpgd\n{LOADED}").strip() == "[]"


def test_rules_and_engines_load_no_solver_and_no_framework():
    uses = "lpgd.LPGD(1.0), lpgd.Exact(), lpgd.DaqpEngine(), lpgd.HighsEngine()"
    uses += ", lpgd.MoreauEngine()"
    code = (
        f"import lpgd\n{uses}\nimport lpgd.map.solution_map\nprint('scipy.optimize' in sys.modules)"
    )
    output = run(f"{code}\nsys.modules.pop('scipy', None)\n{LOADED}").split()
    assert output == ["False", "[]"]


@pytest.mark.parametrize("engine, other", [("daqp", "highspy"), ("highs", "daqp")])
def test_a_solver_is_loaded_when_it_solves_and_alone(engine, other):
    code = f"""
import numpy as np, lpgd
from lpgd.core.params import shared
from lpgd.families.qp.qp import QP
from lpgd.map.solution_map import SolutionMap
params = {{"q": shared(np.ones(2), 1), "lb": shared(np.zeros(2), 1)}}
solved = SolutionMap(lpgd.LPGD(1.0), {engine!r}).solve(QP.of({{"lb": 2}}, 2, {{}}), params, (1,))
print(solved.solution.x.tolist())
"""
    assert run(code, ("torch", "jax", "scipy.optimize", other)).strip() == "[[0.0, 0.0]]"


def test_the_torch_layers_need_neither_jax_nor_scipy_optimize():
    run("import lpgd.torch", ("jax", "cvxpy", "matplotlib", "scipy.optimize"))


def test_public_names_appear_in_dir():
    assert run("import lpgd; print(set(lpgd.__all__) <= set(dir(lpgd)))").strip() == "True"


def test_the_torch_layers_without_torch_name_their_extra():
    code = """
import lpgd
for module in ("lpgd.torch", "lpgd.torch.layers"):
    try:
        __import__(module)
    except lpgd.MissingExtraError as error:
        print(error)
"""
    told = 'lpgd.torch needs torch, which is not installed: pip install "lpgd[torch]"'
    assert run(code, ("torch",)).splitlines() == [told] * 2


def test_a_diagnosis_loads_no_framework_that_the_layer_does_not():
    refused = "try: lpgd.diagnose(print, loss=print)\n"
    refused += "except TypeError as error: print('lpgd.jax' in str(error))"
    assert run(f"import lpgd\n{refused}", ("torch", "jax", "matplotlib")).strip() == "True"


def test_subpackages_are_there_without_an_import_of_their_own():
    names = ("generators", "losses", "metrics", "oracles", "rules", "torch")
    uses = [f"assert lpgd.{name}.__name__ == 'lpgd.{name}'" for name in names]
    uses += ["lpgd.rules.Identity(), lpgd.oracles.TopK(1)", "assert not hasattr(lpgd, 'x')"]
    run("\n".join(["import lpgd", *uses]))
    run(
        "import lpgd\ntry:\n    lpgd.torch\nexcept ImportError as error:\n"
        "    assert 'lpgd[torch]' in str(error), error",
        ("torch",),
    )
