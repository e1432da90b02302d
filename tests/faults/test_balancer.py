"""The balancer is killed, at any moment and at each step of its flush, paused while another takes over, and multiplied.

The tests of this file run in their order, on one cluster; each is judged with all that came before it.
"""

import asyncio
import random
import time

import pytest

from tests.faults.cluster import eventually
from tests.faults.conftest import p95
from tests.faults.scene import Scene
from tests.faults.stepping_balancer import STEPS
from tests.faults.tier import either, times

RECOVERY_S_MAX = 10
"""Kill to the first new commit, at most so long in 95 of 100."""
PAUSE_S = either(ci=15, full=45)
"""Far beyond the session of 4 s: another balancer has long taken over."""
ARCHIVED_S_MAX = 12
"""The follower waits for more, but not so long."""
FENCED = "bilans_balancer_fenced_total"
OWNED = "bilans_balancer_next_offset{"


@pytest.mark.parametrize("number", times(ci=5, full=30))
async def test_killed_at_a_random_moment(scene: Scene, number: int) -> None:
    async with scene.load():
        await asyncio.sleep(random.Random(number).uniform(0, 2))
        await scene.kill_and_recover("balancer-0")
        await scene.get_on(2)


@pytest.mark.parametrize("number", times(ci=1, full=3))
@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_a_step_of_the_flush(scene: Scene, step: str, number: int) -> None:
    async with scene.load():
        scene.cluster.step_file.write_text(f"{step} SIGKILL")
        if step == "1":  # comes with an assignment only
            scene.cluster.kill("balancer-0")
            scene.cluster.start_service("balancer-0")
        assert await scene.cluster.ended("balancer-0", 30) == -9
        await scene.start_and_recover("balancer-0")
        await scene.get_on(2)


def test_recovery_is_quick(scene: Scene) -> None:
    """Over all kills above."""
    assert len(scene.recoveries_s) >= 5 + len(STEPS)
    assert p95(scene.recoveries_s) <= RECOVERY_S_MAX, sorted(scene.recoveries_s)


@pytest.mark.parametrize("number", times(ci=1, full=5))
@pytest.mark.parametrize("step", ["any", "begin", "3-rows"])
async def test_a_paused_one_is_replaced_and_writes_nothing_when_it_wakes(scene: Scene, step: str, number: int) -> None:
    cluster = scene.cluster
    cluster.start_service("balancer-1")
    async with scene.load():
        await _shared_by(scene, "balancer-0", "balancer-1")
        if step == "any":
            cluster.pause("balancer-0")
        else:  # in the middle of a flush, which it will go on with when it wakes
            cluster.stop("balancer-1")
            cluster.step_file.write_text(f"{step} SIGSTOP")
            await eventually(lambda: not cluster.step_file.exists(), 30, "no flush")
            cluster.start_service("balancer-1")
        paused_s = time.monotonic()
        await eventually(lambda: cluster.balancer_metric("balancer-1", OWNED) > 0, 40, "nobody took over")
        await scene.first_commit_after(time.time())
        await asyncio.sleep(max(0.0, PAUSE_S - (time.monotonic() - paused_s)))
        cluster.resume("balancer-0")
        if step != "any":
            await eventually(lambda: cluster.balancer_metric("balancer-0", FENCED) >= 1, 20, "it was not fenced")
        await scene.get_on(2)
        cluster.stop("balancer-1")
        await scene.first_commit_after(time.time())
    cluster.kill("balancer-0")  # its count of fenced flushes begins anew
    cluster.start_service("balancer-0")


@pytest.mark.parametrize("number", times(ci=2, full=10))
async def test_one_becomes_three_and_one_again(scene: Scene, number: int) -> None:
    cluster = scene.cluster
    others = ["balancer-1", "balancer-2"]
    async with scene.load():
        for name in others:
            cluster.start_service(name)
        await _shared_by(scene, "balancer-0", *others)
        await scene.get_on(4)
        for name in others:
            cluster.stop(name)
        await scene.first_commit_after(time.time())
        await scene.get_on(2)


async def _shared_by(scene: Scene, *names: str) -> None:
    """Waits until each of them works on partitions of its own."""
    await eventually(
        lambda: all(scene.cluster.balancer_metric(name, OWNED) > 0 for name in names), 40, "one got no partition"
    )
    await scene.first_commit_after(time.time())


async def test_all_of_it_is_in_the_archive(scene: Scene) -> None:
    async with scene.load():
        pass
    await asyncio.sleep(ARCHIVED_S_MAX)
    await scene.judge(archive=True)
