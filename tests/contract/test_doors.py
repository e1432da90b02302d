"""The other doors of the API: zones, meters, live, pages, errors, the key. Kafka is away here."""

import dataclasses

import asyncpg
import httpx
import numpy as np
import pytest

from services.api.answers import LiveZonesAnswer, MetersAnswer, SignalsAnswer, ZoneAnswer, ZonesAnswer
from services.api.application import make_application
from services.api.newest_readings import NewestColumns
from services.api.service import ApiService, make_service
from shared.clock import ManualClock
from shared.limits import LIVE_VIEWERS_MAX
from shared.settings import read_settings
from tests.contract.conftest import NOW


async def test_zones_are_the_tree(api: httpx.AsyncClient) -> None:
    answer = ZonesAnswer.model_validate_json((await api.get("/v1/zones")).content)
    assert [(row.zone, row.parent, row.meters, row.boundary_meters) for row in answer.rows] == [
        ("C", None, 4, 0),
        ("S", "C", 3, 1),
        ("K", "S", 0, 0),  # its meter is valid from June on
    ]
    station = answer.rows[1]
    assert (station.import_limit_kw, station.export_limit_kw, station.lat) == (10, 12.5, 49.685)
    assert answer.rows[0].lat is None


async def test_zones_are_paged(api: httpx.AsyncClient) -> None:
    first = (await api.get("/v1/zones?limit=2")).json()
    second = (await api.get(f"/v1/zones?limit=2&cursor={first['next']}")).json()
    assert [row["zone"] for row in first["rows"] + second["rows"]] == ["C", "S", "K"]
    assert second["next"] is None


async def test_a_zone_has_its_place(api: httpx.AsyncClient) -> None:
    zone = ZoneAnswer.model_validate_json((await api.get("/v1/zones/S")).content)
    assert (zone.path, zone.children) == (["C", "S"], ["K"])
    assert {str(kind): count for kind, count in zone.meters_by_kind.items()} == {"consumer": 1, "pv": 1, "storage": 1}


async def test_before_the_first_reading_everything_is_stale(api: httpx.AsyncClient, service: ApiService) -> None:
    service.view._mode = "event"
    live = LiveZonesAnswer.model_validate_json((await api.get("/v1/live")).content)
    assert live.at is None
    assert {(zone.state, zone.at, zone.import_w) for zone in live.zones} == {("stale", None, None)}
    signals = SignalsAnswer.model_validate_json((await api.get("/v1/zones/S/signals")).content)
    assert (signals.state, signals.at, signals.headroom_import_kw) == ("stale", None, None)
    assert signals.reasons == ["no reading has come yet"]


async def test_meters_tell_what_was_last_heard(api: httpx.AsyncClient, service: ApiService) -> None:
    topology = service.shelf.newest.topology
    meter = topology.meter.index("load")
    (place,) = np.flatnonzero(topology.series_meter == meter)
    now_s = int(service.clock.now_s())
    chunk = NewestColumns(
        slot=np.array([topology.series_slot[place]], np.int64),
        ts_s=np.array([now_s - 180]),
        value=np.array([1500]),
        cadence_s=np.array([60]),
        power_w=np.array([0]),
    )
    service.newest._chunks[int(topology.series_partition[place])]["0"] = chunk
    answer = MetersAnswer.model_validate_json((await api.get("/v1/meters?zone=S")).content)
    assert [(row.meter, row.silent) for row in answer.rows] == [
        ("bat", True),
        ("edge", True),
        ("load", False),
        ("sun", True),
    ]
    (load,) = [row for row in answer.rows if row.meter == "load"]
    assert (load.age_s, load.cadence_s, load.newest[0].value, load.newest[0].obis_code) == (180, 60, 1500, "1.8.0")
    chunk.ts_s[0] -= 1  # two cadences and a minute are over
    silent = (await api.get("/v1/meters?silent=true&limit=3")).json()
    assert [row["meter"] for row in silent["rows"]] == ["bat", "edge", "load"]
    rest = (await api.get(f"/v1/meters?silent=true&limit=3&cursor={silent['next']}")).json()
    assert [row["meter"] for row in rest["rows"]] == ["quiet", "sun"]  # the young one is not valid yet
    assert rest["rows"][0]["newest_reading_at"] is None


