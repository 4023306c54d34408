"""Procedures of users that differentiate."""

import torch


def by_descent(distance, n):
    """A procedure that minimises distance(x, None, *params) over n variables."""

    def solve(params, tilt):
        x = torch.zeros(n, dtype=torch.float64, requires_grad=True)
        small = {"tolerance_grad": 1e-12, "tolerance_change": 1e-15}
        steps = torch.optim.LBFGS([x], max_iter=100, line_search_fn="strong_wolfe", **small)
        objective = tilt.objective(lambda at: distance(at, None, *params))

        def closure():
            steps.zero_grad()
            value = objective(x)
            value.backward()
            return value

        steps.step(closure)
        return x

    return solve
