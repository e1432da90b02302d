"""SIGKILL in mid-replay: balancer, Kafka, PostgreSQL, ingest. The totals are the same and the books balance.

The tests of this file run in their order, on one system: each replays the hours that follow.
"""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from tests.end_to_end.compare import compare_with_tables
from tests.end_to_end.recompute import recompute
from tests.end_to_end.recompute_topology import read_plain_topology
from tests.end_to_end.slices import RURAL_WEEK, between, write
from tests.system import SystemUnderTest, running_bilans

MORNING = "2016-06-06T00:00:00Z"
SPEED = "5400x"
"""Eight hours in five seconds: the kill meets a replay under way on any machine."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    with running_bilans(tmp_path_factory.mktemp("kills"), RURAL_WEEK) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("balancer-0", MORNING, "2016-06-06T08:00:00Z"),
        ("kafka", "2016-06-06T08:15:00Z", "2016-06-06T16:00:00Z"),
        ("postgres", "2016-06-06T16:15:00Z", "2016-06-07T00:00:00Z"),
        ("ingest", "2016-06-07T00:15:00Z", "2016-06-07T08:00:00Z"),
    ],
)
async def test_a_kill_in_mid_replay_changes_no_total(
    system: SystemUnderTest, tmp_path: Path, name: str, start: str, end: str
) -> None:
    part = between(RURAL_WEEK, start, end)
    before: dict[str, Any] = system.get("/v1/audit")
    replay = system.start_replay(write(part, tmp_path / "part.parquet"), "--speed", SPEED, "--wait")
    _wait_received(system, before["received"] + len(part) // 4)
    killed = system.kill(name)
    report = replay.report()
    assert report["sent"] == len(part)
    books = system.get("/v1/audit")
    # A request without an answer is sent again: what of it had arrived arrives twice, and changes nothing.
    again = books["received"] - before["received"] - len(part)
    assert again >= 0
    assert books["applied"] - before["applied"] == len(part)
    assert books["unchanged"] - before["unchanged"] == again
    assert (books["pending"], books["rejected"], books["difference"], books["lag"]) == (0, {}, 0, 0)
    assert int((system.data_dir / "run" / f"{name}.pid").read_text()) != killed
    recomputation = recompute(between(RURAL_WEEK, MORNING, end), read_plain_topology(RURAL_WEEK))
    assert (await compare_with_tables(system.addresses.database_url, recomputation)).shown() == ""


def _wait_received(system: SystemUnderTest, received: int) -> None:
    until = monotonic() + 60
    while system.get("/v1/audit")["received"] < received:
        assert monotonic() < until, "the replay did not get on"
        sleep(0.05)
