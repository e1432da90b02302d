"""PostgreSQL's disk is full while readings come in: it is said, nothing is half written, and it goes on when there is
room. (Full tier only, and only as root: it mounts a small file system of its own in memory.)"""

import asyncio
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.faults.cluster import eventually
from tests.faults.scene import Scene, rural_scene
from tests.faults.tier import times

MEGABYTES = 700
RESUMED_S_MAX = 60


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A cluster whose PostgreSQL has its data on a disk of MEGABYTES."""
    folder = tmp_path_factory.mktemp("small-disk")
    disk = folder / "postgres"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "bilans-test", disk], check=True)
    try:
        running = rural_scene(folder)
        try:
            yield running
        finally:
            running.close()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


async def _fill_and_free(scene: Scene) -> None:
    filler = scene.cluster.folder / "postgres" / "filler"
    said = scene.cluster.log_of("balancer-0").read_text().count("did not get through")
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(1_000_000))
                file.flush()
        except OSError:
            pass  # now it is full
    postgres = scene.cluster.postgres.child
    assert postgres is not None
    await eventually(
        lambda: (
            postgres.poll() is not None
            or scene.cluster.log_of("balancer-0").read_text().count("did not get through") > said
        ),
        60,
        "nothing was said",
    )
    await asyncio.sleep(3)
    filler.unlink()
    if postgres.poll() is not None:
        await scene.cluster.start_postgres()


@pytest.mark.parametrize("number", times(ci=1, full=2))
async def test_no_room_for_the_database(scene: Scene, number: int) -> None:
    async with scene.load():
        await _fill_and_free(scene)
        assert await scene.first_commit_after(time.time()) <= RESUMED_S_MAX
        await scene.get_on(2)
