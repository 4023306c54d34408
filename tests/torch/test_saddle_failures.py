"""What goes wrong around a user's Lagrangian is named."""

import pytest
import torch

import lpgd
from lpgd.torch import NLPLayer, SaddleLayer

RULE = lpgd.LPGD(0.1)
ONE = torch.tensor([1.0, -2.0], dtype=torch.float64)
R = torch.tensor(2.0, dtype=torch.float64)


def ball(x, y, c, r):
    return c @ x + 0.5 * y * (x @ x - r**2)


def solve(params, tilt):
    c, r = tilt.cost(params[0]), params[1]
    return -r * c / c.norm(), c.norm() / r


def equal(x, y, c, r):  # <c, x> + 1/2 |x|^2 with sum(x) = r
    return c @ x + 0.5 * x @ x + y * (x.sum() - r)


def equal_solve(params, tilt):
    c, r = tilt.cost(params[0]), tilt.side(params[1])
    y = -(r + c.sum()) / 2
    return -c - y, y


def faults(lagrangian, procedure, **options):
    layer = SaddleLayer(lagrangian, procedure, RULE, check=True, **options)
    with pytest.raises(lpgd.SolverError) as caught:
        layer(ONE, R)
    return str(caught.value)


def test_what_is_right_passes():
    for lagrangian, procedure, signs in ((ball, solve, True), (equal, equal_solve, False)):
        layer = SaddleLayer(lagrangian, procedure, RULE, check=True, nonnegative=signs)
        c = ONE.clone().requires_grad_()
        layer(c, R)[0].backward()
        assert torch.isfinite(c.grad).all()


def test_the_other_sign_convention_is_named():
    text = faults(equal, lambda p, t: (equal_solve(p, t)[0], -equal_solve(p, t)[1]))
    assert "y of solve has the other sign convention" in text
    assert "with -y the point is stationary" in text


def test_the_part_with_the_other_sign_is_named():
    def two(x, y, c, r):
        return ball(x, y["ball"], c, r) + y["line"] * x.sum()

    def both(params, tilt):
        c, r = tilt.cost(params[0]), params[1]
        line = -c.mean()
        x = -(c + line)
        return r * x / x.norm(), {"ball": x.norm() / r, "line": -line}

    text = faults(two, both, nonnegative={"ball": True, "line": False})
    assert "with -y['line'] the point is stationary" in text


def test_a_missing_term_is_named():
    text = faults(lambda x, y, c, r: c @ x, lambda p, t: solve(p, t)[0])
    assert "not stationary in x" in text
    assert "lacks a constraint" in text


def test_a_violated_equality_is_named():
    def off(params, tilt):
        c, r = params
        y = -(0.5 * r + c.sum()) / 2
        return -c - y, y

    assert "dL/dy is not zero" in faults(equal, off)


def test_an_inequality_with_its_sides_exchanged_is_named():
    text = faults(
        lambda x, y, c, r: c @ x + 0.5 * x @ x + y * (x.sum() + 10 * r),
        lambda p, t: (-p[0], torch.zeros((), dtype=torch.float64)),
        nonnegative=True,
    )
    assert "has its other side (write g(x) <= 0 as + y g)" in text


def test_inequalities_that_nobody_declared_are_named():
    def slack(x, y, c, r):
        return c @ x + 0.5 * x @ x + y * (x.sum() - 100 * r)

    def inside(params, tilt):
        return -tilt.cost(params[0]), torch.zeros((), dtype=torch.float64)

    assert "nonnegative= must say so" in faults(slack, inside)
    SaddleLayer(slack, inside, RULE, check=True, nonnegative=True)(ONE, R)


def test_a_negative_multiplier_is_named():
    def negative(x, y, c, r):
        return c @ x + 0.5 * x @ x + y * (x.sum() - r)

    text = faults(negative, lambda p, t: equal_solve(p, t), nonnegative=True)
    assert "multipliers of inequalities are >= 0" in text


def test_a_value_of_the_other_sign_is_named():
    def valued(params, tilt):
        x, y = solve(params, tilt)
        return x, y, -tilt.objective(lambda at: params[0] @ at)(x)

    text = faults(ball, valued, nonnegative=True)
    assert "a maximum of f is the minimum of -f" in text


def test_a_procedure_that_forgets_the_tilt_is_caught_in_backward():
    layer = SaddleLayer(ball, lambda p, t: solve(p, _Untilted()), RULE, check=True)
    c = ONE.clone().requires_grad_()
    with pytest.raises(lpgd.SolverError, match="tilted solve") as caught:
        layer(c, R)[0].backward()
    assert "solve leaves the tilt out" in str(caught.value.__cause__)


class _Untilted:
    def cost(self, q):
        return q


def test_one_element_that_raises_costs_itself():
    def picky(params, tilt):
        if float(params[0][0]) < 0:
            raise ArithmeticError("negative")
        return solve(params, tilt)

    c = torch.tensor([[1.0, 2.0], [-1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    layer = SaddleLayer(ball, picky, RULE, ranks=(1, 0), on_failure="nan")
    with pytest.warns(lpgd.SolverWarning, match="solve raised ArithmeticError: negative"):
        x = layer(c, R)
    assert x[1].isnan().all()
    x[0].sum().backward()
    assert c.grad[0].any()
    assert not c.grad[1].any()
    with pytest.raises(lpgd.SolverError, match="1 of 2 elements failed") as caught:
        SaddleLayer(ball, picky, RULE, ranks=(1, 0))(c, R)
    assert isinstance(caught.value.__cause__, ArithmeticError)


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda x, y: (x[:1], y), "x as returned by solve must have shapes"),
        (lambda x, y: (x * torch.nan, y), "NaN or infinite entry"),
        (lambda x, y: None, "must return x"),
    ],
)
def test_answers_of_another_kind_are_named(answer, message):
    layer = SaddleLayer(ball, lambda p, t: answer(*solve(p, t)), RULE, like=(ONE, R))
    with pytest.raises(lpgd.SolverError, match=message):
        layer(ONE, R)


