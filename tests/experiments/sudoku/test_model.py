import torch

from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.data import generate
from lpgd.experiments.sudoku.model import RuleLearner, decode, squared_error, wrong_boards
from lpgd.experiments.sudoku.solver import rules_matrix


def boards(count):
    split = generate(2, count, 1)
    return torch.from_numpy(split.train.inputs()), torch.from_numpy(split.train.labels())


def test_start_and_sizes():
    model = RuleLearner(SudokuConfig(seed=3))
    assert model.A.shape == (40, 64)
    assert model.A.abs().max() <= 1 / 8
    assert model.A.abs().max() > 0.12
    assert not model.interior.any()
    assert {name for name, _ in model.named_parameters()} == {"A", "interior"}
    assert torch.equal(model.A, RuleLearner(SudokuConfig(seed=3)).A)
    assert not torch.equal(model.A, RuleLearner(SudokuConfig(seed=4)).A)
    assert RuleLearner(SudokuConfig(box=3)).A.shape == (249, 729)


def test_boards_satisfy_the_learned_constraints_and_gradients_arrive():
    clues, labels = boards(10)
    model = RuleLearner(SudokuConfig())
    x = model(clues)
    assert x.shape == clues.shape
    assert ((x >= -1e-9) & (x <= 1 + 1e-9)).all()
    inside = model.A @ torch.sigmoid(model.interior)
    assert torch.allclose(x @ model.A.T, inside.expand(10, -1), atol=1e-8)
    squared_error(x, labels).backward()
    assert model.A.grad.abs().max() > 0
    assert model.interior.grad.abs().max() > 0


def test_true_rules_solve_every_puzzle():
    clues, labels = boards(30)
    model = RuleLearner(SudokuConfig())
    with torch.no_grad():
        # 40 independent combinations of the 64 rules; one quarter everywhere satisfies them.
        _, _, rows = torch.linalg.svd(torch.from_numpy(rules_matrix(2)))
        model.A.copy_(rows[:40])
        model.interior.fill_(torch.logit(torch.tensor(0.25)).item())
        x = model(clues)
    assert wrong_boards(x, labels, 2) == 0
    assert squared_error(x, labels) < 1e-12


def test_wrong_boards_counts_boards_not_cells():
    _, labels = boards(4)
    guess = labels.clone()
    guess[0, :8] = 1 - guess[0, :8]
    guess[2] = torch.nan
    assert wrong_boards(labels, labels, 2) == 0
    assert wrong_boards(guess, labels, 2) == 2
    assert squared_error(guess, labels) == 8 / (3 * 64)
    assert decode(labels, 2).min() == 1
    assert decode(labels, 2).max() == 4


def test_a_full_loss_is_at_most_the_loss_and_pulls_at_the_rules():
    clues, labels = boards(10)
    model = RuleLearner(SudokuConfig(loss="full", side="lower"))
    assert {name for name, _ in model.named_parameters()} == {"A", "interior"}
    value = model.loss(clues, labels)
    assert 0 <= value < squared_error(model(clues), labels)
    value.backward()
    assert model.A.grad.abs().max() > 0
    assert model.interior.grad.abs().max() > 0
