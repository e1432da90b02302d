"""The topology changes under a running system, over windows of weeks ago: moves, exchanges, new meters, pool, limits.

The tests of this file run in their order, on one system. After each step the tables equal the independent recomputation
of all that was sent under the topology in force; in the end every answer of a step is given again `as_of` its moment.
"""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from deploy.topology_loading import load_and_wait
from shared.settings import Settings, read_settings
from tests.end_to_end.changing_cluster import (
    BEGIN_S,
    END_S,
    HELD_AFTER,
    HELD_BEFORE,
    LATER,
    MOVE_S,
    PACK_EXCHANGE_S,
    PUMP_EXCHANGE_S,
    ROOF_EXCHANGE_S,
    SERIES,
    Folder,
    Reading,
    as_lines,
    as_table,
    corrections,
    held,
    instant,
    last_wh,
    readings_of,
)
from tests.end_to_end.compare import compare_with_api, compare_with_tables, fetch_sums
from tests.end_to_end.past_answers import Moment, differing_answers, hold_revisions, take_moment
from tests.end_to_end.recompute import Recomputation, recompute
from tests.end_to_end.recompute_topology import read_plain_topology
from tests.end_to_end.restated import hold_restatements, read_restatements
from tests.system import SystemUnderTest, running_bilans

SPAN = f"from={instant(BEGIN_S)}&to={instant(END_S)}"
ALL = [reading for series in SERIES for reading in readings_of(series)]


class Story:
    """What was sent to a running system and which topologies it was given."""

    def __init__(self, system: SystemUnderTest, topology: Folder, folder: Path) -> None:
        self.system = system
        self.topology = topology
        self.sent: list[Reading] = []
        self.moments: list[Moment] = []
        self._folder = folder

    def post(self, readings: list[Reading]) -> None:
        """Sends them; they may not be in the balance yet."""
        taken = self.system.post_readings(as_lines(readings))
        assert (taken["accepted"], taken["rejected"]) == (len(readings), 0)
        self.sent += readings

    def send(self, readings: list[Reading]) -> None:
        """Sends them and waits until they are in the balance."""
        self.post(readings)
        self.system.wait_in_balance(len(self.sent))

    async def load(self) -> int:
        """Loads the topology as it is now and waits until it is in the balance; the most that was seen recomputing."""
        folder = self.topology.write(self._folder)
        data_dir = self.system.data_dir
        loading = asyncio.create_task(load_and_wait(folder, data_dir, wait=True, timeout_s=60, show=lambda text: None))
        most = 0
        async with httpx.AsyncClient(base_url=self.system.addresses.api, timeout=30) as client:
            while not loading.done():
                most = max(most, (await client.get("/v1/audit")).json()["recomputing"])
                await asyncio.sleep(0.02)
        assert (await loading).changed
        assert self.system.get("/v1/audit")["recomputing"] == 0
        return most

    def recomputation(self) -> Recomputation:
        """What the tables must hold now."""
        return recompute(as_table(self.sent), read_plain_topology(self.topology.write(self._folder)))

    async def check(self) -> None:
        """Holds the tables to it, and notes what the API says."""
        addresses = self.system.addresses
        recomputation = self.recomputation()
        assert (await compare_with_tables(addresses.database_url, recomputation)).shown() == ""
        books = self.system.get("/v1/audit")
        assert (books["received"], books["difference"], books["rejected"]) == (len(self.sent), 0, {})
        self.moments.append(await take_moment(addresses, recomputation.zones, SPAN))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("in-flight")
    topology = Folder()
    with running_bilans(folder, topology.write(folder / "topology")) as running:
        yield Story(running, topology, folder / "topology")


async def test_late_readings_before_any_change(story: Story) -> None:
    late = held(HELD_BEFORE, ALL)
    kept = {id(one) for one in [*late, *held(HELD_AFTER, ALL)]}
    story.send([one for one in ALL if id(one) not in kept])
    await story.check()
    story.send([*late, *corrections("house", 0, 1)])
    await story.check()


async def test_a_meter_moves_to_another_station_weeks_ago(story: Story) -> None:
    story.topology.replace_meter(
        "house",
        f"house,East,mill,consumer,1.8.0,8,,{instant(MOVE_S)}",
        f"house,West,mill,consumer,1.8.0,8,{instant(MOVE_S)},",
    )
    assert await story.load() > 0
    await story.check()
    late = held(HELD_AFTER, [one for one in ALL if one.meter == "house"])
    assert {one.ts_s < MOVE_S for one in late} == {True, False}
    story.send(late)
    await story.check()


