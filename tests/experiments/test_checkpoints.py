import pickle

import pytest
import torch

from lpgd.experiments.checkpoints import Checkpoint, restore_training, training_tensors


def train(model, optimizer, steps):
    for step in range(steps):
        optimizer.zero_grad()
        model(torch.full((1, 3), 1.0 + step)).square().sum().backward()
        optimizer.step()


def test_restored_training_goes_on_as_if_never_stopped(tmp_path):
    torch.manual_seed(0)
    first, second = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    optimizers = [torch.optim.Adam(model.parameters(), lr=0.1) for model in (first, second)]
    train(first, optimizers[0], 3)
    path = tmp_path / "checkpoint.pt"
    Checkpoint(training_tensors(first, optimizers[0]), {"step": 3}).save(path)
    loaded = Checkpoint.load(path)
    assert loaded.state == {"step": 3}
    restore_training(loaded.tensors, second, optimizers[1])
    train(first, optimizers[0], 2)
    train(second, optimizers[1], 2)
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_file_holds_tensors_and_text_only(tmp_path):
    path = tmp_path / "checkpoint.pt"
    Checkpoint({"a": torch.ones(2)}, {"x": [1, None, "y"]}).save(path)
    content = torch.load(path, weights_only=True)
    assert set(content) == {"tensors", "json"}
    assert isinstance(content["json"], str)


def test_code_in_a_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"tensors": {}, "json": print}, path)
    with pytest.raises(pickle.UnpicklingError, match="could hold code and is not read"):
        Checkpoint.load(path)
