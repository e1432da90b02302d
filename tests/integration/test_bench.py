"""The benchmarks, each for a few seconds on the real parts: the answer is right, the figures are there, all ends."""

from pathlib import Path

import httpx

from deploy.bench.cluster import Cluster
from deploy.bench.stack import running_stack


async def test_a_stack_runs_what_it_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    async with running_stack(partitions=2) as stack:
        folder = stack.folder
        await stack.load_topology(Cluster(10).write(tmp_path / "topology"))
        await stack.start("ingest", "balancer-0", "api")
        assert httpx.get(f"{stack.api}/v1/zones").status_code == 200
        await stack.stop("balancer-0")
        await stack.start("balancer-0")
        processes = [stack.process(name) for name in ("ingest", "balancer-0", "api", "kafka", "postgres")]
        assert all(process.is_running() for process in processes)
    assert not any(process.is_running() for process in processes)
    assert not folder.exists()
