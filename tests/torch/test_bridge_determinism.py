"""Answers are functions of the element alone, bit by bit, also where solutions are not unique."""

import gc
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import lpgd
from lpgd.engines.daqp import engine as _daqp
from lpgd.engines.highs import sweep as _highs
from lpgd.torch import LPLayer, QPLayer
from tests.torch.programs import assignment_lp, box_lp, leaves, random_qp

SIZE = 24


def tied_qp():
    """Strictly convex QPs with duplicate rows: x is unique, the multipliers are not."""
    P, q, G, h = random_qp(SIZE, m=8)
    return {"P": P, "q": 3 * q, "G": torch.cat([G[0], G[0]]), "h": torch.cat([h, h], 1)}


def flat_qp():
    """QPs with a singular Hessian over a box: whole faces are optimal."""
    lp = box_lp(SIZE)
    P = torch.zeros(7, 7, dtype=torch.float64)
    P[0, 0] = P[3, 3] = 1.0
    return {"P": P, "q": lp.pop("c"), **lp}


CASES = {
    "assignment, daqp": (LPLayer, lpgd.LPGD(0.5), "daqp", lambda: assignment_lp(SIZE)),
    "assignment, highs": (LPLayer, lpgd.LPGD(0.5), "highs", lambda: assignment_lp(SIZE)),
    "assignment, rho": (LPLayer, lpgd.LPGD(0.5, 0.3), "daqp", lambda: assignment_lp(SIZE)),
    "box, daqp": (LPLayer, lpgd.LPGD(0.5, side="lower"), "daqp", lambda: box_lp(SIZE)),
    "box, highs": (LPLayer, lpgd.LPGD(0.5, side="upper"), "highs", lambda: box_lp(SIZE)),
    "box, Exact": (LPLayer, lpgd.Exact(), "daqp", lambda: box_lp(SIZE)),
    "duplicate rows": (QPLayer, lpgd.LPGD(0.5), "daqp", tied_qp),
    "duplicate rows, rho": (QPLayer, lpgd.LPGD(0.5, 0.3), "daqp", tied_qp),
    "flat QP": (QPLayer, lpgd.LPGD(0.5), "daqp", flat_qp),
}
cases = pytest.mark.parametrize("case", CASES)


def made(case, **options):
    make, rule, engine, program = CASES[case]
    return make(rule, engine, **options), program()


def batched(data):
    """Names of the arguments with a batch dimension."""
    return [name for name in data if name in ("q", "c", "b", "h")]


def weight():
    return torch.randn(SIZE, 16, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def run(layer, data, weight):
    """Solution, multipliers and the gradients of batched data, after a loss on x and z_box."""
    data = leaves(data)
    solution = layer(**data, return_duals=True)
    weight = weight[:, : solution.x.shape[1]]
    wanted = [data[name] for name in batched(data)]
    loss = (weight * solution.x).sum() + 0.01 * (weight.flip(1) * solution.z_box).sum()
    return [t.detach() for t in solution] + list(torch.autograd.grad(loss, wanted))


def take(data, rows):
    return {name: value[rows] if name in batched(data) else value for name, value in data.items()}


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@cases
def test_order_of_the_batch(case):
    layer, data = made(case)
    rows = torch.randperm(SIZE, generator=torch.Generator().manual_seed(1))
    straight, permuted = run(layer, data, weight()), run(layer, take(data, rows), weight()[rows])
    assert straight[-1].any()
    assert same([t[rows] for t in straight], permuted)


@cases
def test_chunks_of_the_batch(case):
    layer, data = made(case)
    chunks = torch.arange(SIZE).split(5)
    parts = [run(layer, take(data, rows), weight()[rows]) for rows in chunks]
    assert same(run(layer, data, weight()), [torch.cat(part) for part in zip(*parts, strict=True)])


@cases
def test_one_and_two_threads(case, monkeypatch):
    used = []

    def as_asked(threads, *_):  # however small the elements, however few the processors
        used.append(threads)
        return threads

    for engine in (_daqp, _highs):
        monkeypatch.setattr(engine, "useful_threads", as_asked)
    (one, data), (two, _) = made(case, threads=1), made(case, threads=2)
    assert same(run(one, data, weight()), run(two, data, weight()))
    assert set(used) == {1, 2}


@cases
def test_one_layer_in_two_threads_at_once(case):
    layer, data = made(case)
    expected = run(layer, data, weight())
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: run(layer, data, weight()), range(6)))
    assert all(same(expected, answer) for answer in answers)
    assert layer.stats.solves == 7 * SIZE


@cases
def test_one_graph_in_two_threads_at_once(case):
    layer, data = made(case)
    data = leaves(data)
    x = layer(**data)
    wanted = [data[name] for name in batched(data)]
    w = weight()[:, : x.shape[1]]

    def pull(sign):
        return torch.autograd.grad((sign * w * x).sum(), wanted, retain_graph=True)

    expected = {sign: pull(sign) for sign in (1.0, -1.0)}
    with ThreadPoolExecutor(2) as pool:
        for sign, answer in zip([1.0, -1.0] * 3, pool.map(pull, [1.0, -1.0] * 3), strict=True):
            assert same(expected[sign], answer)


@cases
def test_backward_twice_and_after_other_tilts(case):
    """The upper side of a cotangent is the lower side of its negative: neither order matters."""
    layer, data = made(case)
    data = leaves(data)
    wanted = [data[name] for name in batched(data)]

    def pulled(order):
        x = layer(**data)
        loss = (weight()[:, : x.shape[1]] * x).sum()
        back = {s: torch.autograd.grad(s * loss, wanted, retain_graph=True) for s in order}
        again = torch.autograd.grad(loss, wanted)
        assert same(again, back[1.0])
        return back

    one, other = pulled([1.0, -1.0, 0.3]), pulled([0.3, -1.0, 1.0])
    assert all(same(one[step], other[step]) for step in one)


@cases
def test_a_second_layer_and_a_second_call(case):
    (one, data), (two, _) = made(case), made(case)
    expected = run(one, data, weight())
    assert same(expected, run(one, data, weight()))
    assert same(expected, run(two, data, weight()))


MEMORY = """
    import gc, os, warnings
    import torch, lpgd
    from lpgd.torch import LPLayer, QPLayer
    from tests.torch.programs import assignment_lp, leaves, random_qp
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    qp, lp = leaves(dict(zip("PqGh", random_qp(2, n=10, m=20)))), leaves(assignment_lp(2))
    layers = [(QPLayer(lpgd.LPGD(0.1)), qp), (QPLayer(lpgd.LPGD(0.1, 0.1)), qp),
              (LPLayer(lpgd.LPGD(0.1), "daqp"), lp), (LPLayer(lpgd.LPGD(0.1), "highs"), lp)]
    def resident():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    def calls(count):
        for k in range(count):
            layer, data = layers[k % len(layers)]
            layer(**data).square().sum().backward()
            for leaf in data.values():
                leaf.grad = None
    calls({warm_up})
    before = resident()
    calls({count})
    print(before, resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_stays_flat():
    script = textwrap.dedent(MEMORY).replace("{warm_up}", "200").replace("{count}", "1000")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert after <= 1.05 * before


def test_nothing_of_a_call_outlives_it():
    """Objects alive after many calls are as many as after few."""
    P, q, G, h = random_qp(3)
    layer = QPLayer(lpgd.LPGD(0.1))

    def calls(count):
        for _ in range(count):
            layer(P, q.clone().requires_grad_(), G, h).sum().backward()
        gc.collect()
        return len(gc.get_objects())

    calls(20)
    few = calls(5)
    assert abs(calls(100) - few) < 50
