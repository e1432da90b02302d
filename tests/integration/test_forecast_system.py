"""Forecasts of a running system: from readings that went through ingest, and what they were worth days later."""

import math
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from services.api.forecasting.forecast_models import ForecastAnswer
from shared.instants import format_instant, parse_instant
from tests.system import ENVIRONMENT, SystemUnderTest, bilans_command, running_bilans

BEGIN = datetime(2026, 5, 4, 22, tzinfo=UTC)  # a local midnight
ISSUED_S_MAX = 30


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    folder = tmp_path_factory.mktemp("forecast")
    topology = folder / "topology"
    topology.mkdir()
    (topology / "zones.csv").write_text("zone,parent,kind\nC,,cluster\nS,C,station\nEMPTY,C,station\n")
    (topology / "meters.csv").write_text("meter,zone,kind,registers\nL,S,consumer,1.8.0\nP,S,pv,2.8.0\n")
    with running_bilans(folder, topology, "--clock", "event") as running:
        yield running


def demand_w(at: datetime) -> float:
    return 3_000 + 2_000 * math.cos(2 * math.pi * (at.hour - 19) / 24)


def supply_w(at: datetime) -> float:
    cloudy = 0.4 if at.toordinal() % 3 else 1.0
    return cloudy * max(0.0, 9_000 * math.sin(math.pi * (at.hour - 4) / 14)) if 4 <= at.hour < 18 else 0.0


def readings(days_from: int, days_to: int) -> bytes:
    """Registers each quarter of an hour from one day to another, both edges among them."""
    lines, energy = [], {"L": 0.0, "P": 0.0}
    for quarter in range(days_to * 96 + 1):
        at = BEGIN + timedelta(minutes=15 * quarter)
        if quarter >= days_from * 96:
            ts = format_instant(int(at.timestamp()))
            lines += [
                {"meter": meter, "register": register, "ts": ts, "value": int(energy[meter])}
                for meter, register in (("L", "1.8.0"), ("P", "2.8.0"))
            ]
        energy["L"] += demand_w(at) / 4
        energy["P"] += supply_w(at) / 4
    return b"\n".join(orjson.dumps(line) for line in lines)


def forecast(system: SystemUnderTest, zone: str, issued_at: datetime | None = None) -> dict[str, Any]:
    """The answer, once it is the one issued at `issued_at`."""
    until_s = time.monotonic() + ISSUED_S_MAX
    while True:
        answer: dict[str, Any] = system.get(f"/v1/zones/{zone}/forecast")
        ForecastAnswer.model_validate(answer)
        if issued_at is None or answer["issued_at"] == format_instant(int(issued_at.timestamp())):
            return answer
        assert time.monotonic() < until_s, (answer["issued_at"], answer["reason"], system.log())
        time.sleep(0.1)


def test_a_zone_is_forecast_and_the_forecast_held_to_what_came(system: SystemUnderTest) -> None:
    assert forecast(system, "S") | {"rows": []} == {
        "zone": "S",
        "issued_at": None,
        "rows": [],
        "mae_kw": None,
        "naive_mae_kw": None,
        "reason": "no forecast has been made yet",
    }
    midnight = BEGIN + timedelta(days=12)
    system.post_readings(readings(0, 12))
    first = forecast(system, "S", midnight)
    assert first["reason"] is None and first["mae_kw"] is None
    assert len(first["rows"]) == 192
    starts = [parse_instant(row["window_start"]) for row in first["rows"]]
    assert starts == [int(midnight.timestamp()) + 900 * step for step in range(192)]
    assert all(row["p10_kw"] <= row["p50_kw"] <= row["p90_kw"] for row in first["rows"])
    nights = [row for row, start_s in zip(first["rows"], starts, strict=True) if start_s // 3600 % 24 in (0, 1, 21, 22)]
    for row in nights:  # nothing is unsure of them
        expected_kw = demand_w(datetime.fromisoformat(row["window_start"])) / 1000
        assert row["p50_kw"] == pytest.approx(expected_kw, abs=0.3)
    assert forecast(system, "C")["rows"] == first["rows"]
    empty = forecast(system, "EMPTY")
    assert (empty["rows"], empty["reason"]) == ([], "0 of 3 days of history")

    system.post_readings(readings(12, 13))
    second = forecast(system, "S", midnight + timedelta(days=1))
    came_kw = [(demand_w(at) - supply_w(at)) / 1000 for at in (midnight + timedelta(minutes=15 * k) for k in range(96))]
    errors_kw = [abs(row["p50_kw"] - came) for row, came in zip(first["rows"], came_kw, strict=False)]
    assert second["mae_kw"] == pytest.approx(sum(errors_kw) / 96, abs=0.01)
    day_before_kw = [
        (demand_w(at) - supply_w(at)) / 1000 for at in (midnight + timedelta(minutes=15 * k - 1440) for k in range(96))
    ]
    naive_kw = [abs(before - came) for before, came in zip(day_before_kw, came_kw, strict=True)]
    assert second["naive_mae_kw"] == pytest.approx(sum(naive_kw) / 96, abs=0.01)

    # What was published is also what `bilans forecast evaluate` works from.
    command = bilans_command("forecast", "evaluate", "--data-dir", str(system.data_dir), "--weeks", "1", "--json")
    told = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=60)
    line = orjson.loads(told.stdout)
    assert (line["zone"], line["horizons"]["0-1_h"]["windows"]) == ("C", 6 * 8 * 4)  # a week is kept to learn from
    assert line["horizons"]["day-ahead"]["daily_mae_kw"] > line["horizons"]["day-ahead"]["mae_kw"]


def test_an_unknown_zone_is_a_problem(system: SystemUnderTest) -> None:
    answer = httpx.get(f"{system.addresses.api}/v1/zones/nowhere/forecast", timeout=10)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "no zone 'nowhere'" in answer.json()["detail"]
