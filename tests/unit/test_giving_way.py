"""Work beside the balance rests while the log is behind, and goes on."""

import asyncio
import time

from services.balancer.giving_way import GivingWay


async def rested_s(way: GivingWay, worked_s: float) -> float:
    began_s = time.monotonic()
    await way.rest(worked_s)
    return time.monotonic() - began_s


async def test_it_does_not_rest_when_nothing_waits() -> None:
    assert await rested_s(GivingWay(lambda: False), 60.0) < 30.0


async def test_it_rests_in_proportion_to_its_work_and_then_goes_on() -> None:
    """However long the log is behind: it is never stopped for good."""
    assert await rested_s(GivingWay(lambda: True), 0.02) >= 9 * 0.02


async def test_it_goes_on_once_the_log_has_been_caught_up_with() -> None:
    behind = [True]
    asyncio.get_running_loop().call_later(0.1, behind.clear)
    assert await rested_s(GivingWay(lambda: bool(behind)), 60.0) < 30.0


async def test_a_step_that_takes_long_waits_for_the_balance_but_not_for_ever() -> None:
    slept_s: list[float] = []

    async def sleep(duration_s: float) -> None:
        slept_s.append(duration_s)

    await GivingWay(lambda: len(slept_s) < 3, sleep).wait()
    assert len(slept_s) == 3
    await GivingWay(lambda: True, sleep).wait()
    assert 20 < sum(slept_s) < 60
