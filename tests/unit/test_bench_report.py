"""The report of a benchmark: JSON as its last line and in its history, and no speed where the answer was wrong."""

import json
from pathlib import Path

import pytest

from deploy.bench.report import Report, show
from shared.errors import BilansError


def made_report(*, exact: bool) -> Report:
    report = Report("trial", {"readings": 12})
    report.exact = exact
    report.checks["difference_wh"] = 0 if exact else 3
    report.figures["readings_per_second"] = 1234.5
    report.columns = ("path", "readings_per_second")
    report.rows.append(("arrow", 1234.5))
    return report


def test_the_last_line_is_the_json_and_it_is_added_to_the_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = tmp_path / "new" / "history.jsonl"
    assert show(made_report(exact=True), history) == 0
    assert show(made_report(exact=True), history) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    kept = [json.loads(line) for line in history.read_text().splitlines()]
    assert len(kept) == 2
    assert {key: kept[1][key] for key in ("bench", "exact", "difference_wh", "readings_per_second")} == {
        "bench": "trial",
        "exact": True,
        "difference_wh": 0,
        "readings_per_second": 1234.5,
    }
    assert last["rows"] == [{"path": "arrow", "readings_per_second": 1234.5}]
    assert last["parameters"] == {"readings": 12}
    assert last["machine"]["cores"] >= 1
    assert {"load_begin", "load_end", "began_at", "took_s"} <= set(last)


def test_a_wrong_answer_is_told_without_a_speed(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(made_report(exact=False), None) == 1
    out, err = capsys.readouterr()
    document = json.loads(out.splitlines()[-1])
    assert document["exact"] is False
    assert document["difference_wh"] == 3
    assert "wrong" in err
    assert "readings_per_second" not in out
    assert "1234" not in out + err


def test_a_history_that_cannot_be_written_is_an_error_for_people(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BilansError):
        show(made_report(exact=True), tmp_path / "file" / "history.jsonl")
