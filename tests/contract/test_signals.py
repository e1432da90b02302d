"""The signals on a real PostgreSQL: what assets hold, what is kept of it, and what a restart goes on from."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime

import asyncpg
import httpx
import numpy as np
import pytest

from services.api.answers import SignalsAnswer, SignalsHistory
from services.api.application import make_application
from services.api.newest_readings import NewestColumns
from services.api.service import ApiService, make_service
from services.api.signals.signal_store import delete_old_signals, read_answers, read_lights, read_promised
from services.api.signals.zone_lights import KeptLight, ZoneLights
from shared.clock import ManualClock
from shared.database.engine import connect
from shared.database.migrate import migrate
from shared.flexibility.traffic_light import LightMemory, advanced, loading_of
from shared.instants import format_instant, parse_instant
from shared.limits import SIGNALS_DAYS
from shared.settings import read_settings
from shared.words import LightState
from tests.contract.cluster import load_cluster
from tests.live_records import RECORD

NOW_S = parse_instant("2026-05-04T12:00:30Z")
ASSETS = """asset,meter,kind,up_kw,down_kw,energy_kwh,cost_per_mwh
battery,bat,storage,8,6,10,90
roof,sun,curtailable,,20,,40
boiler,load,load,3,,,120
"""


@pytest.fixture(scope="module")
def cluster(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    url = new_database()
    migrate(url)
    folder = tmp_path_factory.mktemp("assets")
    asyncio.run(load_cluster(url, folder, number=1, logged_at=datetime(2026, 1, 1, tzinfo=UTC), assets=ASSETS))
    return url


class Scene:
    """An API's parts on the cluster, with what balancers would have sent; Kafka is away."""

    def __init__(self, url: str) -> None:
        self.clock = ManualClock(float(NOW_S))
        self.service: ApiService = make_service(
            read_settings({"BILANS_KAFKA": "127.0.0.1:1", "BILANS_DATABASE_URL": url}), self.clock
        )

    async def begin(self) -> None:
        await self.service.shelf.refresh()
        await self.service.signals.restore()
        self.readings()
        self.flow(net_w=2000)

    async def end(self) -> None:
        await self.service.signals.close()
        await self.service.ends.close()
        await self.service.engine.dispose()

    def readings(self, content_wh: int = 5000, sun_w: int = 7000, load_w: int = 2500) -> None:
        """The newest readings of battery, sun and load."""
        topology = self.service.shelf.newest.topology
        told = {("bat", 4): (content_wh, 0), ("sun", 1): (1000, sun_w), ("load", 0): (1000, load_w)}
        self.service.newest._chunks.clear()
        for (meter, register), (value, power_w) in told.items():
            (place,) = np.flatnonzero(
                (topology.series_meter == topology.meter.index(meter)) & (topology.series_register == register)
            )
            chunk = NewestColumns(
                slot=np.array([topology.series_slot[place]], np.int64),
                ts_s=np.array([int(self.clock.now_s())]),
                value=np.array([value]),
                cadence_s=np.array([900]),
                power_w=np.array([power_w]),
            )
            self.service.newest._chunks[int(topology.series_partition[place])][f"{meter}"] = chunk
        self.service.newest.changes += 1

    def flow(self, net_w: int, *, heard: int = 3) -> None:
        """Every zone's live record, of all partitions."""
        now_s = self.clock.now_s()
        for partition in range(4):
            for zone in ("C", "S"):
                first = partition == 0
                self.service.view.take(
                    replace(
                        RECORD,
                        zone=zone,
                        partition=partition,
                        written_at_s=now_s,
                        last_received_at_s=now_s,
                        heard=heard if first else 0,
                        meters=3 if first else 0,
                        withdrawn_w=max(net_w, 0) if first else 0,
                        injected_w=max(-net_w, 0) if first else 0,
                        newest_s=int(now_s) if first else None,
                    )
                )

    async def signals(self, zone: str = "S") -> SignalsAnswer:
        self.service.board.worked_out()  # as each second; in between an answer may be a moment old
        async with self.client() as client:
            response = await client.get(f"/v1/zones/{zone}/signals")
        return SignalsAnswer.model_validate_json(response.content)

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(make_application(self.service), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://bilans")


@pytest.fixture
async def scene(cluster: str) -> AsyncIterator[Scene]:
    made = Scene(cluster)
    await made.begin()
    yield made
    await made.end()


@pytest.fixture
async def rows(cluster: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(cluster, application_name="test")
    yield connection
    await connection.execute(
        "TRUNCATE zone_light, zone_signal, flexibility_reservation, flexibility_dispatch, flexibility_order,"
        " flexibility_offer, flexibility_request CASCADE"
    )
    await connection.close()


async def test_the_envelope_of_a_zone_is_what_its_assets_hold(scene: Scene) -> None:
    """The battery 8 / 5 / 1.25 and 6 / 5 / 1.25 kW; the boiler draws 2.5 kW, the roof injects 7 kW."""
    answer = await scene.signals()
    assert [(row.minutes, row.up_kw, row.down_kw) for row in answer.envelope] == [
        (15, 10.5, 8),  # down: 2 kW are imported of 10, so 8 more can be
        (60, 7.5, 8),
        (240, 3.75, 8),
    ]
    assert [row.down_cost_per_kwh for row in answer.envelope] == [0.04625, 0.04625, 0.04625]  # 7 of the roof, 1 battery
    assert answer.envelope[0].up_cost_per_kwh == round((8 * 0.09 + 2.5 * 0.12) / 10.5, 6)
    assert [(step.kw, step.cost_per_kwh) for step in answer.cost_curve.up] == [(8, 0.09), (10.5, 0.12)]
    assert [(step.kw, step.cost_per_kwh) for step in answer.cost_curve.down] == [(7, 0.04), (8, 0.09)]
    assert (answer.assets.total, answer.assets.heard, answer.assets.silent) == (3, 3, [])
    assert (answer.headroom_import_kw, answer.headroom_export_kw, answer.unclipped_by) == (8, 14.5, [])
    assert (answer.envelope[0].up_expected_kw, answer.envelope[0].up_firm_kw) == (9.975, 7.633)
    root = await scene.signals("C")
    assert [(row.up_kw, row.down_kw) for row in root.envelope] == [(10.5, 8), (7.5, 8), (3.75, 8)]
    below = await scene.signals("K")
    assert ([row.up_kw for row in below.envelope], below.assets.total) == ([0, 0, 0], 0)


async def test_what_is_silent_or_stale_is_told(scene: Scene) -> None:
    scene.clock.move(1861)
    scene.flow(net_w=2000)  # the partitions write on, but no reading is new
    answer = await scene.signals()
    assert (answer.assets.heard, answer.assets.silent) == (0, ["battery", "boiler", "roof"])
    assert [row.up_kw for row in answer.envelope] == [0, 0, 0]
    scene.readings()
    scene.flow(net_w=2000, heard=1)
    stale = await scene.signals()
    assert (stale.state, stale.unclipped_by) == (LightState.STALE, ["S"])
    assert [(row.up_kw, row.down_kw) for row in stale.envelope] == [(10.5, 13), (7.5, 12), (3.75, 8.25)]


async def order(
    rows: asyncpg.Connection, scene: Scene, *, status: str, expires_in_s: int, window_s: int, power_w: int = 4000
) -> None:
    """Power up of the battery in one window, held or ordered."""
    zone_id = int(scene.service.shelf.newest.topology.zone_id[1])
    start, name = datetime.fromtimestamp(window_s, UTC), f"{status}{expires_in_s}{window_s}"
    await rows.execute(
        "INSERT INTO flexibility_request (id, zone_id, direction, power_w, from_at, to_at, status)"
        " VALUES ($1, $2, 'up', 4000, $3, $3, 'offered')",
        name,
        zone_id,
        start,
    )
    await rows.execute(
        "INSERT INTO flexibility_offer (id, request_id, power_w, cost, status, expires_at)"
        " VALUES ($1, $1, 4000, 1, 'open', now() + make_interval(secs => $2))",
        name,
        float(expires_in_s),
    )
    await rows.execute(
        "INSERT INTO flexibility_reservation (offer_id, asset, window_start, direction, power_w, cost_per_mwh, status)"
        " VALUES ($1, 'battery', $2, 'up', $4, 90, $3)",
        name,
        start,
        status,
        power_w,
    )


async def test_what_is_promised_is_shown_beside(scene: Scene, rows: asyncpg.Connection) -> None:
    window_s = NOW_S // 900 * 900
    await order(rows, scene, status="ordered", expires_in_s=-900, window_s=window_s)
    await order(rows, scene, status="held", expires_in_s=300, window_s=window_s + 1800, power_w=5000)
    await order(rows, scene, status="held", expires_in_s=-1, window_s=window_s)  # it has expired
    await order(rows, scene, status="released", expires_in_s=300, window_s=window_s)
    await order(rows, scene, status="ordered", expires_in_s=300, window_s=window_s - 900)  # it is over
    promised = await read_promised(rows, NOW_S)
    assert sorted((one.window_start_s, one.power_w) for one in promised) == [(window_s, 4000), (window_s + 1800, 5000)]
    await scene.service.signals.read_history()
    answer = await scene.signals()
    assert [row.up_kw for row in answer.envelope] == [10.5, 7.5, 3.75]
    # 4 kW of its 8 are left in this window, and 2.75 of its 5 kWh beside both: over one hour, and over four.
    assert [row.up_available_kw for row in answer.envelope] == [6.5, 5.25, 3.187]
    assert [row.down_available_kw for row in answer.envelope] == [8, 8, 8]


async def test_answers_of_assets_count_once_for_each_order(scene: Scene, rows: asyncpg.Connection) -> None:
    await order(rows, scene, status="ordered", expires_in_s=300, window_s=NOW_S // 900 * 900)
    offer = await rows.fetchval("SELECT id FROM flexibility_offer")
    await rows.execute(
        "INSERT INTO flexibility_order (id, offer_id, power_w, cost, status, ordered_at)"
        " VALUES ('one', $1, 4000, 1, 'accepted', now())",
        offer,
    )
    for quarter, answer in enumerate(("refused", "refused", None)):
        await rows.execute(
            "INSERT INTO flexibility_dispatch (order_id, asset, window_start, setpoint_w, acknowledgement)"
            " VALUES ('one', 'battery', now() + make_interval(mins => $1), 4000, $2)",
            15 * quarter,
            answer,
        )
    assert await read_answers(rows) == {"battery": (0, 1)}
    before = (await scene.signals()).envelope[2]
    await scene.service.signals.read_history()
    after = (await scene.signals()).envelope[2]
    assert (before.up_expected_kw, after.up_expected_kw) == (3.562, 3.505)  # 0.95 · 3.75, then 1.25 kW at 19 / 21
    assert after.up_firm_kw < before.up_firm_kw


async def test_signals_are_kept_each_minute_and_at_each_change(scene: Scene, rows: asyncpg.Connection) -> None:
    scene.readings(content_wh=0)
    await scene.service.signals.look_and_store()
    scene.readings()  # they come while now stands still
    await scene.service.signals.look_and_store()
    scene.clock.move(10)
    scene.readings(content_wh=0)  # now has moved: the row of the minute stays
    scene.flow(net_w=11_000)
    await scene.service.signals.look_and_store()
    scene.clock.move(10)
    scene.flow(net_w=11_000)
    await scene.service.signals.look_and_store()  # nothing has changed
    scene.clock.move(10)
    scene.flow(net_w=11_000)
    await scene.service.signals.look_and_store()
    minute_s = NOW_S - 30
    async with scene.client() as client:
        answer = (await client.get("/v1/zones/S/signals/history")).json()
        SignalsHistory.model_validate(answer)
        told = [(row["at"], row["state"], row["net_kw"]) for row in answer["rows"]]
        assert told == [
            (format_instant(minute_s), "green", 2),
            (format_instant(NOW_S + 10), "red", 11),
            (format_instant(minute_s + 60), "red", 11),
        ]
        assert answer["rows"][1]["reasons"] == ["import is 11 kW, the limit 10 kW: above 100 %"]
        assert [row["up_kw"] for row in answer["rows"][0]["envelope"]] == [10.5, 7.5, 3.75]
        first = (await client.get("/v1/zones/S/signals/history?limit=2")).json()
        rest = (await client.get(f"/v1/zones/S/signals/history?limit=2&cursor={first['next']}")).json()
        assert first["rows"] + rest["rows"] == answer["rows"]
        assert rest["next"] is None
        span = f"from={format_instant(minute_s + 1)}&to={format_instant(minute_s + 60)}"
        (only,) = (await client.get(f"/v1/zones/S/signals/history?{span}")).json()["rows"]
        assert only["state"] == "red"
        for path, status in (
            ("NONE/signals/history", 404),
            ("S/signals/history?from=2026-05-04", 422),
            (f"S/signals/history?from={format_instant(NOW_S)}&to={format_instant(NOW_S)}", 422),
            ("S/signals/history?cursor=x", 422),
        ):
            assert (await client.get(f"/v1/zones/{path}")).status_code == status
    assert await rows.fetchval("SELECT count(*) FROM zone_signal") == 7  # two minutes of three zones, and one change
    assert await delete_old_signals(rows, minute_s + SIGNALS_DAYS * 86_400 + 1) == 3
    assert await rows.fetchval("SELECT count(*) FROM zone_signal") == 4


async def test_a_restart_goes_on_where_the_light_was(scene: Scene, rows: asyncpg.Connection, cluster: str) -> None:
    scene.flow(net_w=8500)
    await scene.service.signals.look_and_store()
    scene.clock.move(10)
    scene.flow(net_w=2000)
    assert (await scene.signals()).state is LightState.AMBER
    await scene.service.signals.look_and_store()
    kept = await read_lights(rows)
    assert kept == {"S": KeptLight(LightMemory(amber=True, amber_low_since_s=NOW_S + 10), NOW_S)}
    again = Scene(cluster)
    again.clock.move(189)
    await again.begin()
    assert (await again.signals()).state is LightState.AMBER
    again.clock.move(1)
    again.flow(net_w=2000)
    assert (await again.signals()).state is LightState.GREEN
    await again.service.signals.look_and_store()
    assert (await read_lights(rows))["S"] == KeptLight(LightMemory(), NOW_S + 190)
    await again.end()


def test_lights_taken_up_anew_go_on_like_those_that_never_stopped() -> None:
    """At each moment of a course: what is kept then, and taken up by another process, shows the same from there on."""
    course = [(60 * k, net_w) for k, net_w in enumerate([85, 74, 74, 79, 101, 94, 94, 70, 70, 70, 70, 70])]
    memory = LightMemory()
    whole = []
    for now_s, net_w in course:
        memory = advanced(memory, loading_of(net_w, 100, None), None, now_s)
        whole.append(memory.state)
    for stop in range(len(course)):
        first, second = ZoneLights(), ZoneLights()
        states = [first.advance("S", loading_of(net_w, 100, None), None, now_s) for now_s, net_w in course[:stop]]
        second.restore(first.take_changed())
        states += [second.advance("S", loading_of(net_w, 100, None), None, now_s) for now_s, net_w in course[stop:]]
        assert states == whole
    assert LightState.RED in whole and whole[-1] is LightState.GREEN