def test_arguments_are_checked():
    layer = SaddleLayer(ball, solve, RULE, ranks=(1, 0))
    with pytest.raises(lpgd.StructureError, match=r"params\[1\] must be a torch.Tensor, got float"):
        layer(ONE, 2.0)
    with pytest.raises(lpgd.StructureError, match="do not broadcast"):
        layer(ONE.expand(3, 2), R.expand(4))
    with pytest.raises(lpgd.StructureError, match="names 2 parameters, got 1"):
        layer(ONE)
    with pytest.raises(lpgd.StructureError, match="at least one parameter"):
        SaddleLayer(ball, solve, RULE)()
    with pytest.raises(ValueError, match="nonnegative must be a bool or a tree like y"):
        SaddleLayer(ball, solve, RULE, nonnegative={"a": True})(ONE, R)
    with pytest.raises(lpgd.SolverError, match=r"params\[0\] has a NaN"):
        layer(ONE * torch.nan, R)
    with pytest.raises(TypeError, match="lagrangian must be callable"):
        SaddleLayer(3, solve, RULE)
    x = SaddleLayer(lambda x, y, c, r: c * x, solve, RULE)(ONE.clone().requires_grad_(), R)
    with pytest.raises(TypeError, match="must return a scalar tensor"):
        x.sum().backward()


@pytest.mark.parametrize("rule", [None, lpgd.Exact()])
def test_second_derivatives_are_asked_for(rule):
    with pytest.raises(lpgd.EngineError, match="linearize=True"):
        SaddleLayer(ball, solve, rule)


def test_what_is_not_stationary_is_inaccurate_where_it_matters():
    layer = SaddleLayer(lambda x, y, c, r: c @ x, lambda p, t: solve(p, t)[0], linearize=True)
    with pytest.raises(lpgd.SolverError, match="no saddle point of the Lagrangian"):
        layer(ONE, R)


class TestCaptured:
    """What a function uses beside its parameters gets no gradient, and must not want one."""

    def test_a_tensor_that_wants_a_gradient_is_refused(self):
        weight, c = torch.tensor(2.0, dtype=torch.float64, requires_grad=True), ONE.clone()

        def lagrangian(x, y, c):
            return c @ x + 0.5 * weight.exp() * x @ x

        def solve(params, tilt):
            return -tilt.cost(params[0]) / weight.detach().exp()

        x = SaddleLayer(lagrangian, solve, RULE)(c.requires_grad_())
        with pytest.raises(lpgd.StructureError, match=r"is no parameter.*Pass it as a parameter"):
            x.sum().backward()
        weight.requires_grad_(False)
        x.sum().backward()
        torch.testing.assert_close(c.grad, -torch.ones(2).double() / weight.exp())

    def test_a_module_in_a_program_is_refused(self):
        module = torch.nn.Linear(2, 1).double()

        def f(x, p):
            return (x - p).square().sum() + module(x).square().sum()

        x = NLPLayer(f, 2, engine="slsqp")(ONE.clone().requires_grad_())
        with pytest.raises(lpgd.StructureError, match="is no parameter"):
            x.sum().backward()


def test_complex_numbers_are_refused():
    def answer(params, tilt):
        x, y = solve(params, tilt)
        return x + 1j, y

    with pytest.raises(lpgd.StructureError, match="real numbers, got complex"):
        SaddleLayer(ball, answer, RULE)(ONE, R)
    x = SaddleLayer(lambda *given: ball(*given) + 0j, solve, RULE)(ONE.clone().requires_grad_(), R)
    with pytest.raises(TypeError, match=r"real scalar, got torch\.complex128"):
        x.sum().backward()


@pytest.mark.parametrize("mask", ["yes", torch.tensor([True, False])])
def test_masks_of_signs_are_checked(mask):
    with pytest.raises(ValueError, match=r"mask of shape \(\) for y"):
        SaddleLayer(ball, solve, RULE, nonnegative=mask)(ONE, R)


@pytest.mark.parametrize("f", [lambda x, p: x * p, lambda x, p: 1.0, lambda x, p: x @ p + 0j])
def test_objectives_are_real_scalars(f):
    with pytest.raises(lpgd.LpgdError, match=r"f must return a (real )?scalar"):
        NLPLayer(f, 2, engine="slsqp")(ONE)


def test_answers_that_are_no_numbers_are_named():
    layer = SaddleLayer(lambda x, y, p: ((x - p) ** 2).sum(), lambda p, t: "abc", lpgd.LPGD(0.1))
    with pytest.raises(lpgd.StructureError, match="solve must return numbers, got"):
        layer(torch.ones(3))


@pytest.mark.parametrize("name", ["linearize", "together", "check"])
def test_options_are_true_or_false(name):
    with pytest.raises(ValueError, match=f"{name} must be True or False, got 'x'"):
        SaddleLayer(lambda x, y, p: x.sum(), lambda p, t: p, lpgd.LPGD(0.1), **{name: "x"})
