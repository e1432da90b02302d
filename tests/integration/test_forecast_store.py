"""Forecasts on a real PostgreSQL: what the leader makes and keeps, what others take, what a changed clock leaves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import numpy as np
import pytest

from services.api.forecasting.forecasts import NOT_YET, Forecasts
from services.api.leadership import Leadership
from services.api.live_view import LiveView
from services.api.topology_shelf import TopologyShelf
from services.api.topology_terms import TopologyTerms
from shared.clock import ManualClock
from shared.database.engine import connect, make_engine
from shared.database.migrate import migrate
from shared.database.tables import SUM_COLUMNS
from tests.unit.small_topology import small_topology

TOWN = 10
MIDNIGHT = datetime(2026, 5, 20, tzinfo=ZoneInfo("Europe/Warsaw"))
DAYS_BEFORE = 12
_OF_DAY = "1000 + 500 * extract(hour FROM at AT TIME ZONE 'Europe/Warsaw')::bigint"


@dataclass
class Town:
    """A database of which this test alone is the balancer, and instances of the API's forecasts."""

    url: str
    connection: asyncpg.Connection
    clock: ManualClock
    shelf: TopologyShelf
    instances: list[Forecasts]

    def instance(self, *, leads: bool) -> Forecasts:
        leadership = Leadership(self.url)
        leadership.leads = leads
        made = Forecasts(self.url, self.shelf, LiveView(self.clock, "wall"), leadership)
        self.instances.append(made)
        return made

    async def step(self, instance: Forecasts, at: datetime) -> bool:
        """A step fifteen seconds after `at`: what came until then is settled."""
        self.clock.move(at.timestamp() + 15 - self.clock.now_s())
        return await instance.step()

    async def knows(self, begin: datetime, end: datetime, net_wh: str = _OF_DAY, *, measured: int = 4) -> None:
        """The town's windows with a consumption that the SQL expression says; `at` is a window's start."""
        columns = [
            name for name in SUM_COLUMNS if name not in ("consumer_withdrawn_wh", "measured", "pool_injected_wh")
        ]
        await self.connection.execute(
            "INSERT INTO partial (partition, zone_id, window_start, revision, known_at, log_offset, topology,"
            f" consumer_withdrawn_wh, measured, pool_injected_wh, {', '.join(columns)})"
            f" SELECT part, {TOWN}, at, 1, now(), 0, 1, ({net_wh}) * part, {measured} * part, 77{', 0' * len(columns)}"
            " FROM generate_series($1::timestamptz, $2::timestamptz - interval '15 minutes', interval '15 minutes')"
            " AS at, generate_series(0, 1) AS part",  # a partition that knows nothing of it, and one that knows all
            begin,
            end,
        )

    async def issues(self) -> list[datetime]:
        return [row[0] for row in await self.connection.fetch("SELECT DISTINCT issued_at FROM forecast ORDER BY 1")]


@pytest.fixture
async def town(embedded_postgres: str) -> AsyncIterator[Town]:
    await asyncio.to_thread(migrate, embedded_postgres)
    connection = await connect(embedded_postgres, application_name="test")
    shelf = TopologyShelf(make_engine(embedded_postgres))
    shelf.newest = TopologyTerms(small_topology())
    made = Town(embedded_postgres, connection, ManualClock(0), shelf, [])
    yield made
    for instance in made.instances:
        instance.close()
    await connection.close()


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


async def test_the_leader_makes_and_the_others_take(town: Town) -> None:
    leader, other = town.instance(leads=True), town.instance(leads=False)
    assert (leader.of("Town"), leader.reason("Town")) == (None, NOT_YET)
    await town.knows(MIDNIGHT - hours(24 * DAYS_BEFORE), MIDNIGHT)
    assert not await town.step(other, MIDNIGHT)
    assert await town.step(leader, MIDNIGHT)
    made = leader.of("Town")
    assert made is not None and leader.reason("Town") is None
    assert made.issued_s == made.window_start_s[0] == MIDNIGHT.timestamp()
    expected_w = 4 * (1000 + 500 * np.repeat(np.arange(24), 4))
    assert np.abs(made.p50_w[:96] - expected_w).max() < 100
    assert leader.of("Town") is made
    assert not await leader.step()  # the quarter has its forecast

    assert await town.step(other, MIDNIGHT)
    taken = other.of("Town")
    assert taken is not None
    for name in ("window_start_s", "p10_w", "p50_w", "p90_w"):
        assert np.array_equal(getattr(taken, name), getattr(made, name))
    assert other.reason("Station") == leader.reason("Station") == "0 of 3 days of history"
    assert other.reason("nowhere") == NOT_YET


