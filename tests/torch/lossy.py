"""A Lagrangian, losses of x, and a procedure that solves for both, in torch."""

import torch


def lagrangian(x, y, P, q, A, b):
    return 0.5 * x @ P @ x + q @ x + y @ (A @ x - b)


LOSSES = {
    "squares": lambda x, t: (x - t).square().sum(),
    "soft": lambda x, t: torch.nn.functional.softplus(x - t).sum(),
    "quartic": lambda x, t: (x - t).square().sum().square(),
}


def newton(params, tilt):
    """Newton's method on the optimality conditions, of convex objectives that curve."""
    P, q, A, b = params
    P = torch.eye(len(q), dtype=torch.float64) if P is None else P
    objective = tilt.objective(lambda x: 0.5 * x @ P @ x + q @ x)
    n = len(q)
    rows = torch.zeros(0, n, dtype=torch.float64) if A is None else A
    side = torch.zeros(0, dtype=torch.float64) if A is None else tilt.side(b)
    K = torch.zeros(n + len(rows), n + len(rows), dtype=torch.float64)
    K[n:, :n], K[:n, n:] = rows, rows.T
    x = torch.zeros(n, dtype=torch.float64)
    for _ in range(25):
        slope, K[:n, :n] = (
            torch.func.grad(objective)(x),
            torch.func.jacrev(torch.func.grad(objective))(x),
        )
        step = torch.linalg.solve(K, torch.cat([-slope, side - rows @ x]))
        x = x + step[:n]
        if step[:n].abs().max() <= 1e-15 * (1 + x.abs().max()):
            break
    return x, step[n:]
