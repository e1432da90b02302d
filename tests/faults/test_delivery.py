"""Deliveries as bad as senders make them: doubled, replayed, shuffled, late by days, on a running system.

The tests of this file run in their order, on one cluster; each is judged with all that came before it.
"""

from contextlib import AbstractAsyncContextManager

import numpy as np
import pyarrow as pa
import pytest

from tests.faults.observer import fetch_revisions
from tests.faults.scene import Scene
from tests.faults.tier import times

DAY = 96
BODIES = 40


@pytest.mark.parametrize("number", times(ci=1, full=3))
async def test_doubles_and_a_whole_day_again(scene: Scene, number: int) -> None:
    """A fifth comes twice, some of it much later; then the whole day comes again, and changes nothing."""
    chance = np.random.default_rng(number)
    async with _watched(scene, DAY):
        day = scene.feed.take(DAY)
        again = day.take(np.flatnonzero(chance.random(len(day)) < 0.2))
        await _send(scene, pa.concat_tables([day, again]))
        await scene.settle()
        revisions = await _revisions(scene)
        await _send(scene, day)
        await scene.settle()
        assert await _revisions(scene) == revisions


@pytest.mark.parametrize("number", times(ci=1, full=3))
async def test_shuffled_within_memory(scene: Scene, number: int) -> None:
    """Every reading comes up to 40 hours after its time, the partitions' readings all mixed."""
    chance = np.random.default_rng(100 + number)
    async with _watched(scene, DAY):
        day = scene.feed.take(DAY)
        await _send(scene, day.take(chance.permutation(len(day))))


@pytest.mark.parametrize("number", times(ci=1, full=3))
async def test_readings_more_than_two_days_late(scene: Scene, number: int) -> None:
    """A tenth of a day comes only once three more days are there: `pending` rises and falls to 0."""
    chance = np.random.default_rng(200 + number)
    async with _watched(scene, 4 * DAY):
        day = scene.feed.take(DAY)
        is_late = chance.random(len(day)) < 0.1
        await _send(scene, day.filter(pa.array(~is_late)))
        await _send(scene, scene.feed.take(3 * DAY).filter(_some_of(scene, 3 * DAY)))
        late = day.filter(pa.array(is_late))
        await _send(scene, late.take(chance.permutation(len(late))))
    assert max(seen.books["pending"] for seen in scene.history.books) > 0


@pytest.mark.parametrize("number", times(ci=1, full=3))
async def test_late_readings_while_the_balancer_is_killed(scene: Scene, number: int) -> None:
    chance = np.random.default_rng(300 + number)
    async with _watched(scene, 4 * DAY):
        day = scene.feed.take(DAY)
        is_late = chance.random(len(day)) < 0.1
        await _send(scene, day.filter(pa.array(~is_late)))
        await _send(scene, scene.feed.take(3 * DAY).filter(_some_of(scene, 3 * DAY)))
        late = day.filter(pa.array(is_late))
        first, second = np.array_split(chance.permutation(len(late)), 2)
        scene.cluster.step_file.write_text("3-history SIGKILL")
        await _send(scene, late.take(first))
        assert await scene.cluster.ended("balancer-0", 60) == -9
        scene.cluster.start_service("balancer-0")
        await _send(scene, late.take(second))
        scene.cluster.kill("balancer-0")
        scene.cluster.start_service("balancer-0")


def _some_of(scene: Scene, quarters: int) -> pa.Array:
    """A filter that leaves one quarter in eight: time goes on, and little is to be sent."""
    return pa.array(np.repeat(np.arange(quarters) % 8 == 7, scene.feed.series))


def _watched(scene: Scene, quarters: int) -> AbstractAsyncContextManager[None]:
    first = scene.feed.next
    return scene.watched(scene.feed.instant_s(first), scene.feed.instant_s(first + quarters))


async def _revisions(scene: Scene) -> int:
    """How many there are."""
    return len(await fetch_revisions(scene.cluster.settings.database_url))


async def _send(scene: Scene, readings: pa.Table) -> None:
    for part in np.array_split(np.arange(len(readings)), BODIES):
        await scene.send(readings.take(part))
