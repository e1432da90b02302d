"""A year of fifteen homes, disturbed in every way and sent while processes are killed, equals the clean one."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator

import pyarrow.parquet as pq
import pytest

from tests.end_to_end.compare import compare_sums, fetch_sums
from tests.end_to_end.disturbed import CORRUPTIONS, disturb
from tests.end_to_end.recompute import recompute
from tests.end_to_end.slices import HOMES
from tests.faults.observer import fetch_rejected
from tests.faults.scene import Scene
from tests.faults.tier import either

LINES = 3_000
"""Of a request."""
KILL_EVERY = either(ci=12, full=4)
"""Requests from one kill to the next."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    running = Scene(tmp_path_factory.mktemp("homes"), HOMES)
    try:
        yield running
    finally:
        running.close()


async def _kill_balancer(scene: Scene) -> None:
    scene.cluster.kill("balancer-0")
    scene.cluster.start_service("balancer-0")


async def _kill_ingest(scene: Scene) -> None:
    scene.cluster.kill("ingest")
    scene.cluster.start_service("ingest")


async def _kill_kafka(scene: Scene) -> None:
    await asyncio.to_thread(scene.cluster.kill_kafka)
    await scene.cluster.start_kafka()


async def _kill_postgres(scene: Scene) -> None:
    await asyncio.to_thread(scene.cluster.kill_postgres)
    await scene.cluster.start_postgres()


KILLS: tuple[Callable[[Scene], Awaitable[None]], ...] = (_kill_balancer, _kill_ingest, _kill_postgres, _kill_kafka)


async def test_a_disturbed_year_equals_the_clean_one(scene: Scene) -> None:
    clean = pq.read_table(HOMES / "readings.parquet")
    disturbed = disturb(clean, seed=2026)
    first_s = int(clean["ts"][0].as_py().timestamp())
    kills = itertools.cycle(KILLS)
    async with scene.watched(first_s + 86_400, first_s + 4 * 86_400):
        for number, (readings, refused) in enumerate(disturbed.bodies(LINES)):
            sending = asyncio.create_task(scene.send(readings, refused))
            if number % KILL_EVERY == KILL_EVERY - 1:
                await next(kills)(scene)
            await sending
    database_url = scene.cluster.settings.database_url
    clean_sums = recompute(clean, scene.plain_topology)
    comparison = compare_sums(await fetch_sums(database_url), clean_sums)
    assert comparison.shown() == ""
    assert comparison.windows > 5 * 364 * 96
    rejected = await fetch_rejected(database_url)
    assert {reason for reason, _ in rejected} == {reason for reason, _ in CORRUPTIONS.values()} | {"conflict"}
    assert disturbed.unlike(rejected) == set()
    assert max(seen.books["pending"] for seen in scene.history.books) > 0
