from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from rich.console import Console

from lpgd import EngineError
from lpgd.experiments import comparison
from lpgd.experiments.comparison import Effort, claim, compare
from lpgd.experiments.contest import play
from lpgd.experiments.methods import Method
from lpgd.experiments.progress import ComparisonProgress
from lpgd.experiments.runs import ExperimentError
from lpgd.experiments.sudoku.config import SudokuConfig
from lpgd.experiments.sudoku.task import SUDOKU

from .inline import InlinePool


@dataclass(frozen=True, kw_only=True)
class Study(comparison.Study):
    experiment: ClassVar = SUDOKU
    size: int = 20
    stages: ClassVar = (1, 2)

    def config(self, seed, *, tuning):
        return SudokuConfig(train_size=self.size, test_size=4, batch=10, seed=seed, tuning=tuning)


def test_a_study_claims_its_directory(tmp_path):
    claim(Study(), tmp_path)
    claim(Study(), tmp_path)
    with pytest.raises(ExperimentError, match="another size; choose another --out"):
        claim(Study(size=30), tmp_path)


def test_chosen_settings_run_from_every_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "job_pool", lambda _: nullcontext(InlinePool()))
    method = Method("m", "M", "lpgd", 0.1, (1e3,), (1e-4, 0.1), "lower")
    (final,) = compare(
        Study(), [method], Effort(seeds=2, max_epochs=1), tmp_path, Console(quiet=True)
    )
    assert [outcome.config.seed for outcome in final.outcomes] == [0, 1]
    assert {outcome.config.lr for outcome in final.outcomes} == {final.chosen.lr}
    assert final.chosen.side == "lower"
    again = compare(Study(), [method], Effort(2, 1), tmp_path, Console(quiet=True))
    assert again == [final]
    assert len(list((tmp_path / "tuning" / "m").iterdir())) == 2


def test_an_engine_that_cannot_work_is_refused_before_anything_is_written(tmp_path):
    study = replace(Study())
    object.__setattr__(study, "config", lambda seed, tuning: SudokuConfig(engine="magic"))
    method = Method("m", "M", "lpgd", 0.1, (1e3,), (0.1,))
    with pytest.raises(EngineError, match="unknown engine"):
        compare(study, [method], Effort(1, 1), tmp_path / "new", Console(quiet=True))
    assert not (tmp_path / "new").exists()


def test_progress_adds_up_to_all_runs(tmp_path, monkeypatch):
    shown = []

    class Recorder(ComparisonProgress):
        def __exit__(self, *reason):
            super().__exit__(*reason)
            shown.append((self._counted, self._runs, self._done, self._work))

    monkeypatch.setattr(comparison, "job_pool", lambda _: nullcontext(InlinePool()))
    monkeypatch.setattr(comparison, "ComparisonProgress", Recorder)
    method = Method("m", "M", "lpgd", 0.1, (1e3,), (1e-4, 0.1), "lower")
    for seeds in (1, 1, 3):
        compare(Study(), [method], Effort(seeds, 1, jobs=2), tmp_path, Console(quiet=True))
    # two candidates of two stages share two processes, a final run of one epoch has one
    assert shown == [(3, 3, 3.0, 3.0), (3, 3, 0.0, 0.0), (5, 5, 2.0, 2.0)]
    monkeypatch.setattr(comparison, "finished", lambda contest: None)  # then a race that is won
    monkeypatch.setattr(comparison, "play", lambda contest: replace(play(contest), ended=True))
    compare(Study(), [method], Effort(1, 1, jobs=2), tmp_path, Console(quiet=True))
    assert shown[-1] == (3, 3, 2.0, 2.0)
