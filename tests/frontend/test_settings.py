"""Options of CvxpyLayer's engine: at construction, for a call, by cvxpylayers' names."""

import warnings
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
import torch

import lpgd
from lpgd.torch import CvxpyLayer


def program():
    x, q = cp.Variable(3), cp.Parameter(3)
    return cp.Problem(cp.Minimize(q @ x), [cp.norm(x) <= 1]), [q], [x]


def flat_program():
    x, q = cp.Variable(3), cp.Parameter(3)
    return cp.Problem(cp.Minimize(cp.sum_squares(x) + q @ x), [x <= 0.5]), [q], [x]


Q = torch.tensor([1.0, 2.0, -2.0], dtype=torch.float64)


def limited(layer, **args):
    with pytest.raises(lpgd.SolverError, match="iteration limit"):
        layer(Q, **args)


def test_options_of_a_call_come_before_those_of_the_layer():
    layer = CvxpyLayer(*program(), solver="clarabel", solver_args={"max_iters": 2})
    limited(layer)
    (found,) = layer(Q, solver_args={"max_iters": 100})
    torch.testing.assert_close(found, -Q / 3, atol=1e-5, rtol=0)
    limited(layer, solver_args={"eps": 1e-9})
    limited(layer)


def test_accuracy_is_what_eps_says():
    layer = CvxpyLayer(*program(), solver="clarabel", solver_args={"eps": 1e-4})
    engines = [layer._settings.of(args).map.engine for args in (None, {"eps": 1e-9}, {})]
    assert [engine.target for engine in engines] == [1e-4, 1e-9, 1e-4]


def test_settings_of_moreau_may_be_nested():
    nested = {"max_iter": 300, "ipm_settings": {"tol_gap_abs": 1e-9, "tol_feas": 1e-10}}
    layer = CvxpyLayer(*program(), solver="MOREAU", solver_args=nested)
    engine = layer._settings.of({"max_iter": 200}).map.engine
    assert (engine.target, engine.iteration_limit) == (1e-10, 200)


def test_ever_new_options_do_not_pile_up():
    layer = CvxpyLayer(*program())
    settings = [layer._settings.of({"eps": 1e-4 / (1 + i)}) for i in range(100)]
    assert len({setting.map.engine.target for setting in settings}) == 100
    assert len(layer._settings.made) <= 32


def test_statistics_are_those_of_the_layer():
    layer = CvxpyLayer(*program())
    layer(Q)
    layer(Q, solver_args={"eps": 1e-9})
    assert layer.stats.solves == 2


def test_ignored_options_are_told_once_where_they_are_written():
    layer = CvxpyLayer(*flat_program(), solver="daqp")
    with pytest.warns(UserWarning, match="no use for the option 'direct_solve_method'") as told:
        layer(Q, solver_args={"direct_solve_method": "faer"})
    assert [Path(warning.filename) for warning in told] == [Path(__file__)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(Q, solver_args={"direct_solve_method": "faer"})
        layer(Q, solver_args={"direct_solve_method": "qdldl"})


@pytest.mark.parametrize("solver", ["daqp", "clarabel", "scs"])
def test_options_of_cvxpylayers_that_change_no_answer_are_accepted_in_silence(solver):
    theirs = {"n_jobs_forward": 1, "n_jobs_backward": 1, "acceleration_lookback": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = CvxpyLayer(*flat_program(), solver=solver, solver_args=theirs)
        layer(Q, solver_args=theirs)


def test_options_are_a_dict():
    with pytest.raises(TypeError, match="solver_args must be a dict of options, got 3"):
        CvxpyLayer(*program(), solver_args=3)
    layer = CvxpyLayer(*program())
    with pytest.raises(TypeError, match="solver_args must be a dict of options, got 'eps'"):
        layer(Q, solver_args="eps")
    with pytest.raises(TypeError, match="ipm_settings must be a dict of options, got 1"):
        layer(Q, solver_args={"ipm_settings": 1})


def test_unknown_options_raise():
    with pytest.raises(ValueError, match="knows no option 'epsilon'"):
        CvxpyLayer(*program(), solver_args={"epsilon": 1e-3})
    layer = CvxpyLayer(*program())
    with pytest.raises(ValueError, match="knows no option 'epsilon'"):
        layer(Q, solver_args={"epsilon": 1e-3})


@pytest.mark.parametrize("solver", [None, "DIFFCP"])
@pytest.mark.parametrize("where", ["layer", "call"])
def test_a_method_of_diffcp_names_an_engine(solver, where):
    args = {"solve_method": "Clarabel", "max_iters": 2}
    layer = CvxpyLayer(*program(), solver=solver, solver_args=args if where == "layer" else None)
    with pytest.raises(lpgd.SolverError, match=r"^clarabel: .*iteration limit"):
        layer(Q, solver_args=args if where == "call" else None)


def test_a_named_engine_stays_and_says_so():
    with pytest.warns(UserWarning, match="'moreau' has no use for the option 'solve_method'"):
        CvxpyLayer(*program(), solver="moreau", solver_args={"solve_method": "Clarabel"})


def test_verbose_solvers_report(capfd):
    CvxpyLayer(*program(), solver="clarabel", verbose=True)(Q)
    assert "Clarabel" in capfd.readouterr().out


def test_options_of_an_engine_instance_are_kept():
    layer = CvxpyLayer(*flat_program(), solver=lpgd.DaqpEngine(iteration_limit=1))
    limited(layer, solver_args={"eps": 1e-9})
    np.testing.assert_allclose(layer(-Q / 10, solver_args={"max_iters": 100})[0], Q / 20)


class Plain:
    """An engine of someone else's, which is no dataclass."""

    name, inner = "plain", lpgd.DaqpEngine()
    capabilities = inner.capabilities

    def solve(self, *arguments, **options):
        return self.inner.solve(*arguments, **options)


def test_engines_need_not_be_dataclasses():
    layer = CvxpyLayer(*flat_program(), solver=Plain())
    np.testing.assert_allclose(layer(-Q / 10)[0], Q / 20)
    with pytest.raises(ValueError, match="engine 'plain' knows no option 'primal_tol'"):
        layer(Q, solver_args={"primal_tol": 1e-9})
