"""The example in JAX takes the steps that PyTorch takes."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optax")
pytest.importorskip("equinox")
pytest.importorskip("matplotlib").use("Agg")

PATH = Path(__file__).parents[2] / "examples/sudoku_jax.py"


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("sudoku_jax", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_torch(example, start, puzzles, places):
    """Errors of the steps, and how many are taken, by PyTorch."""
    torch = pytest.importorskip("torch")
    from lpgd.torch import LPLayer

    clues, boards = map(torch.from_numpy, puzzles)
    A = torch.from_numpy(np.array(start)).requires_grad_()
    interior = torch.zeros(example.ENTRIES, dtype=A.dtype, requires_grad=True)
    layer = LPLayer(example.RULE, on_failure="nan")
    optimizer = torch.optim.Adam([A, interior], lr=example.RATE)
    zeros, errors = torch.zeros(example.ENTRIES, dtype=A.dtype), []
    for own in places.reshape(-1, places.shape[-1]):
        optimizer.zero_grad()
        x = layer(-clues[own], A=A, b=A @ interior.sigmoid(), lb=zeros, ub=zeros + 1)
        loss = (x - boards[own]).square().mean()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    return errors


def test_the_steps_are_those_of_torch(example, tmp_path):
    found = example.main(tmp_path, small=True)
    assert [figure.name for figure in tmp_path.iterdir()] == ["sudoku_jax.png"]
    count = 2 * example.BATCH
    puzzles = example.puzzles(count + 50, np.random.default_rng(0))
    places = example.batches(count, 3, 0)
    errors = in_torch(example, example.RuleLearner(0).A, puzzles, places)
    np.testing.assert_allclose([found["first"], found["last"]], [errors[0], errors[-1]], rtol=1e-8)
    assert found["last"] < 0.65 * found["first"]


def test_there_are_288_boards(example):
    grids = example.grids()
    assert grids.shape == (288, 16)
    for row in grids.reshape(-1, 4, 4):
        assert (np.sort(row, axis=0) == np.arange(4)[:, None]).all()
        assert (np.sort(row, axis=1) == np.arange(4)).all()
