"""The assets now: from a topology and the newest readings to what each may give and take."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest

from services.api.live_view import LiveView
from services.api.newest_readings import NewestReadings
from services.api.signals.asset_view import AssetsNow, AssetView
from services.api.topology_terms import TopologyTerms
from shared.clock import ManualClock
from shared.settings import ClockMode
from shared.topology.rows import Asset
from shared.words import AssetKind
from tests.live_records import RECORD
from tests.unit.small_topology import OTHER, STATION, small_topology

NOW_S = 1_777_888_800
LOAD, SUN, POWER = 0, 1, 5
"""Slots of the small topology: the load's 1.8.0 and 1.7.0, the sun's 2.8.0."""
BATTERY_CONTENT = 4


class Shelf:
    def __init__(self) -> None:
        def asset(name: str, meter: str, kind: AssetKind, up: int | None, down: int | None, cost: str | None) -> Asset:
            limits = [None if power is None else Decimal(power) for power in (up, down)]
            price = None if cost is None else Decimal(cost)
            energy = Decimal(10) if kind is AssetKind.STORAGE else None
            return Asset(name, meter, kind, limits[0], limits[1], energy, None, price, None, None, None, None)

        assets = [
            asset("battery", "battery", AssetKind.STORAGE, 8, 6, "90"),
            asset("boiler", "load", AssetKind.LOAD, 5, None, "120.5"),
            asset("roof", "sun", AssetKind.CURTAILABLE, None, 20, None),
        ]
        self.moves_at_s = NOW_S + 1000
        self.newest = TopologyTerms(replace(small_topology(load_moves_at_s=self.moves_at_s), assets=assets))


def chunk(slots: Sequence[int], values: Sequence[int], powers: Sequence[int] | None, ts_s: int = NOW_S) -> bytes:
    columns = {
        "slot": pa.array(slots, pa.int32()),
        "ts": pa.array([ts_s] * len(slots)).cast(pa.timestamp("s", tz="UTC")),
        "value": pa.array(values, pa.int64()),
        "cadence_s": pa.array([900] * len(slots), pa.int32()),
    }
    if powers is not None:
        columns["power_w"] = pa.array(powers, pa.int64())
    sink = pa.BufferOutputStream()
    table = pa.table(columns)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


class Scene:
    """An asset view over a clock, with what balancers sent."""

    def __init__(self, mode: ClockMode = "wall") -> None:
        self.clock = ManualClock(float(NOW_S))
        self.view = LiveView(self.clock, mode)
        self.newest = NewestReadings()
        self.assets = AssetView(Shelf(), self.newest, self.view)  # type: ignore[arg-type]

    def record(self, **fields: float | None) -> None:
        told = {"written_at_s": self.clock.now_s(), "last_received_at_s": self.clock.now_s()} | fields
        self.view.take(replace(RECORD, **told))  # type: ignore[arg-type]

    def column(self, name: str) -> list[int]:
        now: AssetsNow = self.assets.now()
        values: list[int] = getattr(now.columns, name).tolist()
        return values


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.record()
    made.newest.take(b"0|0", chunk([LOAD, SUN, BATTERY_CONTENT], [9000, 5000, 5000], [3000, 7000, 0]))
    return made


def test_powers_energies_and_zones(scene: Scene) -> None:
    now = scene.assets.now()
    assert [asset.asset for asset in now.assets] == ["battery", "boiler", "roof"]
    assert now.columns.zone.tolist() == [OTHER, STATION, STATION]
    assert now.columns.up_w.tolist() == [8000, 3000, 0]
    assert now.columns.down_w.tolist() == [6000, 0, 7000]
    assert now.columns.up_wh.tolist()[0] == now.columns.down_wh.tolist()[0] == 5000
    assert now.cost_per_mwh == [Decimal(90), Decimal("120.5"), Decimal(0)]
    assert now.listed.merit.tolist() == [2, 0, 1]
    assert now.index_of("roof") == 2
    assert now.index_of("none") is None


def test_a_power_that_the_meter_sends_goes_before_the_slope(scene: Scene) -> None:
    scene.newest.take(b"0|1", chunk([POWER], [4200], [0]))
    assert scene.column("up_w") == [8000, 4200, 0]
    scene.newest.take(b"0|1", chunk([POWER], [4200], [0], NOW_S - 1861))  # it is too old
    assert scene.column("up_w") == [8000, 3000, 0]


def test_what_an_older_balancer_sends_tells_no_power(scene: Scene) -> None:
    scene.newest.take(b"0|0", chunk([LOAD, SUN, BATTERY_CONTENT], [9000, 5000, 5000], None))
    assert (scene.column("up_w"), scene.column("heard")) == ([8000, 0, 0], [True, True, True])


def test_a_meter_that_is_not_heard_in_time_holds_nothing(scene: Scene) -> None:
    scene.newest.take(b"0|0", chunk([LOAD, SUN], [9000, 5000], [3000, 7000]))  # no content of the battery any more
    assert (scene.column("up_w"), scene.column("heard")) == ([0, 3000, 0], [False, True, True])
    scene.clock.move(2 * 900 + 61)
    scene.record()
    assert (scene.column("down_w"), scene.column("heard")) == ([0, 0, 0], [False] * 3)


def test_a_partition_that_nobody_tells_of_holds_nothing(scene: Scene) -> None:
    scene.clock.move(5)
    assert scene.column("heard") == [True] * 3
    scene.clock.move(1)
    assert scene.column("heard") == [False] * 3


def test_half_a_minute_without_readings_holds_nothing_in_event_mode() -> None:
    scene = Scene("event")
    assert scene.assets.now().now_s is None
    scene.newest.take(b"0|0", chunk([LOAD, SUN, BATTERY_CONTENT], [9000, 5000, 5000], [3000, 7000, 0]))
    assert scene.column("heard") == [False] * 3
    scene.record(now_s=NOW_S, last_received_at_s=NOW_S - 30)
    assert scene.column("up_w") == [8000, 3000, 0]
    scene.record(now_s=NOW_S, last_received_at_s=NOW_S - 31)
    assert scene.column("heard") == [False] * 3


def test_an_asset_goes_with_its_meter(scene: Scene) -> None:
    scene.clock.move(1000)
    scene.record()
    assert scene.assets.now().columns.zone.tolist() == [OTHER, OTHER, STATION]


def test_slots_must_ascend() -> None:
    with pytest.raises(ValueError, match="ascend"):
        NewestReadings().take(b"0|0", chunk([3, 2], [1, 1], [0, 0]))
