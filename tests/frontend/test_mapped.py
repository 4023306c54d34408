"""Mapping a call over one more dimension equals a loop over it; numpy stands for a framework."""

import numpy as np
import pytest

import lpgd
from lpgd.families.qp.qp import QP
from lpgd.frontend.mapped import Derivative, Ops, mapped
from lpgd.frontend.program import Program
from lpgd.frontend.views import QPView
from lpgd.map.solution_map import SolutionMap

OPS = Ops(np.moveaxis, np.broadcast_to)
NAMES, CORES = ("P", "q", "G", "h"), (2, 1, 2, 1)
PROBLEM = QP.of({"P": 3, "G": 2}, 3, {})
PROGRAM = Program(SolutionMap(lpgd.LPGD(1e-2)), PROBLEM, QPView(PROBLEM), NAMES, CORES)
SIZE = 4
DIMS = [(None, 0, None, None), (0, 1, None, 0), (None, None, 2, -1), (0, 0, 0, 0), (None,) * 4]


def data(dims, batches=((), (), (), ())):
    """Arguments with the mapped dimension where ``dims`` say."""
    draw = np.random.default_rng(0)
    shapes = {"P": (3, 3), "q": (3,), "G": (2, 3), "h": (2,)}
    found = []
    for name, dim, batch in zip(NAMES, dims, batches, strict=True):
        size = () if dim is None else (SIZE,)
        value = draw.normal(size=(*size, *batch, *shapes[name]))
        value = value @ value.swapaxes(-1, -2) + np.eye(3) if name == "P" else value
        value = np.abs(value) if name == "h" else value
        found.append(value if dim is None else np.moveaxis(value, 0, dim))
    return found


def at(arrays, dims, i):
    return [
        array if dim is None else np.take(array, i, axis=dim)
        for array, dim in zip(arrays, dims, strict=True)
    ]


def solve(arrays):
    shape = PROGRAM.batch([array.shape for array in arrays])
    return PROGRAM.solve(arrays, shape, 2.0**-52, keep=True)


def derive(way, forward, vectors, arrays):
    if way.push:
        return PROGRAM.pushforward(forward, way, vectors, arrays)
    return PROGRAM.pullback(forward, way, vectors, [array.shape for array in arrays])


BATCHES = [((), (), (), ()), ((), (5,), (), (5,)), ((2, 1), (5,), (), ())]


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("dims", DIMS[:4])
def test_a_solve(dims, batches):
    dims = dims if batches == BATCHES[0] else tuple(None if d is None else 0 for d in dims)
    arrays = data(dims, batches)
    _, found = solve(OPS.front(arrays, dims, CORES, SIZE))
    for i in range(SIZE):
        for got, want in zip(found, solve(at(arrays, dims, i))[1], strict=True):
            np.testing.assert_allclose(got[i], want, atol=1e-9)


@pytest.mark.parametrize("push", [False, True])
@pytest.mark.parametrize("lead", [0, 1])
@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("turned", [True, False])
def test_a_derivative(push, lead, dims, turned):
    way, draw = Derivative(push, (True, True, False, True), lead), np.random.default_rng(1)
    arrays = data(dims)
    forward, outputs = solve(OPS.front(arrays, dims, CORES, SIZE))
    one = solve(at(arrays, dims, 0))
    shapes = [a.shape for a in (way.chosen(at(arrays, dims, 0)) if push else one[1])]
    vectors = [draw.normal(size=((2,) * lead + shape)) for shape in shapes]
    over = [0 if turned and i % 2 else None for i in range(len(vectors))]
    vectors = [
        v if dim is None else np.stack([v * (k + 1) for k in range(SIZE)], dim)
        for v, dim in zip(vectors, over, strict=True)
    ]
    if not push and any(dim is not None for dim in dims):  # cotangents of a mapped solve are mapped
        vectors = OPS.at(0, vectors, over, SIZE)
        over = [0] * len(vectors)
    plan = mapped(OPS, way, (vectors, arrays), (over, dims), CORES, SIZE)
    found = plan.finish(derive(plan.way, forward, plan.vectors, plan.data))
    assert len(outputs) == 4
    for i in range(SIZE):
        chosen = at(arrays, dims, i)
        want = derive(way, solve(chosen)[0], at(vectors, over, i), chosen)
        for got, expected in zip(found, want, strict=True):
            assert got.shape[: plan.place] == expected.shape[: plan.place]
            np.testing.assert_allclose(np.take(got, i, plan.place), expected, atol=1e-6)


def test_what_is_not_mapped_stays_shared():
    arrays = data(DIMS[0])
    front = OPS.front(arrays, DIMS[0], CORES, SIZE)
    assert front[0] is arrays[0]
    own = OPS.front(arrays, DIMS[0], CORES, SIZE, own=True)
    assert own[0].shape == (SIZE, 3, 3)
