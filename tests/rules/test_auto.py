"""tau="auto": which tilt each element gets, and what its gradient is."""

import warnings

import numpy as np
import pytest

from lpgd import LPGD, DaqpEngine, Exact, StuckWarning
from lpgd.core.engine import Capabilities
from lpgd.core.params import batched, shared
from lpgd.families.conic.cones import Cones
from lpgd.families.conic.conic import Conic
from lpgd.families.qp.qp import QP
from lpgd.map.solution_map import SolutionMap
from lpgd.testing.planting import Shape, plant
from tests.maps import BOX, boxes, pull
from tests.support import assert_close, cotangent, groups, program
from tests.support import pull as gradients

SIDES = ("average", "lower", "upper")
LARGE, GROWTH, ROUNDS = QP.tilts[0], QP.tilts[1] / QP.tilts[0], len(QP.tilts)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("side", SIDES)
def test_strictly_convex_programs_get_their_derivative(seed, side):
    case = plant(Shape(6, 2, 4, ("lb", "ub")), np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    dx = rng.normal(size=6)
    dy = np.where(case.solution.y[0] != 0, rng.normal(size=case.problem.m), 0.0) * (seed % 2)
    expected = gradients(Exact(), case.problem, case.params, dx, dy)
    assert_close(gradients(LPGD(side=side), case.problem, case.params, dx, dy), expected)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("seed", range(3))
def test_constraints_of_an_lp_keep_their_derivative(seed, scale):
    """And its costs get another: that of a tilt as large as they are."""
    shape = Shape(6, 2, 3, ("lb", "ub"), quadratic=False)
    case = plant(shape, np.random.default_rng(seed))
    params = {**case.params, "q": batched(scale * case.params["q"].values)}
    dx = np.random.default_rng(seed).normal(size=6)
    found, expected = (gradients(r, case.problem, params, dx) for r in (LPGD(), Exact()))
    assert np.abs(expected.pop("q")).max() < 1e-9
    assert np.abs(found.pop("q")).max() > 1e-3 / scale
    assert_close(found, expected)


@pytest.mark.parametrize("seed", range(3))
def test_dual_losses_of_an_lp_get_their_derivative(seed):
    case = plant(Shape(6, 2, 3, ("lb", "ub"), quadratic=False), np.random.default_rng(seed))
    dy = np.where(
        case.solution.y[0] != 0, np.random.default_rng(seed).normal(size=case.problem.m), 0
    )
    found, expected = (gradients(r, case.problem, case.params, np.zeros(6), dy)
                       for r in (LPGD(), Exact()))  # fmt: skip
    for name in ("q", "A", "G"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6, err_msg=name)


def test_equations_that_depend_on_each_other_cost_no_solve():
    """min 1/2 ||x||^2 + x_0 - x_1, x_0 + x_1 = 1, written twice, ||x|| <= 9."""
    problem = Conic(2, Cones(zero=2, soc=(3,)))
    A = [[1.0, 1.0], [2.0, 2.0], [0.0, 0.0], [-1.0, 0.0], [0.0, -1.0]]
    data = {"P": np.eye(2), "q": [1.0, -1.0], "A": A, "b": [1.0, 2.0, 9.0, 0.0, 0.0]}
    found = SolutionMap(LPGD(), "clarabel")
    params = {name: shared(np.array(values), 1) for name, values in data.items()}
    pulled = pull(found, problem, params, [[1.0, 0.0]], wanted=["q"])
    np.testing.assert_allclose(pulled["q"], [[-0.5, 0.5]], atol=1e-7)
    assert (found.stats.re_solves, found.stats.unverified) == (0, 0)


def test_a_kink_with_curvature_needs_no_large_tilt():
    """min 1/2 x_0^2 + x_1 over x >= 0: x_0 moves to one side, and x_1 has no curvature."""
    problem, params = program(P=np.diag([1.0, 0.0]), q=[0.0, 1.0], lb=[0.0, 0.0])
    found = SolutionMap(LPGD(), "daqp")
    pulled = pull(found, problem, params, [[-1.0, 0.0]])
    np.testing.assert_allclose(pulled["q"], [[0.5, 0.0]], atol=1e-9)
    assert (found.stats.re_solves, found.stats.degenerate) == (2, 1)


def test_a_saturated_unit_has_gradient_zero_and_costs_no_solve():
    """A rectifier: min 1/2 x^2 + q x over x >= 0."""
    found = SolutionMap(LPGD(), "daqp")
    problem = QP.of({"P": 1, "lb": 1}, 1, {})
    params = {"P": shared(np.eye(1), 3), "q": batched(np.array([[1.0], [-2.0], [5.0]])),
              "lb": shared(np.zeros(1), 3)}  # fmt: skip
    pulled = pull(found, problem, params, [[-1.0], [-1.0], [1.0]])
    np.testing.assert_allclose(pulled["q"], [[0], [1], [0]], atol=1e-9)
    assert found.stats.re_solves == 0
    assert found.stats.degenerate == found.stats.unverified == 0
    assert found.stats.tau is None
    all_saturated = {**params, "q": batched(np.full((3, 1), 2.0))}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # rightly stuck: no warning
        assert not pull(found, problem, all_saturated, -np.ones((3, 1)))["q"].any()


def test_a_vertex_is_tilted_until_the_loss_improves():
    """min x over [0, 1]: the loss pulls x up by 1, 1/4 and 1/40 of the costs."""
    found = SolutionMap(LPGD(side="lower"), "daqp")
    problem = QP.of({"lb": 2, "ub": 2}, 2, {})
    costs = np.array([[1.0, 0.0], [4.0, 1.0], [100.0, 1.0]])
    params = {"q": batched(costs), "lb": shared(np.zeros(2), 3), "ub": shared(np.ones(2), 3)}
    pulled = pull(found, problem, params, [[-1.0, 0.0], [-1.0, -0.001], [-1e-3, 0.0]])
    assert (pulled["q"][:, 0] > 0).all()
    assert found.stats.degenerate == 1
    assert found.stats.re_solves == 3  # the large tilt serves at once


def test_a_vertex_is_tilted_for_its_costs_alone():
    """Without them nothing is solved, and the other data get the same gradients to the last bit."""
    problem, params = program(q=[1.0, 2.0], lb=[0.5, 0.0], ub=[1.0, 1.0])
    found, wanted = SolutionMap(LPGD(), "daqp"), groups(params)
    forward = found.solve(problem, params, (1,), keep=True)
    at = cotangent([[-1.0, 0.5]], m=4)
    everything = found.pullback(forward, at, wanted)
    assert found.stats.re_solves > 0
    assert found.stats.degenerate == 1
    solved = found.stats.re_solves
    some = found.pullback(forward, at, {name: wanted[name] for name in ("lb", "ub")})
    assert found.stats.re_solves == solved
    assert found.stats.degenerate == found.stats.unverified == 0
    assert found.stats.tau is None
    for name, gradient in some.items():
        np.testing.assert_array_equal(gradient, everything[name])
    assert some["lb"].any()


@pytest.mark.parametrize("side, pull_", [("lower", -1.0), ("upper", 1.0)])
def test_the_end_that_is_solved_for_has_to_move(side, pull_):
    """min x_0 + 2 x_1 over the unit square: the first large tilt moves x_0, and serves."""
    problem, params = program(q=[1.0, 2.0], lb=[0.0, 0.0], ub=[1.0, 1.0])
    found = SolutionMap(LPGD(side=side), "daqp")
    forward = found.solve(problem, params, (1,), keep=True)
    pulled = found.pullback(forward, cotangent([[pull_, 0.0]], m=4), groups(params))
    tau = LARGE * np.sqrt(5)
    np.testing.assert_allclose(found.stats.tau, [tau, tau])
    np.testing.assert_allclose(pulled["q"][0], [-pull_ / tau, 0])
    assert found.stats.re_solves == 1


def test_it_grows_by_factors_and_ends_at_the_optimum_of_the_loss():
    problem, params = program(q=[1.0, 100.0], lb=[0.0, 0.0], ub=[1.0, 1.0])
    found = SolutionMap(LPGD(side="lower"), "daqp")
    # x_1 has to overcome its cost of 100 with a pull of 1/4 beside one of 1 on an x_0 that stays
    forward = found.solve(problem, params, (1,), keep=True)
    pulled = found.pullback(forward, cotangent([[1.0, -0.2]], m=4), groups(params))
    tau = LARGE * np.hypot(1, 100) / np.hypot(1, 0.2) * GROWTH
    np.testing.assert_allclose(found.stats.tau, [tau, tau])
    np.testing.assert_allclose(pulled["q"][0], [0, 1 / tau])
    assert found.stats.re_solves == 2
    # nothing is better than x* for this loss, however large the tilt: no gradient, no warning
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pulled = found.pullback(forward, cotangent([[1.0, 1.0]], m=4), groups(params))
    assert not pulled["q"].any()
    assert found.stats.re_solves == 2 + ROUNDS


class Middle:
    """DAQP whose solutions lie in the middle of optimal faces of the unit square."""

    name, capabilities = "middle", Capabilities(frozenset({"QP", "LP"}))

    def solve(self, problem, params, *, start=None, **options):
        answer = DaqpEngine().solve(problem, params, start=start)
        answer.solution.x[params["q"].full() == 0] = 0.5
        return answer


@pytest.mark.parametrize("engine", [DaqpEngine(), Middle()], ids=["corner", "middle"])
def test_an_optimal_face_yields_no_explosion(engine):
    """min 0 over the unit square: the first tilt leaps to a corner."""
    pulled = pull(SolutionMap(LPGD(), engine), BOX, boxes([0, 1]), [[-1.0, 0.0]])
    assert 0 < np.abs(pulled["q"]).max() <= 1
    assert all(np.abs(gradient).max() <= 10 for gradient in pulled.values())


def test_costs_of_nothing_but_zeros():
    pulled = pull(SolutionMap(LPGD(), "daqp"), BOX, boxes([0, 0]), [[-1.0, 2.0]])
    assert np.isfinite(pulled["q"]).all()
    assert pulled["q"].any()


@pytest.mark.parametrize("engine", [DaqpEngine(), Middle()], ids=["corner", "middle"])
def test_rho_asks_for_one_large_tilt_of_all_data(engine):
    """At a vertex, and on an optimal face, where the proximal term has a derivative, too."""
    found = SolutionMap(LPGD(rho=0.1), engine)
    pulled = pull(found, BOX, boxes([1, 1], [2, 0]), [[-1.0, 0.0], [0.0, -1.0]])
    assert found.stats.re_solves == 4
    tau = LARGE * np.sqrt([2, 4])
    np.testing.assert_allclose(found.stats.tau, [tau[0], tau[1]])
    for i, (costs, dx) in enumerate((([1, 1], [-1.0, 0.0]), ([2, 0], [0.0, -1.0]))):
        want = pull(SolutionMap(LPGD(tau[i], 0.1), engine), BOX, boxes(costs), [dx])["q"][0]
        np.testing.assert_allclose(pulled["q"][i], want, atol=1e-12)


@pytest.mark.parametrize("quadratic", [False, True])
def test_mixed_programs(quadratic):
    """x_0 has curvature, x_1 none: both move where they can."""
    data = {"q": [-0.5, 1.0], "lb": [0.0, 0.0], "ub": [1.0, 1.0]}
    problem, params = program(P=np.diag([1.0 * quadratic, 0.0]), **data)
    found = gradients(LPGD(), problem, params, [0.0, -1.0])
    assert found["q"][1] > 0  # the vertex x_1 = 0 is left
    if quadratic:
        curved = gradients(LPGD(), problem, params, [-1.0, 0.0])
        np.testing.assert_allclose(curved["q"], [1, 0], atol=1e-8)


def test_curvature_found_on_the_way_takes_the_large_tilt_back():
    """min 1/2 z^2 + 2 w, z = w, w >= 0: P is singular, but not along the constraint."""
    problem, params = program(P=np.diag([0.0, 1.0]), q=[2.0, 0.0], A=[[1.0, -1.0]], b=[0.0],
                              lb=[0.0, -np.inf])  # fmt: skip
    found = SolutionMap(LPGD(), "daqp")
    forward = found.solve(problem, params, (1,), keep=True)
    pulled = found.pullback(forward, cotangent([[-1.0, 0.0]], m=problem.m), groups(params))
    np.testing.assert_allclose(pulled["q"], [[0, 0]], atol=1e-9)
    assert found.stats.degenerate == 0


def test_where_every_large_tilt_is_unbounded_the_first_one_counts():
    """min x_0 + x_1 over x >= 0: the derivative in lb is known, that in q is zero; it warns."""
    found = SolutionMap(LPGD(retries=0), "daqp")
    problem = QP.of({"lb": 2}, 2, {})
    params = {"q": shared(np.ones(2), 1), "lb": shared(np.zeros(2), 1)}
    with pytest.warns(StuckWarning):
        pulled = pull(found, problem, params, [[-1.0, 0.0]])
    np.testing.assert_allclose(pulled["lb"], [[-1, 0]], atol=1e-9)
    assert not pulled["q"].any()
    assert found.stats.failures == 0


def test_retries_find_a_tilt_between():
    """min x_0 + 2 x_1, x_0 + x_1 >= 1, x >= 0: leaps at 1, unbounded from 2 on, first tried: 6.7"""
    problem, params = program(q=[1.0, 2.0], G=[[-1.0, -1.0]], h=[-1.0], lb=[0.0, 0.0])
    found = SolutionMap(LPGD(side="lower"), "daqp")
    forward = found.solve(problem, params, (1,), keep=True)
    pulled = found.pullback(forward, cotangent([[0.0, -1.0]], m=problem.m), groups(params))
    tau = LARGE * np.sqrt(5) / 4
    np.testing.assert_allclose(found.stats.tau, [tau, tau])
    np.testing.assert_allclose(pulled["q"][0], [-1 / tau, 1 / tau])
    assert found.stats.retries == 1


def test_nothing_beyond_a_tilt_that_failed_is_tried():
    """min x_0 + x_1 over x >= 0 is unbounded from t = 1 on: 4.2 and 1.06 fail, 0.27 stays."""
    problem, params = program(q=[1.0, 1.0], lb=[0.0, 0.0])
    found = SolutionMap(LPGD(side="lower"), "daqp")
    with pytest.warns(StuckWarning):
        pulled = pull(found, problem, params, [[-1.0, 0.0]])
    assert not pulled["q"].any()
    assert (found.stats.re_solves, found.stats.retries) == (3, 2)


class Failing:
    """DAQP that fails in the backward pass."""

    name, capabilities = "failing", Capabilities(frozenset({"QP", "LP"}))

    def solve(self, problem, params, *, start=None, **options):
        answer = DaqpEngine().solve(problem, params, start=start)
        if start is not None:
            answer.solution.status[:] = 6
        return answer


def test_what_can_be_neither_derived_nor_verified_is_counted():
    """min 1/2 x^2 over x <= 0 is at a kink, which only tilts could tell from a smooth point."""
    problem, params = program(P=np.eye(1), q=[0.0], G=[[1.0]], h=[0.0])
    found = SolutionMap(LPGD(), Failing())
    pulled = pull(found, problem, params, [[1.0]])
    assert found.stats.unverified == found.stats.degenerate == 1
    assert np.isfinite(pulled["q"]).all()
    known = SolutionMap(LPGD(), "daqp")
    np.testing.assert_allclose(pull(known, problem, params, [[1.0]])["q"], [[-0.5]], atol=1e-9)
    assert (known.stats.unverified, known.stats.degenerate) == (0, 1)


def test_an_element_does_not_depend_on_its_batch():
    rng = np.random.default_rng(0)
    costs, dx = rng.normal(size=(2, 7, 2))
    dx *= 10.0 ** rng.integers(-6, 6, size=(7, 1))
    together = pull(SolutionMap(LPGD(), "daqp"), BOX, boxes(*costs), dx)["q"]
    for i in range(7):
        alone = pull(SolutionMap(LPGD(), "daqp"), BOX, boxes(costs[i]), dx[i : i + 1])["q"]
        np.testing.assert_array_equal(together[i], alone[0])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rho", [0.0, 0.1])
def test_scaling_the_loss_scales_the_gradient(side, rho):
    dx = np.array([[-1.0, 0.5], [0.3, 1.0]])
    one = pull(SolutionMap(LPGD(rho=rho, side=side), "daqp"), BOX, boxes([1, 2], [-1, 3]), dx)
    tiny = pull(
        SolutionMap(LPGD(rho=rho, side=side), "daqp"), BOX, boxes([1, 2], [-1, 3]), 1e-9 * dx
    )
    for name, gradient in one.items():
        np.testing.assert_allclose(1e9 * tiny[name], gradient, rtol=1e-6, atol=1e-7)


class Leaping:
    """DAQP that puts the multiplier of two equal rows on the one or the other, as the costs are."""

    name, capabilities = "leaping", Capabilities(frozenset({"QP", "LP"}))

    def solve(self, problem, params, *, start=None, **options):
        answer = DaqpEngine().solve(problem, params, start=start)
        two = problem.blocks["G"]
        total = answer.solution.y[:, two].sum(axis=1)
        answer.solution.y[:, two] = np.stack([total * (total <= 1), total * (total > 1)], axis=1)
        return answer


def test_where_multipliers_leap_the_large_tilt_serves_all_data():
    """min x over x >= 0, written twice, and x <= 1: at 3 times the costs x leaps to 1."""
    problem, params = program(q=[1.0], G=[[-1.0], [-1.0]], h=[0.0, 0.0], ub=[1.0])
    pulled = pull(SolutionMap(LPGD(), Leaping()), problem, params, [[-1.0]])
    np.testing.assert_allclose(pulled["q"], [[1 / (2 * LARGE)]])
    # the multipliers of both rows sum to 1 + LARGE at one end and vanish at the other
    np.testing.assert_allclose(pulled["h"].sum(), (1 + LARGE) / (2 * LARGE))
