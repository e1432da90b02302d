"""The balance over HTTP, against rows written by hand and answers worked out by hand."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.api.answers import BalanceAnswer
from services.api.balance_text import CSV_COLUMNS
from services.api.service import ApiService
from services.balancer.retention import one_pass
from shared.clock import ManualClock
from shared.instants import parse_instant
from tests.contract.cluster import METERS, load_cluster, write_partial

QUARTERS = "/v1/zones/S/balance?from=2026-05-04T10:00:00Z&to=2026-05-04T10:45:00Z"


@pytest.fixture
async def worked_example(rows: asyncpg.Connection) -> None:
    """The three quarters of the contract: partition 0 has consumer and storage, partition 1 the rest."""
    for zone in ("S", "C"):
        edge = zone == "S"  # boundary columns stand only in the row of the meter's own zone
        await write_partial(rows, zone, "2026-05-04T10:00", consumer_withdrawn_wh=500, measured=1, estimated=2)
        await write_partial(
            rows, zone, "2026-05-04T10:00", partition=1, revision=2, known_at="2026-05-04T12:00:07.000250",
            pv_injected_wh=700, measured=1, boundary_wh=-190 * edge, boundary_known=2 * edge, pool_injected_wh=700,
        )  # fmt: skip
        await write_partial(rows, zone, "2026-05-04T10:15", consumer_withdrawn_wh=150, estimated=3)
        await write_partial(rows, zone, "2026-05-04T10:15", partition=1, pv_injected_wh=50, measured=1)
        await write_partial(rows, zone, "2026-05-04T10:30", consumer_withdrawn_wh=151, estimated=3)
        await write_partial(rows, zone, "2026-05-04T10:30", partition=1, excluded=1)


async def ask(api: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    response = await api.get(path)
    assert response.status_code == 200, response.text
    BalanceAnswer.model_validate_json(response.content)
    rows: list[dict[str, Any]] = response.json()["rows"]
    return rows


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


@pytest.mark.usefixtures("worked_example")
async def test_quarters_are_sums_over_partitions_and_rules_7_and_8(api: httpx.AsyncClient) -> None:
    rows = await ask(api, QUARTERS)
    assert column(rows, "window_start") == [f"2026-05-04T10:{minute}:00Z" for minute in ("00", "15", "30")]
    assert column(rows, "window_end") == [f"2026-05-04T10:{minute}:00Z" for minute in ("15", "30", "45")]
    assert column(rows, "withdrawn_wh") == [500, 150, 151]
    assert column(rows, "injected_wh") == [700, 50, 0]
    assert column(rows, "injected_res_wh") == [700, 50, 0]
    assert column(rows, "pool_injected_wh") == [700, 0, 0]
    assert column(rows, "local_wh") == [500, 50, 0]
    assert column(rows, "import_wh") == [0, 100, 151]
    assert column(rows, "export_wh") == [200, 0, 0]
    assert column(rows, "self_sufficiency") == [1.0, 0.3333, 0.0]
    assert column(rows, "self_consumption") == [0.7143, 1.0, None]
    assert column(rows, "unaccounted_wh") == [10, None, None]
    assert column(rows, "losses_wh") == [10, None, None]
    assert column(rows, "expected") == [4, 4, 4]
    assert column(rows, "measured") == [2, 1, 0]
    assert column(rows, "estimated") == [2, 3, 3]
    assert column(rows, "excluded") == [0, 0, 1]
    assert column(rows, "missing") == [0, 0, 0]
    assert column(rows, "revision") == [3, 2, 2]
    assert column(rows, "known_at") == ["2026-05-04T12:00:07.000250Z"] + 2 * ["2026-05-04T12:00:00.000000Z"]
    assert column(rows, "status") == ["provisional"] * 3
    assert rows[0]["by_kind"] == {
        "consumer": {"withdrawn_wh": 500, "injected_wh": 0},
        "pv": {"withdrawn_wh": 0, "injected_wh": 700},
        "storage": {"withdrawn_wh": 0, "injected_wh": 0},
        "ev": {"withdrawn_wh": 0, "injected_wh": 0},
    }


@pytest.mark.usefixtures("worked_example")
async def test_an_hour_is_the_sum_of_its_quarters_and_of_those_left_out(api: httpx.AsyncClient) -> None:
    path = "/v1/zones/C/balance?from=2026-05-04T10:00:00Z&to=2026-05-04T11:00:00Z&resolution=hour"
    (hour,) = await ask(api, path)
    assert (hour["import_wh"], hour["export_wh"], hour["local_wh"]) == (251, 200, 550)
    assert (hour["expected"], hour["missing"]) == (20, 8)
    assert (hour["revision"], hour["self_sufficiency"]) == (7, 0.6866)  # 550 / 801
    assert hour["unaccounted_wh"] is None


@pytest.mark.usefixtures("worked_example")
async def test_only_quarters_that_have_begun_count(api: httpx.AsyncClient, clock: ManualClock) -> None:
    clock.move(parse_instant("2026-05-04T10:29:59Z") - clock.now_s())
    path = "/v1/zones/C/balance?from=2026-05-04T10:00:00Z&to=2026-05-04T11:00:00Z&resolution=hour"
    (hour,) = await ask(api, path)
    assert (hour["expected"], hour["missing"], hour["withdrawn_wh"], hour["status"]) == (10, 2, 650, "open")
    assert column(await ask(api, QUARTERS), "status") == ["provisional", "open", "open"]


@pytest.mark.usefixtures("worked_example")
async def test_a_row_is_final_from_midnight_of_the_seventh_day(api: httpx.AsyncClient, clock: ManualClock) -> None:
    clock.move(parse_instant("2026-05-10T21:59:59Z") - clock.now_s())
    assert column(await ask(api, QUARTERS), "status") == ["provisional"] * 3
    clock.move(1)  # 00:00 in Warsaw
    assert column(await ask(api, QUARTERS), "status") == ["final"] * 3
    (month,) = await ask(api, QUARTERS.replace("05-04T10:00", "04-30T22:00") + "&resolution=month")
    assert month["status"] == "open"  # its youngest quarter that has begun is


async def test_a_meter_is_expected_from_the_quarter_in_which_it_is_valid(
    api: httpx.AsyncClient, rows: asyncpg.Connection, clock: ManualClock
) -> None:
    clock.move(40 * 86400)
    await write_partial(rows, "S", "2026-05-31T23:45", measured=4)
    await write_partial(rows, "S", "2026-06-01T00:00", measured=4)
    found = await ask(api, "/v1/zones/S/balance?from=2026-05-31T23:45:00Z&to=2026-06-01T00:15:00Z")
    assert column(found, "expected") == [4, 5]
    assert column(found, "missing") == [0, 1]


async def test_boundary_must_be_known_whole(api: httpx.AsyncClient, rows: asyncpg.Connection) -> None:
    await write_partial(rows, "S", "2026-05-04T10:00", boundary_wh=5, boundary_known=1, measured=4)
    await write_partial(rows, "S", "2026-05-04T10:15", boundary_wh=5, boundary_known=2, measured=3)
    await write_partial(rows, "K", "2026-05-04T10:00", boundary_wh=5, boundary_known=0)
    found = await ask(api, QUARTERS)
    assert column(found, "unaccounted_wh") == [None, 5]
    assert column(found, "losses_wh") == [None, None]  # one series is missing
    assert column(await ask(api, QUARTERS.replace("zones/S", "zones/K")), "unaccounted_wh") == [None]


@pytest.mark.parametrize(
    ("day", "quarters"),
    [("2026-10-25", 100), ("2027-03-28", 92), ("2026-05-04", 96)],
    ids=["autumn", "spring", "plain"],
)
async def test_local_days_have_all_their_quarters(
    api: httpx.AsyncClient, rows: asyncpg.Connection, clock: ManualClock, day: str, quarters: int
) -> None:
    clock.move(400 * 86400)
    await write_partial(rows, "C", f"{day}T10:00", consumer_withdrawn_wh=7, measured=1)
    before = (datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
    (row,) = await ask(api, f"/v1/zones/C/balance?from={before}&to={day}T12:00:00Z&resolution=day")
    expected = 6 if day > "2026-06" else 5
    assert (row["expected"], row["missing"]) == (expected * quarters, expected * quarters - 1)
    start, end = parse_instant(row["window_start"]), parse_instant(row["window_end"])
    assert (end - start) // 900 == quarters


async def test_paging_gives_every_row_once(api: httpx.AsyncClient, rows: asyncpg.Connection) -> None:
    for hour in (0, 1, 2, 5, 6, 9):  # hours of which nothing is known are left out
        for minute in (0, 30):
            await write_partial(rows, "S", f"2026-05-04T{hour:02d}:{minute:02d}", consumer_withdrawn_wh=hour)
    for resolution in ("15min", "hour"):
        query = f"/v1/zones/S/balance?from=2026-05-04T00:00:00Z&to=2026-05-04T11:00:00Z&resolution={resolution}"
        whole = await ask(api, query)
        paged: list[dict[str, Any]] = []
        cursor = ""
        while True:
            response = await api.get(f"{query}&limit=2{cursor}")
            paged += response.json()["rows"]
            if response.json()["next"] is None:
                assert "link" not in response.headers
                break
            assert response.headers["link"].endswith('rel="next"')
            cursor = f"&cursor={response.json()['next']}"
        assert paged == whole
        assert len(whole) == (12 if resolution == "15min" else 6)


@pytest.mark.usefixtures("worked_example")
async def test_a_cursor_belongs_to_its_query(api: httpx.AsyncClient) -> None:
    cursor = (await api.get(f"{QUARTERS}&limit=1")).json()["next"]
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    for path in (
        f"{QUARTERS.replace('/S/', '/C/')}&cursor={cursor}",
        f"{QUARTERS}&resolution=hour&cursor={cursor}",
        f"{QUARTERS}&cursor=x{cursor}",
        f"{QUARTERS}&cursor=%C5%BB",
    ):
        response = await api.get(path)
        assert (response.status_code, "cursor" in response.json()["detail"]) == (422, True)


@pytest.mark.usefixtures("worked_example")
async def test_etag_is_of_the_very_answer(api: httpx.AsyncClient, rows: asyncpg.Connection) -> None:
    first = await api.get(QUARTERS)
    tag = first.headers["etag"]
    assert not tag.startswith("W/")
    assert (await api.get(QUARTERS, headers={"If-None-Match": f'"other", {tag}'})).status_code == 304
    assert (await api.get(QUARTERS, headers={"If-None-Match": tag, "Accept": "text/csv"})).status_code == 200
    await write_partial(rows, "S", "2026-05-04T10:15", revision=2, consumer_withdrawn_wh=151, estimated=3)
    changed = await api.get(QUARTERS, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)


@pytest.mark.usefixtures("worked_example")
async def test_csv_has_the_same_figures(api: httpx.AsyncClient) -> None:
    response = await api.get(QUARTERS, headers={"Accept": "text/csv, */*;q=0.1"})
    assert response.headers["content-type"].startswith("text/csv")
    header, *lines = [line.split(",") for line in response.text.splitlines()]
    assert tuple(header) == CSV_COLUMNS
    for line, row in zip(lines, await ask(api, QUARTERS), strict=True):
        cells = dict(zip(header, line, strict=True))
        assert cells["pv_injected_wh"] == str(row["by_kind"]["pv"]["injected_wh"])
        assert cells["losses_wh"] == ("" if row["losses_wh"] is None else str(row["losses_wh"]))
        assert all(cells[name] == str(row[name]) for name in ("window_start", "import_wh", "missing", "known_at"))


async def test_as_of_answers_what_was_known_then(api: httpx.AsyncClient, rows: asyncpg.Connection) -> None:
    for revision, second, energy in ((1, "10", 100), (2, "20", 200), (3, "30", 300)):
        for partition in (0, 1) if revision < 3 else (0,):
            await write_partial(
                rows,
                "S",
                "2026-05-04T10:00",
                partition=partition,
                revision=revision,
                known_at=f"2026-05-04T11:00:{second}",
                consumer_withdrawn_wh=energy,
            )
    await write_partial(rows, "S", "2026-05-04T10:15", revision=0, known_at="2026-05-04T11:00:00")

    async def then(as_of: str) -> list[tuple[int, int]]:
        found = await ask(api, f"{QUARTERS}&as_of={as_of}")
        return [(row["withdrawn_wh"], row["revision"]) for row in found]

    assert await then("2026-05-04T11:00:09.999999Z") == []
    assert await then("2026-05-04T11:00:10Z") == [(200, 2)]
    assert await then("2026-05-04T11:00:29.999999999Z") == [(400, 4)]
    assert await then("2026-05-04T13:00:30%2B02:00") == [(500, 5)]


@pytest.mark.usefixtures("worked_example")
async def test_as_of_is_the_same_byte_for_byte_whenever_asked(
    api: httpx.AsyncClient, rows: asyncpg.Connection, clock: ManualClock, database: str, tmp_path: Path
) -> None:
    path = f"{QUARTERS}&as_of=2026-05-04T12:00:10Z"
    first = await api.get(path)
    assert len(first.json()["rows"]) == 3
    clock.move(30 * 86400)
    await write_partial(rows, "S", "2026-05-04T10:15", revision=2, known_at="2026-05-04T12:00:11", estimated=4)
    without_quiet = METERS.replace("sun,", "sun2,").replace("quiet,C", "quiet,S")
    await load_cluster(
        database, tmp_path / "two", number=2, logged_at=datetime(2026, 5, 5, tzinfo=UTC), meters=without_quiet
    )
    again = await api.get(path)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    now = await ask(api, QUARTERS)
    assert column(now, "expected") == [5, 5, 5]  # the topology in force counts the quiet meter here


async def test_as_of_must_lie_back_by_the_databases_clock(api: httpx.AsyncClient, rows: asyncpg.Connection) -> None:
    for seconds, status in ((14, 422), (16, 200), (-60, 422)):
        as_of = await rows.fetchval("SELECT clock_timestamp() - $1::interval", timedelta(seconds=seconds))
        response = await api.get(
            QUARTERS, params=httpx.QueryParams(QUARTERS.partition("?")[2]).set("as_of", as_of.isoformat())
        )
        assert response.status_code == status, response.text


async def test_as_of_is_refused_where_only_the_newest_revision_is_kept(
    api: httpx.AsyncClient, rows: asyncpg.Connection
) -> None:
    for start in ("2023-04-29T23:45", "2023-04-30T00:00"):
        for revision, energy in ((1, 100), (2, 200)):
            known_at = f"2026-05-04T11:00:{revision}0"
            await write_partial(rows, "S", start, revision=revision, known_at=known_at, consumer_withdrawn_wh=energy)
    await rows.execute(
        "INSERT INTO progress (topic, partition, event_now) VALUES ('bilans.readings', 0, '2026-05-04T12:00:00Z')"
    )
    until = "to=2023-04-30T00:15:00Z&as_of=2026-05-04T11:00:15Z"
    both, younger = (f"/v1/zones/S/balance?from=2023-04-{start}Z&{until}" for start in ("29T23:45:00", "30T00:00:00"))
    assert column(await ask(api, both), "withdrawn_wh") == [100, 100]
    before = await api.get(younger)
    assert await one_pass(rows, "event", 1100, pause_s=0) == 1
    refused = await api.get(both)
    assert (refused.status_code, "from 2023-04-30T00:00:00Z on" in refused.json()["detail"]) == (422, True)
    assert (await api.get(f"{both}&resolution=hour".replace("23:45", "23:00"))).status_code == 422
    assert (await api.get(younger)).content == before.content
    assert column(await ask(api, both.partition("&as_of")[0]), "withdrawn_wh") == [200, 200]


@pytest.mark.usefixtures("worked_example")
async def test_offsets_are_forgiven_a_lost_plus(api: httpx.AsyncClient) -> None:
    path = "/v1/zones/S/balance?from=2026-05-04T12:00:00+02:00&to=2026-05-04T12:45:00%2B02:00"
    assert len(await ask(api, path)) == 3


@pytest.mark.usefixtures("worked_example")
async def test_starts_lie_in_the_half_open_range(api: httpx.AsyncClient) -> None:
    path = "/v1/zones/S/balance?from=2026-05-04T10:00:00.1Z&to=2026-05-04T10:30:00.1Z"
    assert column(await ask(api, path), "window_start") == ["2026-05-04T10:15:00Z", "2026-05-04T10:30:00Z"]
    assert await ask(api, path.replace("10:30:00.1", "10:15:00")) == []


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("from=yesterday&to=today", "ISO 8601"),
        ("from=2026-05-04T10:00:00&to=2026-05-04T11:00:00Z", "offset"),
        ("from=2026-05-04T11:00:00Z&to=2026-05-04T11:00:00Z", "before"),
        ("from=2016-05-04T10:00:00Z&to=2026-05-04T11:00:00Z", "days apart"),
        ("from=0001-01-01T00:00:00Z&to=2026-05-04T11:00:00Z", "2000"),
        ("from=2026-02-30T00:00:00Z&to=2026-05-04T11:00:00Z", "no instant"),
        ("tz=Europe/Nowhere", "time zone"),
        ("tz=../../etc/passwd", "time zone"),
        ("tz=", "time zone"),
        ("resolution=week", "resolution"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("as_of=now", "as_of"),
    ],
)
async def test_what_cannot_be_understood_is_422_in_clear_words(api: httpx.AsyncClient, query: str, word: str) -> None:
    response = await api.get(f"/v1/zones/S/balance?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"].startswith("application/problem+json")
    assert word in response.json()["detail"]


async def test_an_unknown_zone_is_404(api: httpx.AsyncClient) -> None:
    for zone in ("NONE", "%27%20OR%201=1--", "%00"):
        response = await api.get(f"/v1/zones/{zone}/balance")
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.usefixtures("worked_example")
async def test_without_a_range_the_last_day_is_given(api: httpx.AsyncClient) -> None:
    assert len(await ask(api, "/v1/zones/S/balance")) == 3


async def test_event_mode_takes_now_from_the_readings(
    api: httpx.AsyncClient, service: ApiService, rows: asyncpg.Connection
) -> None:
    object.__setattr__(service.settings, "clock", "event")
    await write_partial(rows, "C", "2026-05-04T10:00", measured=1)
    await write_partial(rows, "C", "2026-05-04T10:15", measured=1, revision=0)
    await rows.execute(
        "INSERT INTO progress (topic, partition, event_now) VALUES ('bilans.readings', 0, '2026-05-04T10:20:00Z')"
    )
    service.view._mode = "event"
    path = QUARTERS.replace("/S/", "/C/")
    assert column(await ask(api, path), "status") == ["provisional", "open"]
    then = await ask(api, f"{path}&as_of=2026-05-20T00:00:00Z")
    assert column(then, "status") == ["provisional"]  # by event time it is still 10:15 then, not the 20th
