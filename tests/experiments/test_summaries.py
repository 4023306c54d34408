import csv

from lpgd.experiments.summaries import median, median_or_none, spread, write_csv


def test_runs_that_never_got_there_count_as_longest():
    assert median([3.0, None, 1.0]) == 3.0
    assert median([1.0, 2.0]) == 1.5
    assert median_or_none([1.0, None, None]) is None


def test_spread_in_words():
    assert spread([3.0, 1.0, 2.0], 12, digits=1) == "2.0 (1.0 to 3.0)"
    assert spread([3.0, 1.0, None], 12, digits=1) == "3.0 (1.0 to > 12)"
    assert spread([None, 1.0, None], 12, digits=0) == "> 12 (1 to > 12)"
    assert spread([None], 12, digits=0) == "> 12"


def test_csv(tmp_path):
    write_csv(tmp_path / "new" / "table.csv", ["a", "b"], [[1, None], ["x, y", 0.5]])
    with (tmp_path / "new" / "table.csv").open() as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": ""}, {"a": "x, y", "b": "0.5"}]
