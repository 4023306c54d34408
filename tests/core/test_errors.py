import pickle

import pytest

from lpgd.core import errors
from lpgd.core.errors import SolverError, word_failure
from lpgd.core.solution import Status


@pytest.mark.parametrize(
    "kind, parent",
    [
        (errors.StructureError, ValueError),
        (errors.EngineError, ValueError),
        (errors.MissingExtraError, ImportError),
        (errors.SolverError, RuntimeError),
    ],
)
def test_errors_are_ours_and_of_the_kind_that_python_knows(kind, parent):
    assert issubclass(kind, errors.LpgdError)
    assert issubclass(kind, parent)


@pytest.mark.parametrize("kind", [errors.SolverWarning, errors.StuckWarning])
def test_warnings_can_be_filtered(kind):
    assert issubclass(kind, UserWarning)


def test_a_solver_error_crosses_processes():
    error = SolverError("bad", [(0, 1), (2, 3)], [Status.INFEASIBLE, Status.UNBOUNDED])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is SolverError
    assert str(copy) == "bad"
    assert copy.indices == ((0, 1), (2, 3))
    assert copy.statuses == (Status.INFEASIBLE, Status.UNBOUNDED)


def test_wording_names_elements_reasons_and_remedies():
    failed = {3: Status.INFEASIBLE, 5: Status.INVALID}
    text = word_failure("daqp: forward solve", failed, 8, {5: "h has a NaN or -infinite entry"})
    assert text.startswith("daqp: forward solve: 2 of 8 elements failed (batch index 3: infeasible")
    assert "5: h has a NaN" in text
    assert Status.INFEASIBLE.advice in text
    assert Status.INVALID.advice in text


def test_wording_lists_five_elements_and_each_advice_once():
    text = word_failure("x", dict.fromkeys(range(7), Status.UNBOUNDED), 7, {})
    assert "4: unbounded, ...)" in text
    assert "5: unbounded" not in text
    assert text.count(Status.UNBOUNDED.advice) == 1


def test_wording_takes_other_advice():
    text = word_failure("x", {0: Status.UNBOUNDED}, 1, {}, "a smaller tau")
    assert text.endswith("Try: a smaller tau.")
