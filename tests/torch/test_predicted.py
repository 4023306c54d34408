"""Ends of a fixed tau that are read off the linearised conditions, and derivatives that are."""

import pytest
import torch
from torch.func import jacrev, jvp, vmap

import lpgd
from lpgd.families.qp.linearized import Linearized
from lpgd.torch import QPLayer

RULES = [lpgd.LPGD(), lpgd.LPGD(0.02), lpgd.LPGD(0.02, side="lower"), lpgd.LPGD(0.02, rho=0.1)]


def data(batch, n=9, m=12, seed=0):
    """Own P, q, G, h, lb and ub; some constraints are active."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    R = normal(*batch, n, n)
    P = R @ R.mT / n + torch.eye(n, dtype=torch.float64)
    h = torch.rand(*batch, m, generator=draw, dtype=torch.float64)
    return {"P": P, "q": 2 * normal(*batch, n), "G": normal(*batch, m, n), "h": h,
            "lb": -torch.rand(*batch, n, generator=draw, dtype=torch.float64),
            "ub": torch.full((*batch, n), 0.7, dtype=torch.float64)}  # fmt: skip


def gradients(given, rule=None, weight=None, **options):
    leaves = {name: value.detach().clone().requires_grad_() for name, value in given.items()}
    layer = QPLayer(rule, **options) if rule else QPLayer(**options)
    x = layer(**leaves)
    weight = torch.linspace(-1, 2, x.shape[-1], dtype=x.dtype) if weight is None else weight
    (x * weight).sum().backward()
    return {name: leaf.grad for name, leaf in leaves.items()}, layer.stats


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_company_order_layout_and_threads_change_no_bit(rule):
    given = data((7,))
    together, _ = gradients(given, rule)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    mixed, _ = gradients({k: v[order] for k, v in given.items()}, rule)
    turned, _ = gradients({k: v.mT.contiguous().mT if v.ndim == 3 else v for k, v in given.items()},
                          rule, threads=2)  # fmt: skip
    for i in range(7):
        alone, _ = gradients({k: v[i : i + 1] for k, v in given.items()}, rule)
        for name, gradient in together.items():
            assert torch.equal(alone[name][0], gradient[i]), name
    for name, gradient in together.items():
        assert torch.equal(mixed[name], gradient[order]), name
        assert torch.equal(turned[name], gradient), name


@pytest.mark.parametrize("rule", RULES[1:], ids=str)
def test_predicted_ends_are_those_of_the_solver(rule, monkeypatch):
    given = data((20,))
    predicted, stats = gradients(given, rule)
    monkeypatch.setattr(Linearized, "line", lambda self, cotangent, rho: None)
    solved, all_solved = gradients(given, rule)
    assert stats.re_solves < all_solved.re_solves == (20 if rule.side == "lower" else 40)
    for name, gradient in solved.items():
        torch.testing.assert_close(predicted[name], gradient, atol=1e-9, rtol=1e-8)


def test_a_tilt_within_reach_solves_nothing_and_one_beyond_does():
    given = {"P": torch.eye(1), "q": -torch.ones(1), "G": torch.ones(1, 1), "h": 2 * torch.ones(1)}
    for tau, solves in ((0.9, 0), (1.1, 2)):  # x = 1 reaches the bound 2 at t = -1
        _, stats = gradients(given, lpgd.LPGD(tau), torch.ones(1))
        assert stats.re_solves == solves


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.filterwarnings("ignore::lpgd.StuckWarning")  # some x_i is at a bound
def test_jacobians_are_rows_of_pullbacks(rule):
    given = {name: value[0] for name, value in data((1,), n=4, m=3).items()}
    layer = QPLayer(rule)

    def solve(q):
        return layer(**{**given, "q": q})

    jacobian = jacrev(solve)(given["q"])
    for i in range(4):
        row, _ = gradients(given, rule, torch.eye(4, dtype=torch.float64)[i])
        torch.testing.assert_close(jacobian[i], row["q"], atol=1e-12, rtol=1e-10)
    batch = vmap(jacrev(solve))(given["q"].expand(3, 4))
    assert torch.equal(batch, jacobian.expand(3, 4, 4))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of its torch.jit
def test_forward_and_reverse_mode_are_adjoint():
    given = {name: value[0] for name, value in data((1,)).items()}
    ways = {name: value[0] for name, value in data((1,), seed=3).items()}
    _, pushed = jvp(lambda *values: QPLayer()(**dict(zip(given, values, strict=True))),
                    tuple(given.values()), tuple(ways.values()))  # fmt: skip
    weight = torch.linspace(-1, 2, 9, dtype=torch.float64)
    pulled, _ = gradients(given)
    backward = sum((pulled[name] * ways[name]).sum() for name in given)
    torch.testing.assert_close((pushed * weight).sum(), backward, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_float32_failures_and_several_batch_dimensions(rule):
    given = data((2, 3))
    gradient, _ = gradients(given, rule)
    flat, _ = gradients({k: v.flatten(0, 1) for k, v in given.items()}, rule)
    single, _ = gradients({k: v.float() for k, v in given.items()}, rule)
    broken = {**given, "q": given["q"].clone()}
    broken["q"][1, 2, 0] = torch.nan
    with pytest.warns(lpgd.SolverWarning):
        rest, _ = gradients(broken, rule, on_failure="nan")
    for name in given:
        assert torch.equal(gradient[name].flatten(0, 1), flat[name]), name
        assert single[name].dtype == torch.float32
        assert not rest[name][1, 2].any()
        assert torch.equal(rest[name].flatten(0, 1)[:5], flat[name][:5]), name


@pytest.mark.parametrize(
    "side, n, solves", [("lower", 16, 0), ("lower", 18, 1), ("average", 26, 0), ("average", 28, 2)]
)
def test_dense_programs_that_daqp_re_solves_as_cheaply_are_not_predicted(side, n, solves):
    layer = QPLayer(lpgd.LPGD(1e-6, side=side))
    q = torch.linspace(-1, 1, n, dtype=torch.float64, requires_grad=True)
    eye = torch.eye(n, dtype=torch.float64)
    layer(eye, q, ub=torch.full((n,), 0.5, dtype=torch.float64)).sum().backward()
    assert layer.stats.re_solves == solves
    expected = torch.where(q < -0.5, 0.0, -1.0)
    torch.testing.assert_close(q.grad, expected.to(torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("side", ["average", "lower", "upper"])
@pytest.mark.parametrize("tau", [1e-300, 1e-20, 1e-12])
@pytest.mark.parametrize("m", [0, 12])
def test_a_tau_that_is_too_short_for_the_digits_of_x_gives_the_derivative(tau, side, m):
    """Entries of x that are zero would move, and no others."""
    given = {k: v for k, v in data((4,)).items() if m or k in "Pq"}
    expected, _ = gradients(given, lpgd.Exact())
    found, stats = gradients(given, lpgd.LPGD(tau, side=side))
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-8, rtol=1e-7)
    assert stats.re_solves == 0