async def test_meters_are_exchanged_long_ago_and_of_late_and_without_values(story: Story) -> None:
    roof, pack, pump = SERIES[1], SERIES[3], SERIES[4]
    excluded = _count(story, "excluded")
    assert excluded > 0  # their registers fell
    story.topology.exchanges = [
        f"roof,2.8.0,{instant(ROOF_EXCHANGE_S)},{last_wh(roof)},{roof.first_wh}",
        f"pack,2.8.0,{instant(PACK_EXCHANGE_S)},{last_wh(pack)},{pack.first_wh}",
        f"pump,1.8.0,{instant(PUMP_EXCHANGE_S)},,",
    ]
    assert pump.exchange_s == PUMP_EXCHANGE_S
    assert await story.load() > 0
    await story.check()
    assert _count(story, "excluded") == 0
    story.send(held(HELD_AFTER, [one for one in ALL if one.meter != "house"]))
    await story.check()


async def test_a_meter_and_a_zone_are_added(story: Story) -> None:
    story.topology.zones.append("North,Town,station,,")
    story.topology.meters.append("mast,North,school,consumer,1.8.0,4,,")
    assert await story.load() == 0
    story.send(list(readings_of(LATER)))
    await story.check()


async def test_limits_change_and_nothing_is_recomputed(story: Story) -> None:
    before = await fetch_sums(story.system.addresses.database_url)
    story.topology.zones[1] = "East,Town,station,55,45"
    assert await story.load() == 0
    await story.check()
    assert await fetch_sums(story.system.addresses.database_url) == before
    assert story.moments[-1].revisions == story.moments[-2].revisions


async def test_a_member_becomes_excluded_and_leaves_the_pool(story: Story) -> None:
    drawn_wh = _count(story, "pool_drawn_wh")
    story.topology.members[1] = "school,School,gmina,true"
    # The switch comes while late readings wait, of a meter that it touches and of one that it does not.
    story.post([*corrections("pump", 1, 1), *corrections("plant", 1, 1)])
    assert await story.load() > 0
    story.system.wait_in_balance(len(story.sent))
    await story.check()
    assert 0 < _count(story, "pool_drawn_wh") < drawn_wh
    restated = await _restated_in_the_stream(story, "East", [*corrections("house", 1, 2), *corrections("roof", 2, 3)])
    await story.check()
    for told in restated:
        query = f"from={told['window_start']}&to={instant(END_S)}&limit=1"
        (row,) = story.system.get(f"/v1/zones/East/balance?{query}")["rows"]
        assert told["before"] != told["after"] == {name: row[name] for name in told["after"]}
        assert (told["window_start"], told["revision"]) == (row["window_start"], row["revision"])
    compared = await compare_with_api(story.system.addresses.api, story.recomputation(), ["Town"])
    assert (compared.shown(), compared.windows) == ("", (END_S - BEGIN_S) // 900)


async def test_no_revision_was_changed_and_each_is_the_one_before_plus_one(story: Story) -> None:
    for earlier, later in pairwise(story.moments):
        hold_revisions(earlier, later)
    assert max(revision for _, revision in story.moments[-1].revisions) >= 4


async def test_restatements_tell_every_change_of_a_closed_window(story: Story) -> None:
    addresses = story.system.addresses
    restated = await read_restatements(_settings(story))
    hold_restatements(restated, await fetch_sums(addresses.database_url))
    moved = {window_start.timestamp() >= MOVE_S for zone, window_start in restated if zone == "West"}
    assert moved == {True, False}
    assert {zone for zone, _ in restated} == {"Town", "East", "West", "North"}  # of North only the pool


async def test_every_past_answer_comes_out_byte_for_byte(story: Story) -> None:
    for number, moment in enumerate(story.moments[:-2]):  # the last ones are too young still
        assert await differing_answers(story.system.addresses, moment, SPAN) == [], f"moment {number}"
    # All but the change of limits had changed what is said.
    assert len({frozenset(moment.answers.items()) for moment in story.moments}) == len(story.moments) - 1


async def _restated_in_the_stream(story: Story, zone: str, readings: list[Reading]) -> list[dict[str, Any]]:
    """Sends readings and listens to the event stream until it tells of restated windows of the zone: the first."""
    url = f"{story.system.addresses.api}/v1/live/stream?zones={zone}"
    async with httpx.AsyncClient(timeout=60) as client, client.stream("GET", url) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: hello"
        sending = asyncio.create_task(asyncio.to_thread(story.send, readings))
        async for line in lines:
            event = orjson.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if "restated" in event:
                break
        await sending
    restated: list[dict[str, Any]] = event["restated"]
    return restated


def _count(story: Story, name: str) -> int:
    """Town's figure over all days, as the API says it."""
    query = f"{SPAN}&resolution=day"
    return sum(row[name] for row in story.system.get(f"/v1/zones/Town/balance?{query}")["rows"])


def _settings(story: Story) -> Settings:
    addresses = story.system.addresses
    return read_settings({"BILANS_KAFKA": addresses.kafka, "BILANS_DATABASE_URL": addresses.database_url})
