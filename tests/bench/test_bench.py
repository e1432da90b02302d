"""The other benchmarks, each for a few seconds on the real parts: the answer is right, the figures are there."""

from pathlib import Path

import psutil
import pytest

from deploy.bench.cluster import Cluster
from deploy.bench.stack import running_stack
from tests.bench_command import bench
from tests.integration.test_bench import drain_is_exact


async def test_a_stack_runs_what_it_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    async with running_stack(partitions=2) as stack:
        folder = stack.folder
        await stack.load_topology(Cluster(10).write(tmp_path / "topology"))
        await stack.start("ingest", "balancer-0", "api")
        first = stack.process("balancer-0")
        await stack.stop("balancer-0")
        await stack.start("balancer-0")
        processes = [stack.process(name) for name in ("ingest", "balancer-0", "api", "kafka", "postgres")]
        assert not psutil.pid_exists(first.pid)
        assert all(process.is_running() for process in processes)
    assert not any(process.is_running() for process in processes)
    assert not folder.exists()


def test_a_drain_of_the_json_topic_is_exact_and_tells_its_speed(tmp_path: Path) -> None:
    drain_is_exact(tmp_path, "json", "100")


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "ndjson", "--seconds", "1", "--per-message", "1000"),
        ("--format", "arrow", "--seconds", "1", "--per-message", "1000", "--balancer"),
        ("--format", "json-topic", "--readings", "30000", "--per-message", "3"),
    ],
)
def test_what_ingest_acknowledged_is_in_the_log_as_often(options: tuple[str, ...]) -> None:
    report = bench("ingest", "--meters", "1000", "--partitions", "2", *options)
    assert (report["exact"], report["lost"], report["surplus"], report["altered"]) == (True, 0, 0, 0)
    assert report["found"] > report["readings"] > 0
    assert report["readings_per_second"] > 0
    assert report["ingest_cpu_seconds"] > 0


def test_latency_is_told_of_every_sample_and_the_totals_are_right() -> None:
    pytest.importorskip("hdrh", reason="./bilans bench has not been called here yet, which installs it")
    options = ["--rate", "4000", "--seconds", "2", "--warm-seconds", "0.5", "--per-request", "250"]
    report = bench("latency", "--meters", "800", "--partitions", "2", *options)
    assert (report["exact"], report["difference_wh"], report["unseen"]) == (True, 0, 0)
    assert [row["samples"] for row in report["rows"]] == [32, 32, 32]
    for name in ("acknowledged", "live", "committed"):
        times = [report[f"{name}_{percent}_ms"] for percent in ("p50", "p99", "p99_9", "max")]
        assert times == sorted(times)
        assert 0 < times[0] < times[-1] < 60_000
    assert report["acknowledged_p50_ms"] < report["committed_p50_ms"]
    assert 0 < report["achieved_per_second"] <= report["offered_per_second"] == 4000


def test_a_round_of_all_series_is_exact_and_tells_its_time() -> None:
    report = bench("round", "--meters", "1000", "--partitions", "2")
    assert (report["exact"], report["difference_wh"], report["messages_left"]) == (True, 0, 0)
    assert report["received"] == report["delivered"] == 2 * report["series"] + 20 == 4_020
    assert report["rows"] == 5 + 2 + 2  # five stations; their feeder and the cluster in both partitions
    for name in ("seconds", "rss_bytes", "follow_seconds", "restart_seconds", "balancer_cpu_seconds"):
        assert report[name] > 0
