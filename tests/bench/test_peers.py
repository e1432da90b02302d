"""`bench peers` for a moment on the real parts: Bilans and Kafka Streams always, the others where installed."""

from tests.bench_command import bench


def test_bilans_and_every_peer_that_is_installed_come_to_the_exact_totals() -> None:
    report = bench("peers", "--readings", "20000", "--meters", "600", "--partitions", "2")
    rows = {row["peer"]: row for row in report["rows"]}
    assert list(rows) == ["bilans", "loop", "quixstreams", "bytewax", "kafka-streams"]
    installed = [name for name, row in rows.items() if row["note"] != "not installed"]
    assert {"bilans", "kafka-streams"} <= set(installed)
    assert [(name, rows[name]["note"]) for name in installed if rows[name]["exact"] is not True] == []
    assert all(rows[name]["difference_wh"] == 0 for name in installed)
    assert all(rows[name]["readings_per_second"] > 0 for name in installed)
