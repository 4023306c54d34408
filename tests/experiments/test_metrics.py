from lpgd.experiments.metrics import MetricsLog

COLUMNS = ("step", "loss", "error")


def test_rows_come_back_exactly(tmp_path):
    log = MetricsLog(tmp_path / "metrics.csv", COLUMNS)
    assert log.keep_until(0) == []
    rows = [{"step": 1, "loss": 0.1 + 0.2, "error": None}, {"step": 2, "loss": 1e-9, "error": 3.0}]
    for row in rows:
        log.append(row)
    assert log.read() == rows
    assert log.path.read_text().splitlines()[0] == "step,loss,error"


def test_rows_after_the_checkpoint_and_half_lines_go(tmp_path):
    log = MetricsLog(tmp_path / "metrics.csv", COLUMNS)
    log.keep_until(0)
    for step in range(1, 6):
        log.append({"step": step, "loss": step / 3})
    whole = log.path.read_text()
    with log.path.open("a") as file:
        file.write("6,0.12")
    kept = log.keep_until(5)
    assert [row["step"] for row in kept] == [1, 2, 3, 4, 5]
    assert log.path.read_text() == whole
    assert [row["step"] for row in log.keep_until(3)] == [1, 2, 3]
    assert len(log.path.read_text().splitlines()) == 4
