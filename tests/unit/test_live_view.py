"""The live view: owners, freshness, and what a viewer of the stream is told; without any broker."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from starlette.types import Message

from services.api import viewer as viewer_module
from services.api.balance_changes import Restatement, runs_of_windows
from services.api.live_stream import EVENTS_KEPT, RESTATED_AN_EVENT, LiveStream
from services.api.live_view import LiveView
from services.api.newest_readings import NewestReadings
from services.api.signals.asset_view import AssetView
from services.api.signals.outlooks import Outlooks
from services.api.signals.signal_board import SignalBoard
from services.api.signals.zone_lights import ZoneLights
from services.api.topology_terms import TopologyTerms
from services.api.viewer import Viewer
from services.api.zone_answers import ZoneAnswers, live_answer
from services.api.zone_live import work_out
from shared.clock import ManualClock
from shared.instants import format_instant
from shared.live_record import LiveRecord
from shared.topology.index import FOREVER_S, NEVER_S, empty_topology
from shared.words import LightState, MeterKind
from tests.live_records import RECORD

NOW_S = 1_777_888_800


class Shelf:
    """A topology of a cluster C over a station S with ten meters."""

    def __init__(self) -> None:
        topology = replace(
            empty_topology(),
            number=1,
            zone=["C", "S"],
            zone_id=np.array([1, 2], np.int32),
            zone_parent=np.array([-1, 0], np.int32),
            import_limit_w=np.array([-1, 10_000]),
            export_limit_w=np.array([-1, -1]),
            meter=[str(number) for number in range(10)],
            row_meter=np.arange(10, dtype=np.int32),
            row_zone=np.ones(10, np.int32),
            row_kind=np.full(10, MeterKind.CONSUMER.code, np.int8),
            row_registers=np.ones(10, np.int8),
            row_valid_from_s=np.full(10, NEVER_S),
            row_valid_to_s=np.full(10, FOREVER_S),
        )
        self.newest = TopologyTerms(topology)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(float(NOW_S))


@pytest.fixture
def view(clock: ManualClock) -> LiveView:
    return LiveView(clock, "wall")


@pytest.fixture
def answers(view: LiveView) -> ZoneAnswers:
    return ZoneAnswers(Shelf(), view, ZoneLights(), Outlooks())  # type: ignore[arg-type]


@pytest.fixture
def stream(answers: ZoneAnswers, view: LiveView) -> LiveStream:
    shelf: Any = Shelf()
    return LiveStream(answers, SignalBoard(shelf, view, AssetView(shelf, NewestReadings(), view)), view, sequence=1000)


def record(**fields: Any) -> LiveRecord:
    return replace(
        RECORD, **({"written_at_s": float(NOW_S), "last_received_at_s": float(NOW_S), "now_s": NOW_S} | fields)
    )


def test_a_zone_is_the_sum_of_its_partitions(view: LiveView, answers: ZoneAnswers) -> None:
    view.take(record(withdrawn_w=3000, heard=5, newest_s=NOW_S - 60, soc_wh=None))
    view.take(
        record(partition=1, withdrawn_w=500, charged_w=500, injected_w=1000, heard=3, newest_s=NOW_S - 10, soc_wh=70)
    )
    zone = live_answer(answers.now("S"))
    assert (zone["withdrawn_w"], zone["import_w"], zone["self_sufficiency"], zone["soc_wh"]) == (3500, 3000, 0.25, 70)
    assert (zone["meters"], zone["heard"], zone["heard_share"], zone["newest_age_s"]) == (10, 8, 0.8, 10)
    assert (zone["state"], zone["loading_import"], zone["loading_export"]) == ("green", 0.3, None)


def test_the_running_window_is_only_what_belongs_to_it(view: LiveView, answers: ZoneAnswers) -> None:
    view.take(record(window_start_s=NOW_S, withdrawn_wh=40, withdrawn_expected_wh=90, injected_expected_wh=100))
    view.take(record(partition=1, window_start_s=NOW_S - 900, withdrawn_wh=7000, withdrawn_expected_wh=7000))
    window = live_answer(answers.now("S"))["window"]
    assert isinstance(window, dict)
    assert (window["withdrawn_wh"], window["import_wh"], window["expected_import_wh"]) == (40, 40, 0)
    assert window["expected_export_wh"] == 10


def test_an_older_owner_is_ignored(view: LiveView, answers: ZoneAnswers) -> None:
    assert view.take(record(epoch=2, withdrawn_w=1, heard=10))
    assert not view.take(record(epoch=1, withdrawn_w=2, heard=10))
    assert live_answer(answers.now("S"))["withdrawn_w"] == 1


def test_a_new_owner_whose_clock_is_behind_is_heard(view: LiveView, answers: ZoneAnswers) -> None:
    view.take(record(epoch=1, written_at_s=NOW_S + 60.0, withdrawn_w=1))
    view.take(record(epoch=2, withdrawn_w=2))
    assert live_answer(answers.now("S"))["withdrawn_w"] == 2


def test_what_a_partition_left_behind_no_longer_counts(view: LiveView) -> None:
    view.take(record(zone="S", written_at_s=NOW_S - 6.0))
    assert len(view.records_of("S")) == 1
    view.take(record(zone="C"))
    assert view.records_of("S") == []


@pytest.mark.parametrize(
    ("heard", "silent_s", "stale"), [(5, 0, False), (4, 0, True), (10, 5, False), (10, 6, True)], ids=str
)
def test_a_zone_is_stale_by_the_rule(
    view: LiveView, answers: ZoneAnswers, clock: ManualClock, heard: int, silent_s: int, stale: bool
) -> None:
    view.take(record(heard=heard))
    clock.move(silent_s)
    zone = answers.now("S")
    assert (zone.state is LightState.STALE) is stale
    assert bool(zone.reasons) is stale


def test_half_a_minute_without_a_reading_is_stale_in_event_mode() -> None:
    def stale(silent_s: float) -> bool:
        silent = record(last_received_at_s=NOW_S - silent_s)
        return work_out([silent], 3, now_s=NOW_S - 10**6, wall_s=float(NOW_S), event_mode=True).stale

    assert not stale(30)
    assert stale(31)
    assert not work_out([record(last_received_at_s=None)], 3, now_s=NOW_S, wall_s=float(NOW_S), event_mode=False).stale


def test_event_time_is_the_greatest_and_never_goes_back(clock: ManualClock) -> None:
    view = LiveView(clock, "event")
    assert view.now_s() is None
    for partition, now_s in ((0, 100), (1, 300), (0, 200)):
        view.take(record(partition=partition, now_s=now_s))
    view.take(record(partition=1, epoch=2, now_s=250))
    assert view.now_s() == 300


def test_runs_of_windows() -> None:
    changed = {("S", 900), ("S", 1800), ("S", 3600), ("C", 900)}
    assert list(runs_of_windows(changed)) == [("C", 900, 1800), ("S", 900, 2700), ("S", 3600, 4500)]


def parse(part: bytes) -> list[tuple[str, int, dict[str, Any]]]:
    events = []
    for text in part.decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in text.splitlines())
        events.append((fields["event"], int(fields["id"]), orjson.loads(fields["data"])))
    return events


async def told(
    parts: AsyncIterator[bytes], stream: LiveStream, *, all_zones: bool = False
) -> list[tuple[str, int, Any]]:
    """What a viewer is told at the next tick."""
    pending = anext(parts)
    waiting = asyncio.ensure_future(pending)
    await asyncio.sleep(0)
    stream.tick(all_zones=all_zones)
    return parse(await waiting)


async def test_a_slow_viewer_gets_the_present_and_no_backlog(stream: LiveStream, view: LiveView) -> None:
    view.take(record(withdrawn_w=1, heard=10))
    stream.tick(all_zones=True)
    parts = Viewer(stream, None).events()
    assert parse(await anext(parts))[0][0] == "hello"
    for power_w in range(2, 100):  # it takes nothing meanwhile
        view.take(record(withdrawn_w=power_w, heard=10))
        stream.windows_changed({("S", 900 * power_w)})
        stream.tick(all_zones=False)
    view.take(record(withdrawn_w=100, heard=10))
    events = await told(parts, stream)
    assert [name for name, _, _ in events] == ["balance"] * 98 + ["live"]
    assert [zone["withdrawn_w"] for zone in events[-1][2]["zones"] if zone["zone"] == "S"] == [100]
    numbers = [number for _, number, _ in events]
    assert numbers == sorted(set(numbers))


async def test_a_viewer_that_fell_behind_begins_anew(stream: LiveStream) -> None:
    stream.tick(all_zones=True)
    parts = Viewer(stream, frozenset({"S"})).events()
    await anext(parts)
    for number in range(EVENTS_KEPT + 1):
        stream.windows_changed({("S", 1800 * number)})
        stream.tick(all_zones=False)
    (event,) = await told(parts, stream)
    assert event[0] == "hello"


def restatement(revision: int, before_wh: int, after_wh: int) -> Restatement:
    return Restatement(revision, {"withdrawn_wh": before_wh}, {"withdrawn_wh": after_wh})


async def test_restated_windows_are_told_with_their_figures_unless_they_are_many(stream: LiveStream) -> None:
    stream.tick(all_zones=True)
    parts = Viewer(stream, frozenset({"S"})).events()
    await anext(parts)
    stream.windows_changed({("S", 900)})
    stream.windows_restated({("S", 1800): restatement(3, 5, 6), ("C", 1800): restatement(2, 1, 2)})
    stream.windows_restated({("S", 1800): restatement(4, 6, 9)})
    ((name, _, event),) = await told(parts, stream)
    assert (name, event["window_start"], event["window_end"]) == ("balance", format_instant(900), format_instant(2700))
    before_and_after = {"before": {"withdrawn_wh": 5}, "after": {"withdrawn_wh": 9}}
    assert event["restated"] == [{"window_start": format_instant(1800), "revision": 4, **before_and_after}]
    many = {("S", 900 * k): restatement(2, 0, 1) for k in range(1, RESTATED_AN_EVENT + 2)}
    stream.windows_restated(many)
    ((_, _, event),) = await told(parts, stream)
    assert "restated" not in event
    assert event["window_end"] == format_instant(900 * (RESTATED_AN_EVENT + 2))


async def test_a_sign_of_life_comes_each_second(stream: LiveStream) -> None:
    stream.tick(all_zones=True)
    parts = Viewer(stream, frozenset({"S"})).events()
    await anext(parts)
    waiting = asyncio.ensure_future(anext(parts))
    ticks = 0
    while not waiting.done():
        await asyncio.sleep(0)
        stream.tick(all_zones=False)
        await asyncio.sleep(0)
        ticks += 1
    assert ticks <= 6
    assert parse(await waiting)[0][2]["zones"] == []


async def test_a_stop_ends_the_stream(stream: LiveStream) -> None:
    parts = Viewer(stream, None).events()
    await anext(parts)
    stream.stop()
    with pytest.raises(StopAsyncIteration):
        while True:
            await anext(parts)


async def test_a_viewer_that_takes_nothing_is_let_go(stream: LiveStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_module, "VIEWER_SEND_S_MAX", 0.05)
    sent: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message["type"])
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()  # the connection's buffer is full, and stays so

    response = viewer_module.ViewerResponse(Viewer(stream, None))
    await response.stream_response(send)
    assert (sent, stream.viewers) == (["http.response.start", "http.response.body"], 0)


def test_a_zone_that_the_topology_lost_is_told_no_more(stream: LiveStream, view: LiveView) -> None:
    view.take(record(zone="gone"))
    stream.tick(all_zones=False)
    stream.tick(all_zones=True)
    assert {orjson.loads(body)["zone"] for body in stream.zones_since(0, None)} == {"C", "S"}
