"""A station worked out by hand, through the HTTP door: balance, books, boundary, hours, errors (design section 2)."""

import gzip
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import orjson
import pytest

from tests.system import ENVIRONMENT, SystemUnderTest, bilans_command, running_bilans

ZONES = """zone,parent,kind,name,import_limit_kw,export_limit_kw
Town,,cluster,Town,,
Hill,Town,station,Hill,40,40
"""
MEMBERS = "member,name,kind,excluded\nmill,Mill,company,\nschool,School,gmina,true\n"
METERS = """meter,zone,member,kind,registers,max_kw
house,Hill,mill,consumer,1.8.0,8
roof,Hill,school,pv,2.8.0,12
pack,Hill,mill,storage,1.8.0|2.8.0|soc,4
gate,Hill,,boundary,1.8.0|2.8.0,60
mute,Town,school,consumer,1.8.0,8
"""
DAY = "2026-03-10T"
READINGS: dict[tuple[str, str], dict[str, int]] = {
    ("house", "1.8.0"): {"08:00": 5_000, "08:20": 5_401, "08:45": 5_900},
    ("roof", "2.8.0"): {"08:00": 0, "08:15": 1_000, "08:30": 900, "08:45": 1_300},
    ("pack", "1.8.0"): {"08:00": 70, "08:15": 170, "08:30": 170, "08:45": 170},
    ("pack", "2.8.0"): {"08:00": 10, "08:15": 10, "08:30": 110, "08:45": 110},
    ("gate", "1.8.0"): {"08:00": 0, "08:15": 0, "08:30": 105, "08:45": 105},
    ("gate", "2.8.0"): {"08:00": 0, "08:15": 580, "08:30": 580},
    ("pack", "soc"): {"08:15": 1_900},
}
# house: at 08:15 5000 + floor(401 × 15/20) = 5300, at 08:30 5401 + floor(499 × 10/25) = 5600: 300, 300, 300.
# roof: 1000, −100 (implausible: excluded), 400. pack: charged 100 0 0, discharged 0 100 0.
BY_WINDOW: dict[str, list[Any]] = {
    "withdrawn_wh": [300, 300, 300],
    "injected_wh": [1_000, 0, 400],
    "injected_res_wh": [1_000, 0, 400],
    "charged_wh": [100, 0, 0],
    "discharged_wh": [0, 100, 0],
    "pool_drawn_wh": [400, 300, 300],
    "pool_injected_wh": [0, 0, 0],
    "local_wh": [400, 100, 300],
    "import_wh": [0, 200, 0],
    "export_wh": [600, 0, 100],
    "self_sufficiency": [1.0, 0.3333, 1.0],
    "self_consumption": [0.4, 1.0, 0.75],
    "expected": [4, 4, 4],
    "measured": [3, 2, 3],
    "estimated": [1, 1, 1],
    "excluded": [0, 1, 0],
    "missing": [0, 0, 0],
    # gate: −580, then +105, then its 2.8.0 is unknown; demand − supply: −600, 200.
    "unaccounted_wh": [20, -95, None],
    "losses_wh": [20, None, None],
    "status": ["final"] * 3,
}
RANGE = f"from={DAY}08:00:00Z&to={DAY}08:45:00Z"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    folder = tmp_path_factory.mktemp("small")
    topology = folder / "topology"
    topology.mkdir()
    for name, text in (("zones", ZONES), ("members", MEMBERS), ("meters", METERS)):
        (topology / f"{name}.csv").write_text(text)
    with running_bilans(folder, topology) as running:
        deliver(running)
        yield running


def deliver(system: SystemUnderTest) -> None:
    """Sends all readings, one twice, a conflict, and six that are wrong, backwards in time."""
    lines = [
        {"meter": meter, "register": register, "ts": f"{DAY}{time}:00Z", "value": value}
        for (meter, register), values in READINGS.items()
        for time, value in values.items()
    ][::-1]
    lines += [lines[0], lines[0] | {"meter": "house", "register": "1.8.0", "ts": f"{DAY}08:00:00Z", "value": 5_001}]
    good = [orjson.dumps(line) for line in lines]
    wrong = [
        orjson.dumps(lines[0] | {"meter": "nobody"}),
        orjson.dumps(lines[0] | {"register": "2.7.0"}),
        orjson.dumps(lines[0] | {"ts": f"{DAY}08:00:00"}),
        orjson.dumps(lines[0] | {"value": 1.5}),
        orjson.dumps(lines[0] | {"ts": "2099-01-01T00:00:00Z"}),
        b"[]",
    ]
    found = system.post_readings(b"\n".join(good + wrong))
    assert (found["accepted"], found["rejected"]) == (len(good), len(wrong))
    reasons = ["unknown_meter", "unknown_register", "bad_timestamp", "bad_value", "future_timestamp", "malformed"]
    assert [error["reason"] for error in found["errors"]] == reasons
    assert [error["index"] for error in found["errors"]] == list(range(len(good), len(good) + len(wrong)))
    books = system.wait_handled(len(good) + len(wrong))
    count = sum(len(values) for values in READINGS.values())
    assert (books["applied"], books["unchanged"], books["pending"]) == (count, 1, 0)
    assert books["rejected"] == dict.fromkeys([*reasons, "conflict"], 1)
    assert books["difference"] == 0