async def test_pages_are_served_whole_and_safe(api: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/docs/start.js", "/docs/swagger-ui/swagger-ui.css", "/static/page.js"):
        response = await api.get(path)
        assert response.status_code == 200, path
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
    assert "unsafe-inline" not in (await api.get("/")).headers["content-security-policy"]
    assert "//" not in (await api.get("/docs")).text.replace("<!DOCTYPE", "")  # nothing from elsewhere


async def test_openapi_has_an_example_of_every_figure(api: httpx.AsyncClient) -> None:
    description = (await api.get("/openapi.json")).json()
    for name, schema in description["components"]["schemas"].items():
        for field, about in schema.get("properties", {}).items():
            shown = any(key in about for key in ("examples", "$ref", "anyOf", "items", "additionalProperties", "enum"))
            self_telling = (
                about.get("type") == "boolean" or "const" in about or name in ("HTTPValidationError", "ValidationError")
            )
            assert shown or self_telling, (name, field)
    assert {"/v1/live/stream", "/v1/audit", "/v1/zones/{zone}/signals"} <= set(description["paths"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("POST", "/v1/zones", 405), ("GET", "/v1/live/stream?zones=S,NONE", 404),
     ("GET", "/v1/zones/NONE/live", 404), ("GET", "/v1/zones/NONE/signals", 404), ("GET", "/v1/meters?zone=NONE", 404),
     ("GET", "/v1/meters?silent=perhaps", 422), ("GET", "/static/../application.py", 404)],
)  # fmt: skip
async def test_every_error_is_a_problem_document(api: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    response = await api.request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert response.json()["status"] == status
    assert response.json()["detail"]


async def test_readyz_names_what_is_missing(api: httpx.AsyncClient, rows: asyncpg.Connection) -> None:
    response = await api.get("/readyz")
    assert response.status_code == 503
    missing = "\n".join(response.json()["missing"])
    for word in ("live feed", "no ingest is ready", "no balancer is ready", "partitions without an owner: 0, 1, 2, 3"):
        assert word in missing
    await rows.execute(
        "INSERT INTO service_instance (instance, service, topology, ready, detail, seen_at) VALUES"
        " ('ingest:1', 'ingest', 1, true, '', clock_timestamp()),"
        " ('balancer:1', 'balancer', 1, true, '', clock_timestamp() - interval '6 seconds'),"
        " ('balancer:2', 'balancer', 1, false, 'warming its kernels', clock_timestamp())"
    )
    await rows.execute(
        "INSERT INTO progress (topic, partition, owner) SELECT 'bilans.readings', n, 'b' FROM generate_series(0, 2) n"
    )
    missing = "\n".join((await api.get("/readyz")).json()["missing"])
    assert "ingest" not in missing
    assert "no balancer is ready: warming its kernels" in missing
    assert "partitions without an owner: 3" in missing


async def test_status_stands_without_kafka(api: httpx.AsyncClient, rows: asyncpg.Connection) -> None:
    await rows.execute(
        "INSERT INTO progress (topic, partition, owner, owner_epoch, next_offset, topology, event_now)"
        " VALUES ('bilans.readings', 1, 'balancer-0', 3, 17, 1, '2026-05-04T10:20:00Z')"
    )
    status = (await api.get("/v1/status")).json()
    assert (status["clock"], status["now"], status["topology"], status["lag"]) == ("wall", NOW, 1, None)
    assert status["partitions"][1] == {
        "topic": "bilans.readings", "partition": 1, "owner": "balancer-0", "owner_epoch": 3, "next_offset": 17,
        "end_offset": None, "lag": None, "event_now": "2026-05-04T10:20:00Z", "topology": 1,
    }  # fmt: skip
    assert status["partitions"][4]["topic"] == "bilans.rejected"
    audit = await api.get("/v1/audit")
    assert (audit.status_code, audit.headers["retry-after"]) == (503, "2")


async def test_a_database_that_is_away_is_503_and_live_still_answers(service: ApiService) -> None:
    away = make_service(
        read_settings({"BILANS_KAFKA": "127.0.0.1:1", "BILANS_DATABASE_URL": "postgresql://a:b@127.0.0.1:1/none"}),
        service.clock,
    )
    away.shelf.newest = service.shelf.newest
    transport = httpx.ASGITransport(make_application(away), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://bilans") as api:
        for path in ("/v1/zones/S/balance", "/v1/status"):
            response = await api.get(path)
            assert (response.status_code, response.headers["retry-after"]) == (503, "2"), response.text
            assert response.headers["content-type"] == "application/problem+json"
        assert "PostgreSQL does not answer" in (await api.get("/readyz")).json()["missing"]
        for path in ("/healthz", "/v1/zones", "/v1/zones/S/live", "/v1/live", "/v1/meters", "/metrics"):
            assert (await api.get(path)).status_code == 200
    await away.engine.dispose()


async def test_a_session_that_the_database_ended_is_replaced(api: httpx.AsyncClient, rows: asyncpg.Connection) -> None:
    for _ in range(3):
        assert (await api.get("/v1/zones/S/balance")).status_code == 200
        await rows.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_a_key_is_demanded_of_all_but_the_probes(database: str, clock: ManualClock) -> None:
    settings = read_settings({"BILANS_KAFKA": "127.0.0.1:1", "BILANS_DATABASE_URL": database})
    service = make_service(dataclasses.replace(settings, api_key="secret"), clock)
    transport = httpx.ASGITransport(make_application(service), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://bilans") as api:
        for path in ("/", "/docs", "/openapi.json", "/metrics", "/v1/live/stream", "/v1/zones", "/static/page.js"):
            refused = await api.get(path, headers={"X-API-Key": "guess"})
            assert refused.status_code == 401
            assert "default-src 'self'" in refused.headers["content-security-policy"]
        assert (await api.get("/healthz")).status_code == 200
        assert (await api.get("/readyz")).status_code == 503
        for key in ({"X-API-Key": "secret"}, {"Authorization": "Bearer secret"}):
            assert (await api.get("/v1/zones", headers=key)).status_code == 200
    await service.engine.dispose()


async def test_a_viewer_too_many_is_asked_to_come_again(api: httpx.AsyncClient, service: ApiService) -> None:
    service.stream.viewers = LIVE_VIEWERS_MAX
    response = await api.get("/v1/live/stream")
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")


async def test_metrics_name_routes_never_what_was_asked(api: httpx.AsyncClient) -> None:
    await api.get("/v1/zones/S/live")
    await api.get("/v1/zones/SECRETZONE/live")
    text = (await api.get("/metrics")).text
    assert 'bilans_api_request_seconds_count{route="/v1/zones/{zone}/live",status="200"}' in text
    assert "SECRETZONE" not in text
