"""The balancer is killed, at any moment and at each step of its flush, paused while another takes over, and multiplied.

The tests of this file run in their order, on one cluster; each is judged with all that came before it.
"""

import asyncio
import random

import pytest

from tests.faults.scene import Scene
from tests.faults.tier import times

RECOVERY_S_MAX = 10
"""Kill to the first new commit, at most so long in 95 of 100 (the promise of the README)."""


@pytest.mark.parametrize("number", times(ci=5, full=30))
async def test_killed_at_a_random_moment(scene: Scene, number: int) -> None:
    async with scene.load():
        await asyncio.sleep(random.Random(number).uniform(0.5, 3))
        await scene.kill_and_recover("balancer-0")
        await scene.get_on(2)
