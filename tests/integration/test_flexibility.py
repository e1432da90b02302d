"""Requests, offers, orders and their messages on a real PostgreSQL, a real Kafka and a real API process."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest

from deploy.embedded.kafka import EmbeddedKafka
from services.api.cursor import encode_cursor
from services.api.flexibility.models import OrderAnswer, OrdersAnswer, RequestAnswer, RequestsAnswer, StepsAnswer
from services.api.flexibility.simulation_models import SimulationAnswer
from services.api.leadership import LOCK
from shared.database.engine import connect
from shared.database.migrate import migrate
from shared.kafka_client import make_consumer
from shared.settings import Settings, read_settings
from shared.topics import DISPATCH, ensure_topics
from tests.integration.api_process import Api, running_api
from tests.integration.flexible_cluster import NOW_S, Dso, load, tell

STATIONS = [f"S{number}" for number in range(1, 14)]
"""A test takes one of its own."""
_stations = iter(STATIONS)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]) -> Iterator[Settings]:
    """A Kafka of its own, since what stands in `bilans.live` decides; in event mode, so that now stands still."""
    folder = tmp_path_factory.mktemp("flexibility")
    database_url = new_database()
    migrate(database_url)
    kafka = EmbeddedKafka(folder / "data", folder / "kafka.log")
    kafka.prepare()
    kafka.start()
    try:
        asyncio.run(kafka.wait_ready())
        settings = read_settings(
            {"BILANS_KAFKA": kafka.bootstrap, "BILANS_DATABASE_URL": database_url, "BILANS_CLOCK": "event"}
        )
        asyncio.run(ensure_topics(settings))
        asyncio.run(load(database_url, folder / "topology", STATIONS))
        asyncio.run(tell(settings, STATIONS))
        yield settings
    finally:
        kafka.stop()


@dataclass(frozen=True)
class LeftBehind:
    """What an instance left that was killed after the commit of an order, and before anything of it was sent."""

    order: Any
    waiting: list[asyncpg.Record]
    """Its messages in the outbox."""


@pytest.fixture(scope="module")
def left_behind(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> LeftBehind:
    """The instance does not lead, since the test does; so it takes the order and leaves the sending to another."""
    return asyncio.run(_order_and_crash(settings, tmp_path_factory.mktemp("killed") / "api.log"))


async def _order_and_crash(settings: Settings, log: Path) -> LeftBehind:
    database = await connect(settings.database_url, application_name="test")
    assert await database.fetchval("SELECT pg_try_advisory_lock($1)", LOCK)
    with running_api(settings, log) as first:
        await _heard(first)
        async with asking(first, next(_stations)) as dso:
            order = await dso.order((await dso.ask(4))["offer"], 4)
        await asyncio.sleep(1.0)  # longer than a sender looks
        waiting = await database.fetch("SELECT message_id, topic, key, value FROM flexibility_outbox ORDER BY id")
        first.process.kill()
        first.process.wait()
    await database.close()  # and with it the lock
    return LeftBehind(order, waiting)


@pytest.fixture(scope="module")
def api(settings: Settings, left_behind: LeftBehind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    del left_behind  # it comes first
    with running_api(settings, tmp_path_factory.mktemp("api") / "api.log") as running:
        asyncio.run(_heard(running))
        yield running


async def _heard(api: Api) -> None:
    async with httpx.AsyncClient(base_url=api.url) as client:
        for _ in range(100):
            if (await client.get("/v1/zones/S1/signals")).json().get("headroom_import_kw") is not None:
                return
            await asyncio.sleep(0.05)
    raise AssertionError("the live view did not come")


@pytest.fixture
async def dso(api: Api) -> AsyncIterator[Dso]:
    """Of a station that no other test has."""
    async with asking(api, next(_stations)) as asks:
        yield asks


@asynccontextmanager
async def asking(api: Api, zone: str) -> AsyncIterator[Dso]:
    async with httpx.AsyncClient(base_url=api.url, timeout=15) as client:
        yield Dso(client, zone)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(settings.database_url, application_name="test")
    yield connection
    await connection.close()


async def until(condition: Callable[[Any], bool], ask: Callable[[], Any]) -> Any:
    """What `ask` answers once it fulfils the condition; within ten seconds."""
    for _ in range(200):
        answer = await ask()
        if condition(answer):
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(answer)


async def test_the_second_gets_only_what_is_left(dso: Dso) -> None:
    """Two batteries of 5 kWh each: an hour of 7 kW, then 3, then nothing, until the first is given back."""
    first = await dso.ask(7)
    RequestAnswer.model_validate(first)
    assert (first["status"], first["reason"], first["offer"]["kw"]) == ("offered", None, 7)
    assert first["offer"]["cost"] == pytest.approx((5 * 300 + 2 * 400) / 1000)
    assert [window["window_start"][11:16] for window in first["offer"]["windows"]] == [
        "11:00",
        "11:15",
        "11:30",
        "11:45",
    ]
    assert {window["kw"] for window in first["offer"]["windows"]} == {7}
    second = await dso.ask(7)
    assert second["offer"]["kw"] == 3
    none = await dso.ask(7)
    assert (none["status"], none["offer"]) == ("declined", None)
    assert "promised already" in none["reason"]
    assert await dso.get(f"requests/{none['id']}") == none
    for _ in range(2):
        cancelled = await dso.post(f"requests/{first['id']}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (await dso.post(f"requests/{none['id']}/cancel")).status_code == 409
    assert (await dso.ask(20))["offer"]["kw"] == 7
    assert (await dso.ask(20, "down"))["offer"] is None  # what is promised one way is not offered the other way


async def test_the_network_limits_what_is_offered(dso: Dso) -> None:
    """12.5 kW of export and the 2 kW that flow in leave 14.5 of 16 kW; 10 kW of import leave 8 of 12."""
    assert (await dso.ask(16, start="10:15", end="10:30"))["offer"]["kw"] == 14.5
    down = await dso.ask(16, "down", start="10:30", end="10:45")
    assert down["offer"]["kw"] == 8
    none = await dso.ask(1, "down", start="10:30", end="10:45")
    assert none["reason"].startswith(f"Zone {dso.zone} has no room down")


async def test_a_retry_changes_nothing(dso: Dso, database: asyncpg.Connection) -> None:
    key, body = str(uuid4()), dso.body(2)
    together = await asyncio.gather(*(dso.post("requests", body, key=key) for _ in range(3)))
    assert {answer.status_code for answer in together} == {201}
    assert len({answer.content for answer in together}) == 1
    assert sorted(answer.headers.get("Idempotency-Replayed", "") for answer in together) == ["", "true", "true"]
    written = {"from": "2026-05-04T13:00:00+02:00", "to": "2026-05-04T14:00:00+02:00", "kw": 2.0}
    same = await dso.post("requests", body | written, key=key)
    assert (same.status_code, same.content) == (201, together[0].content)
    other = await dso.post("requests", body | {"kw": 3}, key=key)
    assert (other.status_code, other.headers["content-type"]) == (422, "application/problem+json")
    missing = await dso.post("requests", body)
    assert missing.status_code == 400
    assert "Idempotency-Key" in missing.json()["detail"]
    count = "SELECT count(*) FROM flexibility_request JOIN zone_identity USING (zone_id) WHERE zone = $1"
    assert await database.fetchval(count, dso.zone) == 1


async def test_requests_at_the_same_moment_do_not_share_energy(dso: Dso) -> None:
    answers = await asyncio.gather(*(dso.ask(6) for _ in range(4)))
    assert sorted(answer["offer"]["kw"] if answer["offer"] else 0 for answer in answers) == [0, 0, 4, 6]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"zone": "NOWHERE"}, "GET /v1/zones"),
        ({"kw": 0}, "kw"),
        ({"kw": "5"}, "kw"),
        ({"kw": 1.2345}, "three decimals"),
        ({"direction": "left"}, "direction"),
        ({"from": "2026-05-04T11:00:00"}, "offset"),
        ({"from": "2026-05-04T11:01:00Z"}, "quarter"),
        ({"from": "2026-05-04T12:00:00Z"}, "after"),
        ({"from": "2026-05-04T09:45:00Z"}, "before the window that runs now"),
        ({"to": "2026-05-05T11:15:00Z"}, "24 hours"),
        ({"from": "2026-05-06T10:00:00Z", "to": "2026-05-06T10:15:00Z"}, "48 hours"),
        ({"until": 1}, "until"),
    ],
)
async def test_what_is_wrong_is_said(api: Api, change: dict[str, object], says: str) -> None:
    async with asking(api, "S1") as dso:
        answer = await dso.post("requests", dso.body(1) | change, key=str(uuid4()))
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert says in answer.json()["detail"]


async def test_no_body_or_name_is_a_fault_of_the_service(dso: Dso) -> None:
    known = (await dso.order((await dso.ask(1))["offer"], 1))["id"]
    paths = ("requests", "simulate", f"offers/{known}/order", f"orders/{known}/acknowledgements")
    bodies = (b"", b"[]", b"null", b'{"kw":NaN}', b'{"kw":1e999}', b'{"kw":true}', b'{"dispatch":[1]}', b"\xff", b"{")
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
    for path, body in itertools.product(paths, bodies):
        answer = await dso.client.post(f"/v1/flexibility/{path}", content=body, headers=headers)
        assert (answer.status_code in (400, 422), answer.headers["content-type"]) == (True, "application/problem+json")
    for name in ("%00", "x", "%ED%A0%80", known.upper()[1:], "'; --", "a" * 3000):
        for path in (f"requests/{name}", f"requests/{name}/audit", f"orders/{name}", f"orders?zone={name}"):
            assert (await dso.client.get(f"/v1/flexibility/{path}")).status_code == 404
        for path in (f"offers/{name}/order", f"orders/{name}/cancel", f"requests/{name}/cancel"):
            assert (await dso.post(path, {"kw": 1})).status_code == 404
        said = {"asset": "A1", "acknowledgement": "accepted"}
        assert (await dso.post(f"orders/{name}/acknowledgements", said)).status_code == 404
    for change in ({"asset": "\x00"}, {"detail": "\x00"}, {"revision": 2**31}, {"acknowledgement": "perhaps"}):
        assert (await dso.post(f"orders/{known}/acknowledgements", said | change)).status_code == 422
    made_up = [["2026-01-01T00:00:00Z", "\x00"], ["2026-01-01T00:00:00", known], [1, known], known]
    nowhere = [encode_cursor(["orders", None, None], place) for place in made_up]
    for query in (*(f"orders?cursor={place}" for place in ("x", *nowhere)), "orders?status=new", "requests?limit=0"):
        assert (await dso.client.get(f"/v1/flexibility/{query}")).status_code == 422


async def test_a_part_is_ordered_once_and_the_rest_is_free(dso: Dso) -> None:
    offer = (await dso.ask(7))["offer"]
    assert (await dso.post(f"offers/{offer['id']}/order", {"kw": 8})).status_code == 422
    order = await dso.order(offer, 6)
    OrderAnswer.model_validate(order)
    assert (order["status"], order["kw"], order["cost"]) == ("accepted", 6, pytest.approx((5 * 300 + 1 * 400) / 1000))
    for _, window in itertools.groupby(order["dispatch"], lambda row: row["window_start"]):
        assert [(row["asset"], row["setpoint_kw"]) for row in window] == [(f"A1-{dso.zone}", 5), (f"A2-{dso.zone}", 1)]
    assert len(order["dispatch"]) == 8
    assert order["baseline"]["method"] == "none"  # nothing is known of this zone's past
    assert await dso.order(offer, 6) == order
    assert (await dso.post(f"offers/{offer['id']}/order", {"kw": 5})).status_code == 409
    assert (await dso.post(f"offers/{uuid4()}/order", {"kw": 5})).status_code == 404
    assert (await dso.ask(9))["offer"]["kw"] == 4
    listed = await dso.get(f"orders?zone={dso.zone}")
    OrdersAnswer.model_validate(listed)
    assert [row["id"] for row in listed["rows"]] == [order["id"]]
    page = await dso.get(f"requests?zone={dso.zone}&limit=1")
    RequestsAnswer.model_validate(page)
    rest = await dso.get(f"requests?zone={dso.zone}&limit=1&cursor={page['next']}")
    assert [row["status"] for row in page["rows"] + rest["rows"]] == ["offered", "ordered"]
    assert rest["next"] is None


async def test_downwards_set_points_are_negative(dso: Dso) -> None:
    order = await dso.order((await dso.ask(6, "down"))["offer"], 6)
    sums: dict[str, float] = {}
    for row in order["dispatch"]:
        sums[row["window_start"]] = sums.get(row["window_start"], 0) + row["setpoint_kw"]
    assert list(sums.values()) == [-6] * 4


async def test_what_if_tells_what_would_be_and_does_nothing(dso: Dso, database: asyncpg.Connection) -> None:
    """2 kW flow in; 14 kW up make it 12 kW out, above 80 % of 12.5."""
    counts = "SELECT (SELECT count(*) FROM flexibility_request), (SELECT count(*) FROM flexibility_audit)"
    before = await database.fetchrow(counts)
    found = (await dso.post("simulate", dso.body(14, start="10:15", end="10:30"))).json()
    SimulationAnswer.model_validate(found)
    assert (found["offer"]["kw"], found["reason"], found["broken"]) == (14, None, [])
    assert sum(row["setpoint_kw"] for row in found["dispatch"]) == 14
    assert [zone["zone"] for zone in found["zones"]] == ["C", dso.zone]
    window = found["zones"][1]["windows"][0]
    assert (window["net_kw_before"], window["net_kw_after"]) == (2, -12)
    assert (window["loading_before"], window["loading_after"]) == (0.2, 0.96)
    assert (window["state_before"], window["state_after"]) == ("green", "amber")
    assert (await dso.ask(14, start="10:15", end="10:30"))["offer"]["kw"] == 14  # nothing was held before
    given = [
        {"asset": f"A1-{dso.zone}", "window_start": f"2026-05-04T{time}:00Z", "setpoint_kw": kw}
        for time, kw in (("10:15", 8), ("11:00", 8.5), ("11:15", 8), ("11:30", 8))
    ] + [{"asset": f"A2-{dso.zone}", "window_start": "2026-05-04T11:00:00Z", "setpoint_kw": 6.5}]
    found = (await dso.post("simulate", {"dispatch": given})).json()
    SimulationAnswer.model_validate(found)
    assert [(row["asset"][:2], row["limit"], (row["window_start"] or "")[11:16]) for row in found["broken"]] == [
        ("A1", "power", "10:15"),  # most of it is held for the request
        ("A1", "power", "11:00"),
        ("A1", "energy", ""),
    ]
    assert [window["state_after"] for window in found["zones"][1]["windows"]] == [
        "green" if kw < 12 else "red" for kw in (8, 0, 0, 15, 8, 8)
    ]
    for wrong, says in (
        ({"dispatch": [given[0], given[0]]}, "two set-points"),
        ({"dispatch": [given[0] | {"asset": "A9"}]}, "no asset"),
        ({"dispatch": []}, "dispatch"),
        (dso.body(1) | {"zone": "NOWHERE"}, "GET /v1/zones"),
    ):
        answer = await dso.post("simulate", wrong)
        assert (answer.status_code, says in answer.json()["detail"]) == (422, True)
    assert (await database.fetchrow(counts))[0] == before[0] + 1  # the one that was asked


async def test_an_expired_offer_holds_nothing_and_cannot_be_ordered(dso: Dso, database: asyncpg.Connection) -> None:
    request = await dso.ask(10)
    assert request["offer"]["kw"] == 10
    await database.execute(
        "UPDATE flexibility_offer SET expires_at = now() - interval '1 second' WHERE id = $1", request["offer"]["id"]
    )
    again, late = await asyncio.gather(dso.ask(10), dso.post(f"offers/{request['offer']['id']}/order", {"kw": 10}))
    assert again["offer"]["kw"] == 10
    assert (late.status_code, "expired" in late.json()["detail"]) == (409, True)
    swept = await until(lambda found: found["status"] == "expired", lambda: dso.get(f"requests/{request['id']}"))
    assert swept["offer"]["status"] == "expired"
    held = "SELECT DISTINCT status FROM flexibility_reservation WHERE offer_id = $1"
    assert [row["status"] for row in await database.fetch(held, request["offer"]["id"])] == ["released"]
    steps = await dso.get(f"requests/{request['id']}/audit")
    StepsAnswer.model_validate(steps)
    assert [row["step"] for row in steps["rows"]] == ["requested", "offered", "expired"]


async def test_an_order_is_dispatched_acknowledged_and_taken_back(dso: Dso, settings: Settings) -> None:
    """From the window that runs to the third: the first has begun, the others are taken back."""
    request = await dso.ask(3, start="10:00", end="10:45")
    order = await dso.order(request["offer"], 3)
    path = f"orders/{order['id']}"
    sent = await until(lambda found: found["status"] == "dispatched", lambda: dso.get(path))
    assert all(row["sent_at"] for row in sent["dispatch"])
    said = {"asset": f"A1-{dso.zone}", "acknowledgement": "refused", "detail": "off"}
    for _ in range(2):
        answer = await dso.post(f"{path}/acknowledgements", said)
        assert {row["acknowledgement"] for row in answer.json()["dispatch"]} == {"refused"}
    assert (await dso.post(f"{path}/acknowledgements", said | {"asset": "A9"})).status_code == 422
    assert (await dso.post(f"{path}/acknowledgements", said | {"revision": 4})).status_code == 409
    for _ in range(2):
        cancelled = (await dso.post(f"{path}/cancel")).json()
        assert cancelled["status"] == "cancelled"
        assert [(row["setpoint_kw"], row["revision"]) for row in cancelled["dispatch"]] == [(3, 0), (0, 1), (0, 1)]
    assert [row["acknowledgement"] for row in cancelled["dispatch"]] == ["refused", None, None]
    assert (await dso.ask(20, start="10:15", end="10:30"))["offer"]["kw"] == 14.5
    await until(lambda found: all(row["sent_at"] for row in found["dispatch"]), lambda: dso.get(path))
    messages = [message for message in await dispatched(settings) if message["order"] == order["id"]]
    assert [(one["window_start"][11:16], one["setpoint_kw"], one["revision"]) for one in messages] == [
        ("10:00", 3, 0),
        ("10:15", 3, 0),
        ("10:30", 3, 0),
        ("10:15", 0, 1),
        ("10:30", 0, 1),
    ]
    assert {(one["asset"], one["meter"], one["zone"]) for one in messages} == {
        (f"A1-{dso.zone}", f"m1-{dso.zone}", dso.zone)
    }
    assert (messages[0]["window_end"], messages[0]["id"].split("/")[0]) == ("2026-05-04T10:15:00Z", order["id"])
    steps = (await dso.get(f"requests/{request['id']}/audit"))["rows"]
    assert [row["step"] for row in steps] == ["requested", "offered", "accepted", "dispatched", "refused", "cancelled"]


async def test_a_crash_between_any_two_steps_loses_no_order_and_sends_none_twice(
    dso: Dso, left_behind: LeftBehind, settings: Settings, database: asyncpg.Connection
) -> None:
    """Another instance sends what was left; what a crash after the sending leaves goes out with the same id."""
    order = left_behind.order
    assert len(left_behind.waiting) == 4
    await until(lambda found: found["status"] == "dispatched", lambda: dso.get(f"orders/{order['id']}"))
    await database.execute(
        "INSERT INTO flexibility_outbox (message_id, topic, key, value) VALUES ($1, $2, $3, $4)",
        *left_behind.waiting[0],
    )
    await until(lambda count: count == 0, lambda: database.fetchval("SELECT count(*) FROM flexibility_outbox"))
    messages = [message for message in await dispatched(settings) if message["order"] == order["id"]]
    assert len(messages) == 5
    assert (len({message["id"] for message in messages}), messages[-1]) == (4, messages[0])
    steps = (await dso.get(f"requests/{order['request']}/audit"))["rows"]
    assert [row["step"] for row in steps] == ["requested", "offered", "accepted", "dispatched"]


async def test_time_ends_what_was_not_ordered_and_delivers_what_was(dso: Dso, settings: Settings) -> None:
    """The last of all, since now goes on by three hours."""
    waiting = await dso.ask(1)
    offered = await dso.ask(2)
    order = await dso.order(offered["offer"], 2)
    await tell(settings, [dso.zone], NOW_S + 3 * 3600)
    await until(lambda found: found["status"] == "delivered", lambda: dso.get(f"orders/{order['id']}"))
    await until(lambda found: found["status"] == "expired", lambda: dso.get(f"requests/{waiting['id']}"))
    late = await dso.post(f"offers/{waiting['offer']['id']}/order", {"kw": 1})
    assert (late.status_code, "expired" in late.json()["detail"]) == (409, True)
    nothing_left = await dso.post(f"orders/{order['id']}/cancel")
    assert (nothing_left.status_code, "last window has begun" in nothing_left.json()["detail"]) == (409, True)
    assert (await dso.post("requests", dso.body(1), key=str(uuid4()))).status_code == 422


async def dispatched(settings: Settings) -> list[Any]:
    """All messages of the topic; the header has the id of the value."""
    consumer = make_consumer(settings, DISPATCH)
    await consumer.start()
    try:
        end = await consumer.end_offsets(consumer.assignment())
        found = []
        while any([await consumer.position(partition) < offset for partition, offset in end.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                for message in batch:
                    value = orjson.loads(message.value)
                    assert (message.key.decode(), dict(message.headers)["id"].decode()) == (value["asset"], value["id"])
                    found.append(value)
        return found
    finally:
        await consumer.stop()
