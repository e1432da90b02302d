"""The benchmark of recomputing: it is exact, a wrong total is found out, and its network is what a load makes."""

import json
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from deploy.bench import recompute_run
from deploy.bench.progress import BenchProgress
from deploy.bench.recompute_expected import difference_wh
from deploy.bench.recompute_network import Network, read_network
from deploy.bench.recompute_run import recompute_weeks
from deploy.demo import RURAL_WEEK
from deploy.verify.totals import Totals
from shared.settings import Settings
from tests.integration.topology_log import load_and_read, settings_for
from tests.system import ENVIRONMENT, ROOT, bilans_command


@pytest.fixture
def settings(embedded_kafka: str, embedded_postgres: str) -> Settings:
    return settings_for(embedded_kafka, embedded_postgres)


async def test_the_network_is_what_the_first_load_makes_of_the_folder(settings: Settings) -> None:
    loaded = await load_and_read(settings, RURAL_WEEK)
    made = read_network(RURAL_WEEK, settings.partitions).topology
    left_out = ("members", "assets", "import_limit_w", "export_limit_w", "zone_lat", "zone_lon")  # no total needs them
    for one in fields(made):
        if one.name not in left_out:
            np.testing.assert_array_equal(getattr(made, one.name), getattr(loaded, one.name), one.name)


def test_a_week_is_exact_and_its_speed_is_told(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    ended = subprocess.run(
        bilans_command("bench", "recompute", "--weeks", "1", "--save", str(history)),
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(ended.stdout.splitlines()[-1])
    assert json.loads(history.read_text()) == report
    assert (report["exact"], report["difference_wh"], report["missing_readings"]) == (True, 0, 0)
    assert report["readings"] == 7278 * 673
    assert report["rows"] > 107 * 672  # zones above the stations have rows in several partitions
    assert report["readings_per_second"] > 0
    assert report["rss_bytes"] > report["archive_bytes"] > 0


def test_a_wrong_total_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is expected is worked out from a week in which one reading is a watt-hour higher: two windows differ.

    The series counts in its own zone and in all above it; nothing is implausible or in the pool because of it.
    """
    right = read_network(RURAL_WEEK, 2)
    slot = int(np.argmax((np.diff(right.week[0], axis=1).min(axis=1) > 0) & (right.rise[0] > 0)))
    series = int(np.flatnonzero((right.topology.series_partition == 0) & (right.topology.series_slot == slot))[0])
    row = int(right.topology.series_meter[series])
    depth, zone = 0, int(right.topology.row_zone[row])
    while zone >= 0:
        depth, zone = depth + 1, int(right.topology.zone_parent[zone])
    columns = 2 if right.topology.row_pool[row] else 1
    week = [values.copy() for values in right.week]
    week[0][slot, 100] += 1

    def wrong(found: Totals, network: Network, partition: int, weeks: int) -> int:
        return difference_wh(found, replace(network, week=week), partition, weeks)

    monkeypatch.setattr(recompute_run, "difference_wh", wrong)
    with BenchProgress() as progress:
        run = recompute_weeks(1, 2, progress, file_rows=1_000_000)
    assert run.difference_wh == 2 * columns * depth