@pytest.mark.parametrize("name", BY_WINDOW)
def test_the_station_by_window(system: SystemUnderTest, name: str) -> None:
    rows = system.get(f"/v1/zones/Hill/balance?{RANGE}")["rows"]
    assert [row["window_start"] for row in rows] == [f"{DAY}08:{minute}:00Z" for minute in ("00", "15", "30")]
    assert [row[name] for row in rows] == BY_WINDOW[name]


def test_the_hour_of_the_town(system: SystemUnderTest) -> None:
    query = f"from={DAY}08:00:00Z&to={DAY}09:00:00Z&resolution=hour"
    (row,) = system.get(f"/v1/zones/Town/balance?{query}")["rows"]
    assert (row["import_wh"], row["export_wh"], row["local_wh"]) == (200, 700, 800)
    # Four quarters of five series; nothing is known of the mute meter, nor of the last quarter.
    assert (row["expected"], row["measured"], row["estimated"], row["excluded"]) == (20, 8, 3, 1)
    assert row["missing"] == 8
    assert row["unaccounted_wh"] is None


def test_errors_are_problem_documents(system: SystemUnderTest) -> None:
    paths = {f"/v1/zones/Dale/balance?{RANGE}": 404, "/v1/zones/Hill/balance?from=2026-03-10T08:00:00&to=x": 422}
    for path, status in paths.items():
        answer = httpx.get(system.addresses.api + path, timeout=30)
        assert answer.status_code == status
        assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_a_replay_shows_what_was_rejected_and_why(system: SystemUnderTest, tmp_path: Path) -> None:
    lines = [
        "meter,register,ts,value",
        *(f"mute,1.8.0,{DAY}{hour:02}:00:00Z,{100 * hour}" for hour in range(10, 14)),
        f"mute,1.8.0,{DAY}14:00:00Z,12.5",
        f"nobody,1.8.0,{DAY}14:00:00Z,1",
        "mute,1.8.0,noon,1",
    ]
    (tmp_path / "readings.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    replay = system.start_replay(tmp_path / "readings.csv.gz", "--wait")
    report = replay.report()
    assert (report["sent"], report["applied"], report["unchanged"], report["rejected"]) == (7, 4, 0, 3)
    for reason in ("bad_value 1", "unknown_meter 1", "bad_timestamp 1"):
        assert reason in replay.errors


def test_ctrl_c_ends_a_replay_in_order(system: SystemUnderTest, tmp_path: Path) -> None:
    lines = ["meter,register,ts,value"]
    lines += [f"mute,1.8.0,{DAY}15:{second // 60:02}:{second % 60:02}Z,{5_000 + second}" for second in range(600)]
    (tmp_path / "slow.csv").write_text("\n".join(lines))
    before = system.get("/v1/audit")["received"]
    replay = system.start_replay(tmp_path / "slow.csv", "--speed", "realtime", "--wait")
    while system.get("/v1/audit")["received"] == before:
        sleep(0.1)
    replay.interrupt()
    report = replay.report(code=130, timeout_s=20)
    assert 0 < report["sent"] < 300
    books = system.wait_handled(before + report["sent"])
    assert books["received"] == before + report["sent"]
    # The same file again completes it: what was taken already changes nothing.
    again = system.replay(tmp_path / "slow.csv")
    assert (again["applied"], again["unchanged"]) == (600 - report["sent"], report["sent"])


def test_a_replay_waits_for_late_readings_too(system: SystemUnderTest, tmp_path: Path) -> None:
    """They stand in the file behind a newer one, and are more than two days older."""
    lines = ["meter,register,ts,value", "mute,1.8.0,2026-03-14T00:00:00Z,9000"]
    lines += [f"mute,1.8.0,2026-03-11T{hour:02}:00:00Z,{7_000 + 4 * hour}" for hour in range(24)]
    (tmp_path / "late.csv").write_text("\n".join(lines))
    replay = system.start_replay(tmp_path / "late.csv", "--order", "file", "--wait")
    report = replay.report()
    assert (report["sent"], report["applied"], report["pending"]) == (25, 25, 0)
    query = "from=2026-03-11T00:00:00Z&to=2026-03-11T23:00:00Z&resolution=hour"
    rows = system.get(f"/v1/zones/Town/balance?{query}")["rows"]
    assert [row["withdrawn_wh"] for row in rows] == [4] * 23


def test_a_replay_to_nowhere_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "readings.csv").write_text("meter,register,ts,value\n")
    command = bilans_command("replay", str(tmp_path / "readings.csv"), "--data-dir", str(tmp_path))
    found = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr.startswith("bilans: No Bilans runs under")
    assert found.stderr.count("\n") == 1
