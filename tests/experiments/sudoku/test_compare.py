import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
from rich.console import Console

from lpgd.experiments.comparison import Effort, compare
from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.sudoku.compare import Study
from lpgd.experiments.sudoku.methods import METHODS

from ..inline import InlinePool

STUDY = Study(train_size=40, test_size=10, tuning_epochs=2)
EFFORT = Effort(seeds=2, max_epochs=2)
METHOD = replace(METHODS[0], taus=(1e4,))
QUIET = Console(quiet=True)


@pytest.fixture(scope="module", autouse=True)
def _no_processes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "lpgd.experiments.comparison.job_pool", lambda _jobs: nullcontext(InlinePool())
        )
        yield


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    out = tmp_path_factory.mktemp("compare")
    return out, compare(STUDY, [METHOD], EFFORT, out, QUIET)


def test_every_candidate_and_seed_leaves_a_result(compared):
    out, (final,) = compared
    assert len(list((out / "tuning" / "average").glob("*/result.json"))) == 4
    assert len(list((out / "final").glob("average/*/*/result.json"))) == 2
    assert [outcome.config.seed for outcome in final.outcomes] == [0, 1]
    assert not any(outcome.config.tuning for outcome in final.outcomes)
    tuned = [json.loads(path.read_text()) for path in out.glob("tuning/*/*/result.json")]
    assert all(result["config"]["tuning"] for result in tuned)


def test_finished_runs_are_not_repeated(compared):
    out, finals = compared
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert compare(STUDY, [METHOD], EFFORT, out, QUIET) == finals
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_another_study_needs_another_directory(compared):
    out, _ = compared
    with pytest.raises(ExperimentError, match="another train_size"):
        compare(replace(STUDY, train_size=50), [METHOD], EFFORT, out, QUIET)
