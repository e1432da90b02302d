"""`bilans up --balancers 3` under a replay of 6,936 meters: each has its share, one is killed, totals are exact."""

from pathlib import Path
from time import monotonic, sleep

from tests.end_to_end.compare import compare_with_tables
from tests.end_to_end.recompute import recompute
from tests.end_to_end.recompute_topology import read_plain_topology
from tests.end_to_end.slices import RURAL_WEEK, between, write
from tests.system import SystemUnderTest, running_bilans

HALF_A_DAY = "2016-06-06T00:00:00Z", "2016-06-06T12:00:00Z"


async def test_three_balancers_share_a_replay(tmp_path: Path) -> None:
    part = between(RURAL_WEEK, *HALF_A_DAY)
    with running_bilans(tmp_path, RURAL_WEEK, "--balancers", "3") as system:
        replay = system.start_replay(write(part, tmp_path / "part.parquet"), "--speed", "3600x", "--wait")
        _wait_received(system, len(part) // 4)
        assert _owners(system) == {"balancer-0", "balancer-1", "balancer-2"}
        system.kill("balancer-1")
        report = replay.report()
        assert (report["applied"], report["rejected"]) == (len(part), 0)
        books = system.get("/v1/audit")
        assert (books["applied"], books["difference"], books["lag"]) == (len(part), 0, 0)
        recomputation = recompute(part, read_plain_topology(RURAL_WEEK))
        assert (await compare_with_tables(system.addresses.database_url, recomputation)).shown() == ""


def _owners(system: SystemUnderTest) -> set[str]:
    return {partition["owner"] for partition in system.get("/v1/status")["partitions"]}


def _wait_received(system: SystemUnderTest, received: int) -> None:
    until = monotonic() + 60
    while system.get("/v1/audit")["received"] < received:
        assert monotonic() < until, "the replay did not get on"
        sleep(0.05)
