"""Sets that can be listed, against which oracles are held."""

import itertools

import numpy as np


def binary(n):
    """All 0/1 vectors."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=n))).reshape(-1, n)


def hold(reply, costs, points, fixed=0.0, atol=1e-9):
    """Each minimiser is one of the points, and none of them is better; None has none."""
    if not len(points):
        assert (reply.status == 2).all()  # infeasible
        return
    assert reply.status is None or not reply.status.any()
    for x, cost in zip(reply.x, costs, strict=True):
        values = points @ cost + fixed
        place = np.abs(points - x).max(axis=1).argmin()
        assert np.abs(points[place] - x).max() <= 1e-12
        assert values[place] <= values.min() + atol


def balance(edges, nodes):
    """What leaves each node minus what enters it, (nodes, edges)."""
    found = np.zeros((nodes, len(edges)))
    for edge, (tail, head) in enumerate(edges):
        found[tail, edge] += 1
        found[head, edge] -= 1
    return found


def degree(edges, nodes):
    """How often each edge touches each node, (nodes, edges)."""
    found = np.zeros((nodes, len(edges)))
    for edge, (tail, head) in enumerate(edges):
        found[tail, edge] += 1
        found[head, edge] += 1
    return found


def some_costs(draw, *shape):
    """Costs with and without ties, zeros among them."""
    if draw.integers(2):
        return draw.integers(-2, 3, shape).astype(float)
    return draw.normal(size=shape)


def some_edges(draw, nodes, most):
    """Random edges, loops and parallel ones among them; and the number of nodes."""
    count = int(draw.integers(1, most + 1))
    edges = [tuple(map(int, draw.integers(0, nodes, 2))) for _ in range(count)]
    return edges, max(map(max, edges)) + 1
