"""All zones looked at together: the same as each zone looked at by itself, and told only when something changed."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from services.api.live_view import LiveView
from services.api.newest_readings import NewestColumns, NewestReadings
from services.api.signals.asset_history import AssetHistory, Promised
from services.api.signals.asset_view import AssetView
from services.api.signals.envelope_facts import envelope_facts
from services.api.signals.live_table import zones_now
from services.api.signals.outlooks import Outlooks
from services.api.signals.signal_board import SignalBoard
from services.api.signals.signals_sweep import SignalsSweep, ZoneSignal
from services.api.signals.zone_lights import ZoneLights
from services.api.topology_terms import TopologyTerms
from services.api.zone_answers import ZoneAnswers
from services.api.zone_live import work_out
from shared.clock import ManualClock
from shared.settings import ClockMode
from shared.topology.index import FOREVER_S, NEVER_S, Topology, empty_topology
from shared.words import LightState, MeterKind
from tests.live_records import RECORD
from tests.unit.assets_of_rows import Row

NOW_S = 1_777_888_800
ZONES = ["root", "a", "a1", "b"]


def topology() -> Topology:
    """Three meters in each zone, and a load of 6 kW that can be shed in a1 and in b."""
    assets = [
        replace(Row("load", up_kw="6", name=name).asset(), meter=meter) for name, meter in (("x", "6"), ("y", "9"))
    ]
    return replace(
        empty_topology(),
        number=1,
        zone=ZONES,
        zone_id=np.array([1, 2, 3, 4], np.int32),
        zone_parent=np.array([-1, 0, 1, 0], np.int32),
        import_limit_w=np.array([-1, 20_000, 10_000, 10_000]),
        export_limit_w=np.array([-1, 10_000, -1, 5000]),
        meter=[str(number) for number in range(12)],
        row_meter=np.arange(12, dtype=np.int32),
        row_zone=np.repeat(np.arange(4, dtype=np.int32), 3),
        row_kind=np.full(12, MeterKind.CONSUMER.code, np.int8),
        row_registers=np.ones(12, np.int8),
        row_max_wh=np.full(12, 10**6),
        row_valid_from_s=np.full(12, NEVER_S),
        row_valid_to_s=np.full(12, FOREVER_S),
        series_meter=np.arange(12, dtype=np.int32),
        series_register=np.zeros(12, np.int8),
        series_partition=np.zeros(12, np.int16),
        series_slot=np.arange(12, dtype=np.int32),
        assets=assets,
    )


class Scene:
    """The parts of the signals, on one topology and a clock that stands."""

    def __init__(self, mode: ClockMode = "wall") -> None:
        self.clock = ManualClock(float(NOW_S))
        self.view = LiveView(self.clock, mode)
        self.newest = NewestReadings()
        self.forecasts: dict[str, Any] = {}
        shelf: Any = SimpleNamespace(newest=TopologyTerms(topology()))
        self.terms: TopologyTerms = shelf.newest
        self.lights, outlooks = ZoneLights(), Outlooks(self.forecasts.get)
        self.answers = ZoneAnswers(shelf, self.view, self.lights, outlooks)
        self.board = SignalBoard(shelf, self.view, AssetView(shelf, self.newest, self.view))
        self.sweep = SignalsSweep(self.answers, self.board, self.lights, outlooks)
        self.draw(6000)

    def draw(self, power_w: int, silent: int = -1) -> None:
        """What every meter draws; one may be silent."""
        slots = np.delete(np.arange(12), silent) if silent >= 0 else np.arange(12)
        now_s, cadence_s, power = (np.full(len(slots), each) for each in (int(self.clock.now_s()), 900, power_w))
        self.newest.put(0, "0", NewestColumns(slots, now_s, slots, cadence_s, power))

    def flow(self, zone: str, net_w: int, **fields: Any) -> None:
        now_s = self.clock.now_s()
        told = {"written_at_s": now_s, "last_received_at_s": now_s, "heard": 12, "now_s": NOW_S} | fields
        self.view.take(replace(RECORD, zone=zone, withdrawn_w=max(net_w, 0), injected_w=max(-net_w, 0), **told))

    def told(self, *, everything: bool = False) -> dict[str, ZoneSignal]:
        return {one.zone: one for one in self.sweep.sweep(everything=everything)}


nets = st.integers(-12_000, 25_000)
steps = st.lists(
    st.tuples(st.integers(0, 100), st.lists(st.tuples(st.sampled_from(ZONES), nets, st.integers(0, 6)), max_size=6)),
    min_size=1,
    max_size=8,
)


@given(steps, st.sampled_from(["wall", "event"]))
def test_it_is_what_each_zone_says_by_itself(course: list[Any], mode: ClockMode) -> None:
    together, alone = Scene(mode), Scene(mode)
    for seconds, flows in course:
        for scene in (together, alone):
            scene.clock.move(seconds)
            for number, (zone, net_w, heard) in enumerate(flows):
                scene.flow(zone, net_w, heard=heard, partition=number % 2, now_s=NOW_S + seconds)
        told = together.told(everything=True)
        alone.board.worked_out()
        for zone in ZONES:
            now = alone.answers.now(zone)
            assert told[zone].answer == alone.board.signals(now)
            assert told[zone].state is now.state
            assert told[zone].net_w == (None if now.live.power_w is None else now.live.power_w.net)


@given(st.lists(st.tuples(nets, st.integers(0, 12), st.integers(0, 40), st.booleans()), max_size=5))
def test_the_table_is_what_each_zone_works_out(records: list[tuple[int, int, int, bool]]) -> None:
    for mode in ("wall", "event"):
        scene = Scene("wall" if mode == "wall" else "event")
        for partition, (net_w, heard, age_s, known) in enumerate(records):
            scene.flow(
                "a",
                net_w,
                partition=partition,
                heard=heard,
                written_at_s=scene.clock.now_s() - age_s / 5,
                last_received_at_s=scene.clock.now_s() - age_s,
                newest_s=NOW_S if known else None,
            )
        zones = zones_now(scene.view, scene.terms)
        for index, zone in enumerate(ZONES):
            live = work_out(
                scene.view.records_of(zone),
                int(scene.terms.meters_at(NOW_S)[index]),
                now_s=scene.view.now_s(),
                wall_s=scene.view.wall_s,
                event_mode=scene.view.event_mode,
            )
            assert bool(zones.stale[index]) is live.stale
            assert bool(zones.known[index]) is (live.power_w is not None)
            assert int(zones.net_w[index]) == (live.power_w.net if live.power_w else 0)


moments = st.tuples(
    st.lists(st.sampled_from([1000, 8000, 9500]), min_size=4, max_size=4),
    st.tuples(st.sampled_from([0, 3000, 6000]), st.sampled_from([-1, 6, 9])),
    st.sampled_from([{}, {"x": (0, 9)}]),
    st.sampled_from([(), (Promised("y", "up", NOW_S, 2500),)]),
    st.booleans(),
)


@given(moments, moments)
@example(([1000] * 4, (0, 6), {}, (), True), ([1000] * 4, (0, 9), {}, (), True))
def test_what_is_told_of_a_zone_does_not_change_unseen(first: Any, second: Any) -> None:
    scene, seen = Scene(), []
    for nets_w, drawn, answers, promised, awake in (first, second):
        scene.draw(*drawn)
        scene.board.history = AssetHistory(answers, promised)
        for zone, net_w in zip(ZONES, nets_w, strict=True):
            scene.flow(zone, net_w, heard=12 if awake else 1)
        texts = scene.board.worked_out().texts
        seen.append((envelope_facts(texts.table), [texts.of(index) for index in range(len(ZONES))]))
    (facts, told), (facts_after, told_after) = seen
    for index in range(len(ZONES)):
        if (facts[index] == facts_after[index]).all():
            assert told[index] == told_after[index]


def test_only_what_changed_is_told() -> None:
    scene = Scene()
    for zone in ZONES:
        scene.flow(zone, 1000)
    assert set(scene.told()) == set(ZONES)
    scene.clock.move(1)
    assert scene.told() == {}
    scene.flow("b", 1001)
    told = scene.told()
    assert {zone: one.turned for zone, one in told.items()} == {"b": False}
    scene.flow("b", 8001)
    assert {zone: one.turned for zone, one in scene.told().items()} == {"b": True}
    scene.draw(4000)  # less can be shed: in a1 and in b, and so above them
    told = scene.told()
    assert {zone: one.answer["envelope"][0]["up_kw"] for zone, one in told.items()} == {  # type: ignore[index]
        "root": 8,
        "a": 4,
        "a1": 4,
        "b": 4,
    }
    scene.clock.move(6)  # nobody writes any more
    assert {one.state for one in scene.told().values()} == {LightState.STALE}
    scene.sweep.forget()
    assert set(scene.told()) == set(ZONES)


def test_amber_by_the_forecast_is_told_with_its_time_and_reason() -> None:
    scene = Scene()
    start_s = np.arange(8, dtype=np.int64) * 900 + NOW_S
    p90_w = np.full(8, 1000)
    p90_w[5] = 8500
    scene.forecasts["b"] = SimpleNamespace(window_start_s=start_s, p10_w=np.zeros(8, np.int64), p90_w=p90_w)
    for zone in ZONES:
        scene.flow(zone, 1000)
    told = scene.told()
    assert {zone: one.state for zone, one in told.items() if one.state is not LightState.GREEN} == {
        "b": LightState.AMBER
    }
    assert told["b"].answer["expected_at"] == "2026-05-04T11:15:00Z"
    assert told["b"].answer["reasons"] == [
        "import may reach 8.5 kW within 4 hours by the forecast (P90), the limit 10 kW: above 80 % from"
        " 2026-05-04T11:15:00Z on"
    ]
    scene.forecasts["b"] = SimpleNamespace(window_start_s=start_s, p10_w=np.zeros(8, np.int64), p90_w=p90_w // 2)
    states = []
    for seconds in (1, 179, 1):
        scene.clock.move(seconds)
        for zone in ZONES:
            scene.flow(zone, 1000)
        states.append(scene.told(everything=True)["b"])
    assert [one.state for one in states] == [LightState.AMBER, LightState.AMBER, LightState.GREEN]
    assert states[0].answer["reasons"] == [
        "import is 1 kW, the limit 10 kW: was above 80 %, held until it has been lower for long enough"
    ]
    assert states[2].answer["expected_at"] is None