async def test_those_that_errors_are_measured_from_are_kept(town: Town) -> None:
    leader = town.instance(leads=True)
    await town.knows(MIDNIGHT - hours(24 * DAYS_BEFORE), MIDNIGHT)
    for hour in (-1, 0, 0.25, 6):
        await town.step(leader, MIDNIGHT + hours(hour))
    assert await town.issues() == [MIDNIGHT, MIDNIGHT + hours(6)]
    middle_wh = leader.forecaster_of("Town")
    noon_s = np.array([int((MIDNIGHT + hours(12)).timestamp())])
    for issued_by in (MIDNIGHT + hours(5), MIDNIGHT + hours(11)):
        found = middle_wh(int(issued_by.timestamp()), noon_s)
        assert found is not None and found[0] == pytest.approx(7000, abs=30)
    assert middle_wh(int(MIDNIGHT.timestamp()) - 1, noon_s) is None
    assert middle_wh(int(MIDNIGHT.timestamp()), noon_s + 48 * 3600) is None

    # It came to 100 Wh more in each window; the day has one hour that nothing is known of.
    await town.knows(MIDNIGHT, MIDNIGHT + hours(20), f"{_OF_DAY} + 100")
    await town.knows(MIDNIGHT + hours(21), MIDNIGHT + hours(24), f"{_OF_DAY} + 100")
    assert leader.errors("Town") is None
    await town.step(leader, MIDNIGHT + hours(24))
    errors = leader.errors("Town")
    assert errors is not None
    assert errors.windows == 92
    assert errors.naive_error_wh == 9200
    assert errors.error_wh == pytest.approx(9200, rel=0.1)
    row = await town.connection.fetchrow("SELECT * FROM forecast_error")
    assert (row["zone_id"], row["day"], row["windows"]) == (TOWN, "2026-05-20", 92)

    # A late reading: the error of the day is told anew.
    await town.knows(MIDNIGHT + hours(20), MIDNIGHT + hours(21), f"{_OF_DAY} + 100")
    await town.step(leader, MIDNIGHT + hours(25))
    later = leader.errors("Town")
    assert later is not None and (later.windows, later.naive_error_wh) == (96, 9600)
    again = town.instance(leads=False)
    await again.step()
    assert again.errors("Town") == later


async def test_forecasts_of_another_clock_go(town: Town) -> None:
    await town.knows(MIDNIGHT - hours(24 * DAYS_BEFORE), MIDNIGHT)
    await town.step(town.instance(leads=True), MIDNIGHT + hours(24 * 90))
    instance = town.instance(leads=True)
    await town.step(instance, MIDNIGHT)
    assert await town.issues() == [MIDNIGHT]
    assert instance.of("Town") is not None


async def test_history_that_comes_at_once_is_learnt_at_once(town: Town) -> None:
    leader = town.instance(leads=True)
    await town.step(leader, MIDNIGHT)
    assert leader.reason("Town") == "0 of 3 days of history"
    known = []
    for begin, end in ((4, 0), (12, 4)):
        await town.knows(MIDNIGHT - hours(24 * begin), MIDNIGHT - hours(24 * end))
        leader._maker._whole_at_s = float("-inf")  # a minute later
        await town.step(leader, MIDNIGHT + hours(1 + begin / 12))
        assert leader.of("Town") is not None
        assert leader._maker._learnt is not None
        known.append(leader._maker._learnt[1])
    assert known == [4 * 96, 12 * 96]
