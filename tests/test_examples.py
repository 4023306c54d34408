"""The examples run at small size, and what each claims holds."""

import importlib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """What the example returns; it must also print, and draw one figure."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    found = importlib.import_module(request.param).main(tmp_path, small=True)
    assert [figure.name for figure in tmp_path.iterdir()] == [f"{request.param}.png"]
    return found


def test_every_example_is_listed() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert path.stem == "command_line" or f"`{path.name}`" in text


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
