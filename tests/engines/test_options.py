from dataclasses import dataclass
from typing import ClassVar

import pytest

from lpgd import ClarabelEngine, DaqpEngine, HighsEngine, MoreauEngine, ScsEngine
from lpgd.engines.options import configure, named_engine

ENGINES = [DaqpEngine(), HighsEngine(), MoreauEngine(), ClarabelEngine(), ScsEngine()]
CVXPYLAYERS = {
    "eps": 1e-6,
    "max_iters": 77,
    "time_limit": 3.0,
    "verbose": True,
    "warm_start": True,
    "acceleration_lookback": 0,
    "mode": "dense",
    "n_jobs_forward": 1,
    "n_jobs_backward": 1,
    "derivative_kwargs": {},
    "use_indirect": False,
}


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_option_of_cvxpylayers_acts_or_is_theirs(engine):
    before = repr(engine)
    found, unused = configure(engine, CVXPYLAYERS)
    assert repr(engine) == before
    assert type(found) is type(engine)
    assert (found.iteration_limit, found.time_limit) == (77, 3.0)
    accuracy = {"daqp": "primal_tol", "highs": "tolerance"}.get(engine.name, "target")
    assert getattr(found, accuracy) == 1e-6
    assert unused == (() if hasattr(found, "verbose") else ("verbose",))
    assert configure(engine, {"verbose": False})[1] == ()


def test_methods_of_diffcp_that_are_no_engines_are_told():
    message = "solve_method='ECOS' is no engine of this library.*daqp.*scs.*; 'clarabel' solves"
    with pytest.warns(UserWarning, match=message):
        assert configure(ClarabelEngine(), {"solve_method": "ECOS"}) == (ClarabelEngine(), ())


@pytest.mark.parametrize("method", ["EOCS", 3, None])
def test_methods_that_nobody_knows_are_refused(method):
    with pytest.raises(ValueError, match=f"solve_method={method!r} is no engine; known ones: daqp"):
        configure(ScsEngine(), {"solve_method": method})


def test_a_method_that_is_another_engine_is_unused():
    assert configure(ScsEngine(), {"solve_method": "Clarabel"}) == (ScsEngine(), ("solve_method",))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_a_solve_method_may_name_the_engine(engine):
    for name in (engine.name, engine.name.upper(), engine.name.capitalize()):
        assert configure(engine, {"solve_method": name}) == (engine, ())
        assert named_engine({"solve_method": name}) == engine.name
    assert named_engine({"eps": 1e-3}) is None


def test_own_and_native_names():
    found, unused = configure(ClarabelEngine(), {"tol_gap_abs": 1e-6, "tol_feas": 1e-9})
    assert (found.target, found.tolerance, unused) == (1e-9, 1e-7, ())
    assert configure(HighsEngine(), {"presolve": "on", "output_flag": False})[0].presolve
    assert not configure(HighsEngine(), {"presolve": "off"})[0].presolve
    assert configure(MoreauEngine(), {"linear_solver": "faer"})[0].linear_solver == "faer"
    assert configure(DaqpEngine(), {"iter_limit": 5.0})[0].iteration_limit == 5


def test_options_of_diffcp_s_users():
    given = {"eps_abs": 1e-7, "eps_rel": 1e-8, "acceleration_lookback": 0, "n_jobs_forward": 2}
    found, unused = configure(ScsEngine(), {**given, "solve_method": "SCS"})
    assert (found.target, found.acceleration_lookback) == (1e-8, 0)
    assert unused == ()


def test_a_coarse_target_moves_what_is_accepted():
    found, _ = configure(MoreauEngine(), {"eps": 1e-3})
    assert (found.target, found.tolerance) == (1e-3, 1e-3)
    found, _ = configure(MoreauEngine(), {"eps": 1e-9, "tolerance": 1e-5})
    assert (found.target, found.tolerance) == (1e-9, 1e-5)


@pytest.mark.parametrize("limit", [None, float("inf"), 0])
def test_no_time_limit(limit):
    assert configure(DaqpEngine(time_limit=1.0), {"time_limit": limit})[0].time_limit == 0


@pytest.mark.parametrize("level, says", [(-1, False), (0, False), (False, False), (2, True)])
def test_levels_of_verbosity(level, says):
    assert configure(MoreauEngine(), {"verbose": level})[0].verbose is says


def test_unknown_names_are_refused_with_the_known_ones():
    message = "'daqp' knows no option 'epss', 'foo'.*primal_tol.*max_iters"
    with pytest.raises(ValueError, match=message):
        configure(DaqpEngine(), {"foo": 1, "eps": 1e-5, "epss": 1})


def test_values_are_checked_by_the_engine():
    with pytest.raises(ValueError, match="iteration_limit"):
        configure(DaqpEngine(), {"max_iters": 0.5})
    with pytest.raises(ValueError, match=r"primal_tol .*'eps' sets primal_tol"):
        configure(DaqpEngine(), {"eps": -1.0})
    with pytest.raises(ValueError, match=r"iteration_limit .*'max_iters' sets iteration_limit"):
        configure(DaqpEngine(), {"max_iters": -1})


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("name", ["eps", "max_iters", "time_limit"])
@pytest.mark.parametrize("value", [2.5, True, float("nan"), float("-inf"), -1])
def test_numbers_that_no_option_can_be_are_refused(engine, name, value):
    if (name, value) == ("time_limit", 2.5):
        return
    with pytest.raises(ValueError, match=name):
        configure(engine, {name: value})


@pytest.mark.parametrize("value", ["yes", None, [1]])
def test_flags_are_on_or_off(value):
    with pytest.raises(ValueError, match="'verbose' must be True or False"):
        configure(HighsEngine(), {"verbose": value})


@pytest.mark.parametrize("engine", [DaqpEngine(), HighsEngine(), ClarabelEngine()])
@pytest.mark.parametrize("name", ["eps", "max_iters", "time_limit"])
@pytest.mark.parametrize("value", ["1e-3", True, [1.0]])
def test_what_is_no_number_is_refused_by_name(engine, name, value):
    with pytest.raises(ValueError, match=f"'{name}' must be a number, got"):
        configure(engine, {name: value})


@pytest.mark.parametrize("engine", [DaqpEngine(), HighsEngine(), ClarabelEngine()])
def test_accuracy_and_iterations_are_not_none_and_iterations_are_whole(engine):
    for name in ("eps", "max_iters"):
        with pytest.raises(ValueError, match=f"'{name}' must be a number, got None"):
            configure(engine, {name: None})
    with pytest.raises(ValueError, match=r"'max_iters' .* must be an integer, got 2.5"):
        configure(engine, {"max_iters": 2.5})
    with pytest.raises(ValueError, match="tol"):
        configure(engine, {"eps": 1e6})


def test_engines_of_others_take_part():
    @dataclass(frozen=True)
    class Mine:
        tolerance: float = 1e-3
        name: ClassVar[str] = "mine"

    assert configure(Mine(), {"eps": 1e-8, "verbose": 2}) == (Mine(1e-8), ("verbose",))
