"""An hour of all faults mixed by chance, with load: nothing is lost, and nothing grows. (Full tier only.)"""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable

import asyncpg
import numpy as np
import psutil
import pyarrow as pa

from tests.faults.scene import Scene

SOAK_S = 3_600
ROUND_S = 120
"""After each round the whole history is judged."""
QUIET_S = 6
RESIDENT_GROWTH_BYTES_MAX = 150_000_000
"""Of a service that was not killed in the last round, from its second round to its last."""


async def kill_balancer(scene: Scene) -> None:
    await scene.kill_and_recover("balancer-0")


async def kill_ingest(scene: Scene) -> None:
    scene.cluster.kill("ingest")
    scene.cluster.start_service("ingest")


async def kill_kafka(scene: Scene) -> None:
    await asyncio.to_thread(scene.cluster.kill_kafka)
    await scene.cluster.start_kafka()


async def restart_kafka(scene: Scene) -> None:
    await asyncio.to_thread(scene.cluster.kill_kafka, signal.SIGTERM)
    await scene.cluster.start_kafka()


async def stop_postgres(scene: Scene) -> None:
    await asyncio.to_thread(scene.cluster.kill_postgres)
    await scene.cluster.start_postgres()


async def pause_balancer(scene: Scene) -> None:
    scene.cluster.pause("balancer-0")
    await asyncio.sleep(10)
    scene.cluster.resume("balancer-0")


async def slow_network(scene: Scene) -> None:
    for proxy in (scene.cluster.kafka_proxy, scene.cluster.postgres_proxy):
        proxy.delay_s, proxy.jitter_s, proxy.reset_share = 0.1, 0.1, 0.02
    await asyncio.sleep(10)
    for proxy in (scene.cluster.kafka_proxy, scene.cluster.postgres_proxy):
        proxy.pass_on()


async def lose_answers(scene: Scene) -> None:
    scene.cluster.postgres_proxy.cut_commits(3, "flush")


async def end_sessions(scene: Scene) -> None:
    connection = await asyncpg.connect(scene.cluster.settings.database_url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


async def late_and_double(scene: Scene) -> None:
    """Readings of three days ago in a higher version: each is taken as new, and changes no total."""
    past = scene.feed.quarter(max(0, scene.feed.next - 3 * 96))
    again = past.drop(["version"]).append_column("version", pa.repeat(pa.scalar(1, pa.int32()), len(past)))
    await scene.send(again)


WEIGHTS: dict[Callable[[Scene], Awaitable[None]], int] = {
    kill_balancer: 5,
    kill_ingest: 5,
    kill_kafka: 2,
    restart_kafka: 2,
    stop_postgres: 3,
    pause_balancer: 3,
    slow_network: 3,
    lose_answers: 5,
    end_sessions: 5,
    late_and_double: 5,
}


async def test_an_hour_of_everything(scene: Scene) -> None:
    chance = random.Random(60)
    until = time.monotonic() + SOAK_S
    resident: dict[int, list[int]] = {}
    while time.monotonic() < until:
        round_until = time.monotonic() + ROUND_S
        async with scene.load(quarters_per_s=1):
            while time.monotonic() < round_until:
                fault = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
                await fault(scene)
                await scene.first_commit_after(time.time())
                await asyncio.sleep(QUIET_S)
        for name in ("ingest", "balancer-0", "api"):
            process = psutil.Process(scene.cluster.process_id(name))
            resident.setdefault(process.pid, []).append(process.memory_info().rss)
    for process_id, figures in resident.items():
        growth = int(np.max(figures[1:] or [0]) - figures[1]) if len(figures) > 2 else 0
        assert growth < RESIDENT_GROWTH_BYTES_MAX, f"process {process_id} grew: {figures}"
