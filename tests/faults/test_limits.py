"""More than it can take, and things that are gone: overload, a log that was cut or made anew, kernels without a cache.

The tests of this file run in their order; those on one cluster each leave it as the next one needs it.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import httpx
import psutil
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from shared.topics import READINGS, ensure_topics
from tests.faults.cluster import eventually
from tests.faults.observer import PARTITIONS, read_topic
from tests.faults.scene import Scene
from tests.faults.tier import either
from tests.system import ENVIRONMENT

OVERLOAD_S = either(ci=30, full=300)
OVERLOADED = 8
"""Quarters in a body under overload; two bodies at once."""
PAUSE_S = either(ci=100, full=600) / 1_000
"""Between two bodies: the whole history has to be judged, so there must be an end to it."""
RESIDENT_GROWTH_MAX = either(ci=50, full=10) / 100
"""What memory may grow by once it is warm. Half a minute does not fill the bounded rooms (the balancer's tail of what
is not archived yet, the clients' buffers): only five minutes tell whether it is flat."""


async def test_ten_times_too_much(scene: Scene) -> None:
    """PostgreSQL answers ten times slower than readings ask for: lag grows, memory does not, and all of it drains."""
    cluster = scene.cluster
    names = ("ingest", "balancer-0", "api")
    processes = {name: psutil.Process(cluster.process_id(name)) for name in names}
    async with scene.load(quarters_per_s=1):
        cluster.postgres_proxy.delay_s = either(ci=150, full=300) / 1_000
        lags: list[int] = []
        resident: dict[str, list[int]] = {name: [] for name in names}
        until = time.monotonic() + OVERLOAD_S
        async with httpx.AsyncClient(timeout=30) as client:
            senders = [asyncio.create_task(_flood(scene, client, until)) for _ in range(2)]
            while time.monotonic() < until:
                lags.append((await client.get(f"{cluster.api}/v1/audit")).json()["lag"])
                for name, process in processes.items():
                    resident[name].append(process.memory_info().rss)
                await asyncio.sleep(1)
            await asyncio.gather(*senders)
        cluster.postgres_proxy.pass_on()
    assert max(lags[len(lags) // 2 :]) > max(lags[: len(lags) // 4]), f"the lag did not grow: {lags}"
    for name, bytes_held in resident.items():
        warm = max(bytes_held[: len(bytes_held) // 2])
        late = statistics.mean(bytes_held[-(len(bytes_held) // 3) :])  # single figures go up and down with a flush
        assert late <= warm * (1 + RESIDENT_GROWTH_MAX), f"{name} grew: {bytes_held}"
    assert all(cluster.runs(name) for name in names)


async def _flood(scene: Scene, client: httpx.AsyncClient, until: float) -> None:
    while time.monotonic() < until:
        await scene.sender.send(client, scene.feed.take(OVERLOADED))
        await asyncio.sleep(PAUSE_S)


# --- a log that is not the one that it was --------------------------------------------------------------------------


async def test_retention_has_passed_what_was_not_balanced(scene: Scene) -> None:
    """Readings are gone from the log before they were balanced: it says so and does not go on as if nothing were."""
    cluster = scene.cluster
    cluster.stop("balancer-0")
    await scene.send(scene.feed.take(4))
    await _delete_records(cluster.settings.kafka)
    before = await _progress(scene)
    lines = cluster.log_of("balancer-0").read_text().count("readings are lost")
    cluster.start_service("balancer-0")
    await eventually(
        lambda: cluster.log_of("balancer-0").read_text().count("readings are lost") > lines, 60, "nothing was said"
    )
    await asyncio.sleep(3)
    assert not cluster.is_ready()
    assert await _progress(scene) == before
    cluster.kill("balancer-0")


async def test_the_topic_was_made_anew(scene: Scene) -> None:
    """The log ends before what was balanced: it is another one, and nothing of it is taken for the old."""
    cluster = scene.cluster
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.settings.kafka)
    await admin.start()
    try:
        await admin.delete_topics([READINGS])
        await asyncio.sleep(2)
    finally:
        await admin.close()
    await ensure_topics(cluster.settings)
    before = await _progress(scene)
    said = len(cluster.log_of("balancer-0").read_text())
    cluster.start_service("balancer-0")
    await eventually(lambda: READINGS in cluster.log_of("balancer-0").read_text()[said:], 60, "nothing was said")
    await scene.send(scene.feed.take(2))
    await asyncio.sleep(5)
    assert not cluster.is_ready()
    assert await _progress(scene) == before
    assert len(await read_topic(cluster.settings.kafka, READINGS, PARTITIONS)) > 0
    cluster.kill("balancer-0")
    cluster.start_service("balancer-0")  # so that the end is in order


async def _delete_records(kafka: str) -> None:
    """Deletes all messages of `bilans.readings`, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        everything = RecordsToDelete(before_offset=-1)
        await admin.delete_records({TopicPartition(READINGS, number): everything for number in range(PARTITIONS)})
    finally:
        await admin.close()


async def _progress(scene: Scene) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(scene.cluster.settings.database_url)
    try:
        rows = await connection.fetch(
            "SELECT partition, next_offset, updated_at FROM progress WHERE topic = $1 ORDER BY 1", READINGS
        )
    finally:
        await connection.close()
    return [tuple(row) for row in rows]


# --- kernels without a cache ----------------------------------------------------------------------------------------

_SETTLE_ON_CACHE = """
import os
from pathlib import Path
from deploy.up_options import Stores, UpOptions, service_environment
os.environ |= service_environment(UpOptions(Path({folder!r}), None), Stores("", ""), os.environ)
"""
_USE_KERNELS = "import shared.balance.kernel"
COMPILE_S_MAX = 300
NO_FOLDER = "/proc/nowhere"
"""Where not even root can make a file."""


def _kernels(prepare: str, without: tuple[str, ...] = (), **variables: str) -> "subprocess.Popen[str]":
    environment = {name: text for name, text in ENVIRONMENT.items() if name not in without} | variables
    command = [sys.executable, "-c", f"{prepare}\n{_USE_KERNELS}"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _ended(process: "subprocess.Popen[str]") -> str:
    """Waits for its end in order; what it said on standard error."""
    _, errors = process.communicate(timeout=COMPILE_S_MAX)
    assert process.returncode == 0, errors
    return errors


def test_two_compile_into_one_new_cache_at_once(tmp_path: Path) -> None:
    cold = [_kernels("", NUMBA_CACHE_DIR=str(tmp_path / "cache")) for _ in range(2)]
    assert [_ended(process) for process in cold] == ["", ""]
    files = sorted(path.name for path in (tmp_path / "cache").rglob("*.nbi"))
    assert files
    assert _ended(_kernels("", NUMBA_CACHE_DIR=str(tmp_path / "cache"))) == ""


def test_no_home_and_nothing_set(tmp_path: Path) -> None:
    """`up` finds a folder for the cache that can be written to, whatever the user has."""
    homeless = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")
    prepare = _SETTLE_ON_CACHE.format(folder=str(tmp_path))
    assert _ended(_kernels(prepare, homeless)) == ""
    assert _ended(_kernels(prepare, homeless, HOME=NO_FOLDER, XDG_CACHE_HOME=NO_FOLDER)) == ""


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """It starts all the same, or ends with one clear line."""
    process = _kernels("", NUMBA_CACHE_DIR=NO_FOLDER)
    _, errors = process.communicate(timeout=COMPILE_S_MAX)
    assert process.returncode == 0 or NO_FOLDER in errors.splitlines()[-1], errors
