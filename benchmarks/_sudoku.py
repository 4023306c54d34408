"""The training step of the 4x4 Sudoku experiment: data, states of training, reference, rows.

Minimise -pᵀx subject to Ax = b, 0 ≤ x ≤ 1 with A (40, 64) learned and b = A·sigmoid(s); p (B, 64)
is one-hot for the clues and zero for the empty cells; the loss is the mean squared error to the
solved grid. Index of cell (row, column) and digit: (row * 4 + column) * 4 + digit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import daqp
import numpy as np
import scipy.optimize
import torch

Array = np.ndarray
RULES, CELLS = 40, 16


@dataclass(frozen=True)
class State:
    """A batch of puzzles and the parameters at some moment of training."""

    p: Array
    target: Array
    A: Array
    s: Array

    @property
    def b(self) -> Array:
        """Right-hand side, feasible by construction."""
        return self.A @ (1 / (1 + np.exp(-self.s)))


def grids() -> Array:
    """All 288 solved grids, (288, 16), digits 0 to 3."""
    found = []
    lines = list(itertools.permutations(range(4)))
    for rows in itertools.product(lines, repeat=4):
        grid = np.array(rows)
        blocks = grid.reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 4)
        if all(len(set(line)) == 4 for part in (grid.T, blocks) for line in part):
            found.append(grid.ravel())
    return np.array(found)


def puzzles(batch: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Clues and solutions, one-hot (batch, 64); 4 to 8 clues, one completion each."""
    solved, p, target = grids(), np.zeros((batch, 64)), np.zeros((batch, 64))
    for i in range(batch):
        while True:
            grid = solved[rng.integers(len(solved))]
            cells = rng.permutation(CELLS)[: rng.integers(4, 9)]
            if (solved[:, cells] == grid[cells]).all(1).sum() == 1:
                break
        p[i, cells * 4 + grid[cells]] = 1.0
        target[i, np.arange(CELLS) * 4 + grid] = 1.0
    return p, target


def first_state(batch: int, rng: np.random.Generator) -> State:
    """Where training starts: A uniform in ±1/8, s = 0."""
    p, target = puzzles(batch, rng)
    return State(p, target, rng.uniform(-1 / 8, 1 / 8, size=(RULES, 64)), np.zeros(64))


