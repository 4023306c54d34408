"""Promised: solvers and their options, warm starts, and what cvxpylayers' own README shows."""

import importlib.metadata
import re

import cvxpy as cp
import numpy as np
import pytest
import torch

from lpgd import SolverError
from tests.torch.promised import ACCURATE, PEER, CvxpyLayer, tensor

# that an option is of no use to the solver at hand is said once
pytestmark = pytest.mark.filterwarnings("ignore:engine .*(mode|acceleration_lookback)':UserWarning")

TARGET = np.array([2.0, 0.5, -1.0])


def ball(**options):
    """The point of the unit ball next to TARGET."""
    x, p = cp.Variable(3), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [cp.norm(x) <= 1])
    return CvxpyLayer(problem, [p], [x], **options)


def error(found: tuple[torch.Tensor, ...]) -> float:
    """Distance from the answer."""
    return float(np.abs(found[0].detach().numpy() - TARGET / np.linalg.norm(TARGET)).max())


def unsolved(layer, **options) -> bool:
    """Whether the solver stopped early: cvxpylayers then answers anyway, this library raises."""
    try:
        return error(layer(tensor(TARGET), **options)) > 1e-4
    except SolverError:
        return True


@pytest.mark.parametrize("where", ["constructor", "call"])
def test_eps_and_max_iters_reach_the_solver(where: str) -> None:
    at = tensor(TARGET)
    tight = {"solver_args": {"solve_method": "SCS", "eps": 1e-9}}
    short = {"solver_args": {"solve_method": "SCS", "max_iters": 1}}
    if where == "constructor":
        assert error(ball(**tight)(at)) < 1e-6
        assert unsolved(ball(**short))
    else:
        assert error(ball()(at, **tight)) < 1e-6
        assert unsolved(ball(), **short)


def test_options_of_a_call_override_those_of_the_layer() -> None:
    layer = ball(solver_args={"solve_method": "SCS", "max_iters": 1})
    assert unsolved(layer)
    assert not unsolved(layer, solver_args={"max_iters": 10_000})
    assert unsolved(layer)  # for that call only


@pytest.mark.parametrize("first, second", [(cp.CLARABEL, cp.SCS), (cp.SCS, cp.CLARABEL)])
def test_solve_method_names_the_solver(first: str, second: str) -> None:
    layer = ball(solver_args={"solve_method": first})
    at = tensor(TARGET)
    assert error(layer(at)) < 1e-3
    assert error(layer(at, solver_args={"solve_method": second})) < 1e-3


def test_options_recommended_for_scs() -> None:
    at = tensor(TARGET)
    options = {"eps": 1e-8, "max_iters": 10000, "acceleration_lookback": 0}
    found = ball()(at, solver_args=options)
    found[0].sum().backward()
    assert error(found) < 1e-5
    assert torch.isfinite(at.grad).all()


def test_options_recommended_for_moreau() -> None:
    options = {"max_iter": 300, "ipm_settings": {"tol_gap_abs": 1e-9, "tol_feas": 1e-9}}
    x, p = cp.Variable(3), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [cp.sum(x) == 1])
    layer = CvxpyLayer(problem, [p], [x], solver="MOREAU", solver_args=options)
    (found,) = layer(tensor(TARGET), solver_args={"max_iter": 200})
    np.testing.assert_allclose(found.detach(), TARGET - 0.5 / 3, atol=1e-5)


@pytest.mark.parametrize("mode", ["dense", "lsmr"])
def test_mode_of_the_derivative_does_not_change_it(mode: str) -> None:
    at = tensor(TARGET)
    (found,) = ball(solver_args={"eps": 1e-9, "mode": mode})(at)
    found[0].backward()
    size = np.linalg.norm(TARGET)
    expected = (np.eye(3)[0] - TARGET * TARGET[0] / size**2) / size
    np.testing.assert_allclose(at.grad, expected, atol=1e-4)


@pytest.mark.parametrize("name", [None, "DIFFCP", "MOREAU"])
def test_solvers_by_name(name: str | None) -> None:
    x, p = cp.Variable(3), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [cp.sum(x) == 1])
    at = tensor(TARGET)
    (found,) = CvxpyLayer(problem, [p], [x], solver=name)(at)
    found[0].backward()
    np.testing.assert_allclose(found.detach(), TARGET - 0.5 / 3, atol=1e-3)
    np.testing.assert_allclose(at.grad, [2 / 3, -1 / 3, -1 / 3], atol=1e-3)


@pytest.mark.skipif(PEER, reason="cvxpylayers 1.2.0 documents these names and refuses them")
@pytest.mark.parametrize("name", [cp.CLARABEL, cp.SCS])
def test_solvers_by_the_name_that_cvxpy_gives_them(name: str) -> None:
    at = tensor(TARGET)
    found = ball(solver=name)(at)
    found[0].sum().backward()
    assert error(found) < 1e-4
    assert torch.isfinite(at.grad).all()


@pytest.mark.parametrize("backend", [None, "CPP", "SCIPY", "COO"])
def test_backends_of_the_canonicalization(backend: str | None) -> None:
    assert error(ball(canon_backend=backend, **ACCURATE)(tensor(TARGET))) < 1e-5


def test_solvers_talk_when_they_are_asked_to(capfd: pytest.CaptureFixture[str]) -> None:
    for verbose in (False, True):
        ball(verbose=verbose, solver_args={"solve_method": "SCS"})(tensor(TARGET))
        printed = "".join(capfd.readouterr())
        assert bool(printed.strip()) == verbose


def test_warm_start_gives_the_same_answers() -> None:
    x, p = cp.Variable(3), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [cp.sum(x) == 1])
    layer = CvxpyLayer(problem, [p], [x], solver="MOREAU")
    for shift in (0.0, 0.01, 0.02):
        for shape in ((), (4,), (2,)):  # another batch size starts cold
            at = (torch.tensor(TARGET) + shift).expand(*shape, 3).clone().requires_grad_()
            (found,) = layer(at, warm_start=True)
            found.sum(0).sum().backward() if shape else found.sum().backward()
            expected = at - (at.sum(-1, keepdim=True) - 1) / 3
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(at.grad, torch.zeros_like(at), rtol=0, atol=1e-5)


def test_warm_start_is_for_moreau() -> None:
    with pytest.raises(ValueError, match="warm_start=True is only supported with solver='MOREAU'"):
        ball(solver="DIFFCP")(tensor(TARGET), warm_start=True)


def examples_of_the_readme() -> list[str]:
    """The PyTorch examples of the installed cvxpylayers' README that run on a processor."""
    try:
        text = importlib.metadata.metadata("cvxpylayers").get_payload()
    except importlib.metadata.PackageNotFoundError:
        return []
    blocks = re.findall(r"^```python\n(.*?)^```", str(text), re.MULTILINE | re.DOTALL)
    return [b for b in blocks if "import torch" in b and "cuda" not in b]


@pytest.mark.parametrize("number", range(3))
def test_examples_of_the_readme_run_unchanged(number: int) -> None:
    """But for the import."""
    examples = examples_of_the_readme()
    if not examples:
        pytest.skip("reads the README of cvxpylayers, which is not installed")
    assert len(examples) == 3
    theirs, ours = "from cvxpylayers.torch import", "from lpgd.torch import"
    assert theirs in examples[number]
    code = examples[number] if PEER else examples[number].replace(theirs, ours)
    torch.manual_seed(0)
    exec(compile(code, "README of cvxpylayers", "exec"), {})
