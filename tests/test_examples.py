"""The examples run at small size, and what each claims holds."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

import lpgd.torch  # noqa: F401 - without which most examples have nothing to do

ROOT = Path(__file__).parents[1]
EXAMPLES = {path.stem: path for path in (ROOT / "examples").glob("*.py")}
PACKAGES = {"casadi", "cvxpy", "equinox", "jax", "lpgd", "matplotlib", "numpy", "optax", "torch"}


@pytest.fixture
def numbers(request: pytest.FixtureRequest, tmp_path: Path):
    """What a copy of the example returns; it must also draw one figure."""
    if request.param == "cartpole":
        pytest.importorskip("casadi")
    copy = tmp_path / "copied.py"
    copy.write_bytes(EXAMPLES[request.param].read_bytes())
    spec = importlib.util.spec_from_file_location(request.param, copy)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.main(tmp_path / "out", small=True)
    figures = [figure.name for figure in (tmp_path / "out").iterdir()]
    assert figures == [f"{request.param}.png"]
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_anyone_can_copy_an_example(name: str) -> None:
    """It imports no other file, and of the library only what is public."""
    nodes = list(ast.walk(ast.parse(EXAMPLES[name].read_text(encoding="utf-8"))))
    taken = {(a.name, "") for node in nodes if isinstance(node, ast.Import) for a in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            taken |= {(str(node.module), a.name) for a in node.names}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            taken |= {("lpgd", node.attr)} if node.value.id == "lpgd" else set()
    for module, member in taken:
        package = module.split(".")[0]
        assert package in PACKAGES or package in sys.stdlib_module_names, module
        if package == "lpgd" and member:
            assert member in importlib.import_module(module).__all__, (module, member)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_listed_and_its_figure_shown(name: str) -> None:
    """``nox -s figures`` draws the figures."""
    listed = f"`{name}.py`"
    assert listed in (ROOT / "examples/README.md").read_text(encoding="utf-8")
    page = (ROOT / "docs/examples.md").read_text(encoding="utf-8")
    assert listed in page
    assert f"](figures/{name}.png)" in page
    assert (ROOT / f"docs/figures/{name}.png").stat().st_size < 100_000


@pytest.mark.parametrize("numbers", ["regression"], indirect=True)
def test_hyper_gradient_finds_the_penalty(numbers) -> None:
    assert numbers["last"] < 0.75 * numbers["first"]
    assert numbers["last"] < 1.1 * numbers["best of the grid"]
    assert numbers["test, last"] < 0.75 * numbers["test, first"]


@pytest.mark.parametrize("numbers", ["transport"], indirect=True)
def test_prices_are_learned_where_the_derivative_is_zero(numbers) -> None:
    assert numbers["LPGD"] < 0.25 * numbers["first"]
    assert numbers["Exact"] == pytest.approx(numbers["first"], rel=1e-6)


@pytest.mark.parametrize("numbers", ["control"], indirect=True)
def test_controller_improves_on_riccati(numbers) -> None:
    assert numbers["last"] < 0.95 * numbers["first"]
    assert numbers["above"] < -0.03


@pytest.mark.parametrize("numbers", ["sparsemax"], indirect=True)
def test_sparsemax_is_its_closed_form_and_sparse(numbers) -> None:
    assert numbers["difference"] < 1e-6
    assert numbers["sparsemax items"] < 7 < numbers["softmax items"]
    assert numbers["sparsemax error"] < numbers["softmax error"]


@pytest.mark.parametrize("numbers", ["allocation"], indirect=True)
def test_allocation_is_learned_where_the_derivative_is_zero(numbers) -> None:
    assert numbers["LPGD"] < 0.5 * numbers["first"]
    assert numbers["Exact"] == pytest.approx(numbers["first"], rel=1e-6)


@pytest.mark.parametrize("numbers", ["poisoning"], indirect=True)
def test_poison_hurts_more_than_noise(numbers) -> None:
    assert numbers["poisoned"] > 2 * numbers["jittered"]
    assert numbers["poisoned error"] > numbers["clean error"] + 0.1


@pytest.mark.parametrize("numbers", ["cartpole"], indirect=True)
def test_the_learned_controller_costs_what_the_expert_costs(numbers) -> None:
    assert numbers["first"] > 1.5 * numbers["expert"]
    assert numbers["last"] < 1.05 * numbers["expert"]
    assert numbers["re-solves"] == 0


@pytest.mark.parametrize("numbers", ["game"], indirect=True)
def test_payoffs_are_learned_from_strategies(numbers) -> None:
    assert numbers["last"] < 0.02 * numbers["first"]
    assert numbers["held out"] < 0.05 * numbers["first"]
    assert numbers["solves in backward"] == 0


@pytest.mark.parametrize("numbers", ["robust_regression"], indirect=True)
def test_learned_bounds_guard_better_than_a_single_one(numbers) -> None:
    assert numbers["last"] < 0.6 * numbers["first"]
    assert numbers["learned bounds"] < 0.5 * numbers["best single bound"]
    assert numbers["best single bound"] < 0.5 * numbers["least squares"]


@pytest.mark.parametrize("numbers", ["hyperparameters"], indirect=True)
def test_penalties_of_features_beat_a_single_one(numbers) -> None:
    assert numbers["last"] < 0.9 * numbers["best single penalty"]
    assert numbers["test, last"] < numbers["test, first"]
    assert numbers["useful"] < 0.1 * numbers["useless"]


@pytest.mark.parametrize("numbers", ["diagnosis"], indirect=True)
def test_a_model_that_did_not_learn_does_as_it_was_told(numbers) -> None:
    assert numbers["cause"] == "loss averaged over the batch"
    assert numbers["last"] > 0.5 * numbers["first"]
    assert numbers["mended, last"] < 0.25 * numbers["first"]
