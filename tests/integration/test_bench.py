"""A benchmark for a few seconds on the real parts: the answer is right, the figures are there. More: tests/bench/."""

import json
from pathlib import Path

from tests.bench_command import bench


def test_a_drain_is_exact_and_tells_its_speed(tmp_path: Path) -> None:
    drain_is_exact(tmp_path, "arrow", "5000")


def drain_is_exact(folder: Path, form: str, per_message: str) -> None:
    """A short drain: its answer, its figures, its history."""
    history = folder / "history.jsonl"
    options = ["--format", form, "--per-message", per_message, "--partitions", "2", "--save", str(history)]
    report = bench("drain", "--readings", "60000", "--meters", "1000", *options)
    assert (report["exact"], report["difference_wh"], report["messages_left"]) == (True, 0, 0)
    assert report["received"] == report["delivered"] == 60_000 + 1_250
    assert report["rows"] > 300
    for name in ("readings_per_second", "raw_readings_per_second", "ratio_of_raw", "balancer_cpu_seconds", "rss_bytes"):
        assert report[name] > 0
    assert 0 <= report["archive_lag"] <= report["delivered"]
    assert report["archived_seconds"] >= report["seconds"] > 0
    assert json.loads(history.read_text()) == report