def late_state(batch: int, rng: np.random.Generator) -> State:
    """Where training ends: A spans the true rules but for noise, in a random basis."""
    rules = np.zeros((64, 4, 4, 4))
    for k, (i, j) in enumerate(itertools.product(range(4), repeat=2)):
        rules[k, i, j, :] = rules[16 + k, i, :, j] = rules[32 + k, :, i, j] = 1.0
        row, column = 2 * (i // 2), 2 * (i % 2)
        rules[48 + k, row : row + 2, column : column + 2, j] = 1.0
    _, sizes, basis = np.linalg.svd(rules.reshape(64, 64))
    assert (sizes > 1e-9).sum() == RULES
    mixing = np.linalg.qr(rng.normal(size=(RULES, RULES)))[0]
    A = mixing @ basis[:RULES] + 0.01 * rng.normal(size=(RULES, 64))
    p, target = puzzles(batch, rng)
    return State(p, target, A, np.full(64, -np.log(3.0)))  # sigmoid(s) = 1/4 satisfies every rule


def generic(state: State, rng: np.random.Generator) -> State:
    """Add noise to the costs, which makes solutions and multipliers unique: fit for a check.

    With one-hot costs the optimal face often has many points, and which of them a solver returns,
    and with it the gradient, is its own affair.
    """
    return replace(state, p=state.p + rng.uniform(-0.5, 0.5, size=state.p.shape))


def reference(timed: State, checked: State, tau: float, rho: float) -> dict[str, Array]:
    """Gradients on ``checked`` (lower side), from scipy's LP solver and daqp on the tilted QPs.

    On ``timed`` only what must be unique: the optimal values and Ax.
    """
    value = [_vertex(timed, p)[2] for p in timed.p]
    base = [_vertex(checked, p) for p in checked.p]
    x, nu = np.stack([v[0] for v in base]), np.stack([v[1] for v in base])
    cotangent = 2 * (x - checked.target) / x.size
    high = [_tilted(checked, q, rho) for q in -checked.p + tau * cotangent - rho * x]
    x_high, nu_high = np.stack([v[0] for v in high]), np.stack([v[1] for v in high])
    dA = (nu_high.T @ x_high - nu.T @ x) / tau
    db = -(nu_high - nu).sum(0) / tau
    sigmoid = 1 / (1 + np.exp(-checked.s))
    return {
        "x": x,
        "A": dA + np.outer(db, sigmoid),
        "s": (checked.A.T @ db) * sigmoid * (1 - sigmoid),
        "value": np.array(value),
        "Ax": np.tile(timed.b, (len(timed.p), 1)),
    }


def _vertex(state: State, p: Array) -> tuple[Array, Array, float]:
    found = scipy.optimize.linprog(-p, A_eq=state.A, b_eq=state.b, bounds=(0, 1), method="highs-ds")
    return found.x, -found.eqlin.marginals, found.fun


def _tilted(state: State, q: Array, rho: float) -> tuple[Array, Array]:
    model = daqp.Model()
    model.settings = {"primal_tol": 1e-11}
    upper, lower = np.concatenate([np.ones(64), state.b]), np.concatenate([np.zeros(64), state.b])
    kinds = np.array([0] * 64 + [5] * RULES, dtype=np.intc)
    model.setup(rho * np.eye(64), q, state.A, upper, lower, kinds)
    x, _, flag, info = model.solve()
    if flag != 1:
        raise RuntimeError(f"the reference solver stopped with exit flag {flag}")
    return x, info["lam"][64:]


class Step:
    """``layer(c, A, b) -> x`` in the training step; the optimiser's update is left out.

    The update is the same few microseconds for everybody, and would move the problem.
    """

    def __init__(self, timed: State, checked: State, layer: Callable[..., torch.Tensor]):
        self.timed, self.checked, self.layer = timed, checked, layer
        self._load(timed)

    def _load(self, state: State) -> None:
        self.c, self.target = torch.tensor(-state.p), torch.tensor(state.target)
        self.A, self.s = (torch.tensor(v, requires_grad=True) for v in (state.A, state.s))

    def forward(self) -> None:
        """Model and loss."""
        self.A.grad = self.s.grad = None
        self.x = self.layer(self.c, self.A, self.A @ torch.sigmoid(self.s))
        self.loss = torch.nn.functional.mse_loss(self.x, self.target)

    def backward(self) -> None:
        """Gradients of A and s."""
        self.loss.backward()

    def answers(self) -> dict[str, Array]:
        """Values of the last step, and x and the gradients of one on the checked state."""
        x = self.x.detach().numpy()
        found = {"value": -(self.timed.p * x).sum(1), "Ax": x @ self.timed.A.T}
        self._load(self.checked)
        self.forward()
        self.backward()
        found |= {"x": self.x.detach().numpy(), "A": self.A.grad.numpy(), "s": self.s.grad.numpy()}
        self._load(self.timed)
        return found


def ours(timed: State, checked: State, rule: Any) -> Step:
    """This library."""
    from lpgd.torch import LPLayer

    layer = LPLayer(rule)
    zero, one = torch.zeros(64).double(), torch.ones(64).double()
    return Step(timed, checked, lambda c, A, b: layer(c, A=A, b=b, lb=zero, ub=one))


def cvxpylayers(timed: State, checked: State, tau: float, rho: float, **solver: Any) -> Step:
    """The same LP through cvxpylayers, with diffcp's LPGD ("right" is our lower side)."""
    import cvxpy as cp
    from cvxpylayers.torch import CvxpyLayer

    x, c, A, b = cp.Variable(64), cp.Parameter(64), cp.Parameter((RULES, 64)), cp.Parameter(RULES)
    problem = cp.Problem(cp.Minimize(c @ x), [A @ x == b, x >= 0, x <= 1])
    options = {"mode": "lpgd_right", "derivative_kwargs": {"tau": tau, "rho": rho}, **solver}
    layer = CvxpyLayer(problem, parameters=[c, A, b], variables=[x], solver_args=options)
    return Step(timed, checked, lambda c, A, b: layer(c, A, b)[0])
