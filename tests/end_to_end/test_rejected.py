"""`bilans rejected` on a running system: what was rejected is found, explained, sent again, and then counts.

The tests of this file run in their order, on one system.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import asyncpg
import httpx
import pyarrow as pa
import pytest

from deploy.command_line import main
from shared.database.fuse_row import blow_fuse
from shared.topics import READINGS_JSON
from tests.system import ENVIRONMENT, ROOT, SystemUnderTest, bilans_command, running_bilans

EXAMPLE = ROOT / "deploy" / "example"
NEW = "590322400000000034"
KNOWN = "590322400000000010"
BALANCE = "/v1/zones/STATION-1/balance?from=2026-05-04T10:00:00Z&to=2026-05-04T11:00:00Z"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    with running_bilans(tmp_path_factory.mktemp("rejected"), EXAMPLE) as running:
        yield running


Command = Callable[..., str]
"""`bilans rejected` with these arguments; what it says on standard output, or on standard error for another code."""


@pytest.fixture
def rejected(system: SystemUnderTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["bilans", "rejected", *arguments, "--data-dir", str(system.data_dir)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == code, said.err
        return said.err if code else said.out

    return call


def rows(rejected: Command, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in rejected("list", "--json", *arguments).splitlines()]


def reading(meter: str, minute: int, value: object) -> str:
    return f'{{"meter": "{meter}", "register": "1.8.0", "ts": "2026-05-04T10:{minute:02}:00Z", "value": {value}}}'


def arrow(meter: str, minute: int, value: int) -> bytes:
    ts = pa.array([datetime(2026, 5, 4, 10, minute, tzinfo=UTC)], pa.timestamp("s", tz="UTC"))
    table = pa.table({"meter": [meter], "register": ["1.8.0"], "ts": ts, "value": [value]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def test_every_rejected_one_is_listed_with_its_reason_and_place(system: SystemUnderTest, rejected: Command) -> None:
    lines = [
        reading(KNOWN, 0, 41_000),
        reading(NEW, 0, 500),  # number 0
        reading(KNOWN, 15, -1),  # number 1
        '{"meter": "\\u001b[31mred"',  # number 2
        "x" * 5_000,  # number 3
    ]
    assert system.post_readings("\n".join(lines).encode() + b"\n\xff\x1b")["rejected"] == 5  # the last: number 4
    pretty = json.dumps([json.loads(reading(NEW, 15, 900))], indent=2).encode()
    assert system.post_readings(pretty, "application/json")["rejected"] == 1  # number 5
    assert system.post_readings(arrow(NEW, 30, 1_000), "application/vnd.apache.arrow.stream")["rejected"] == 1  # 6
    system.post_readings(reading(KNOWN, 0, 41_001).encode())  # number 7, by the balancer
    books = system.wait_handled(9)
    until = monotonic() + 30
    while len(found := rows(rejected)) < 8:  # the conflict's row comes after its entry in the books
        assert monotonic() < until, found
        sleep(0.1)
    assert sum(books["rejected"].values()) == 8
    assert [one["number"] for one in found] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert [one["reason"] for one in reversed(found)] == [
        "unknown_meter",
        "bad_value",
        "malformed",
        "oversized",
        "malformed",
        "unknown_meter",
        "unknown_meter",
        "conflict",
    ]
    assert [one["number"] for one in rows(rejected, "--reason", "unknown_meter", "--limit", "2")] == [6, 5]
    assert [one["number"] for one in rows(rejected, "--meter", KNOWN)] == [7, 1]
    assert rows(rejected, "--until", found[-1]["rejected_at"]) == []
    assert len(rows(rejected, "--since", found[-1]["rejected_at"])) == 8
    table = rejected("list", "--limit", "3")
    assert "8 rejected: unknown_meter 3, malformed 2, bad_value 1, conflict 1, oversized 1; the newest 3" in table
    assert "bilans.readings/" in table
    assert [line.split()[0] for line in table.splitlines()[1:4]] == ["7", "6", "5"]


def test_one_is_shown_whole_and_harmless(system: SystemUnderTest, rejected: Command) -> None:
    text = rejected("show", "4")
    assert "00000000  ff 1b" in text
    assert "http:index 5" in text
    text = rejected("show", "0")
    assert reading(NEW, 0, 500) in text
    assert "load it with `bilans topology load`" in text
    assert "\x1b" not in rejected("show", "2") + rejected("list")
    shown = json.loads(rejected("show", "6", "--json"))
    assert json.loads(shown["original"])["value"] == 1_000
    said = rejected("show", "800", code=2)
    assert said == "bilans: There is no rejected reading 800. `./bilans rejected list` has their numbers.\n"


def test_what_to_retry_has_to_be_said(system: SystemUnderTest, rejected: Command) -> None:
    assert "Which ones is not said." in rejected("retry", code=2)
    assert "There is no rejected reading 801." in rejected("retry", "0", "801", code=2)
    assert "--since: 'soon'" in rejected("retry", "--since", "soon", code=2)


def test_a_retry_after_the_topology_was_mended_applies_them(
    system: SystemUnderTest, rejected: Command, tmp_path: Path
) -> None:
    before: dict[str, Any] = system.get("/v1/audit")
    folder = tmp_path / "mended"
    shutil.copytree(EXAMPLE, folder)
    with (folder / "meters.csv").open("a") as meters:
        meters.write(f"{NEW},STATION-1,BAKERY,consumer,1.8.0,40,,\n")
    system.load_topology(folder)
    table = rejected("retry", "--reason", "unknown_meter")
    assert table.splitlines()[1].split() == ["unknown_meter", "3", "3", "0"]
    books = system.wait_handled(before["received"] + 3)
    assert (books["applied"], books["received"]) == (before["applied"] + 3, before["received"] + 3)
    assert (books["rejected"], books["difference"], books["pending"]) == (before["rejected"], 0, 0)
    windows = {row["window_start"][11:16]: row for row in system.get(BALANCE)["rows"]}
    assert [windows[start]["withdrawn_wh"] for start in ("10:00", "10:15")] == [400, 100]
    assert [one["retried_at"] is not None for one in rows(rejected, "--reason", "unknown_meter")] == [True] * 3


def test_what_was_sent_again_is_left_out_and_changes_nothing_with_again(
    system: SystemUnderTest, rejected: Command
) -> None:
    before: dict[str, Any] = system.get("/v1/audit")
    said = rejected("retry", "--reason", "unknown_meter")
    assert "Nothing was sent." in said
    assert "3 were sent again before and left out" in said
    report = json.loads(rejected("retry", "0", "5", "6", "--again", "--json"))
    assert (report["sent"], report["accepted"]) == (3, 3)
    books = system.wait_handled(before["received"] + 3)
    assert (books["unchanged"], books["difference"]) == (before["unchanged"] + 3, 0)


def test_what_cannot_come_right_is_told_and_rejected_again_byte_for_byte(
    system: SystemUnderTest, rejected: Command
) -> None:
    before: dict[str, Any] = system.get("/v1/audit")
    command = bilans_command("rejected", "retry", "--all", "--json", "--data-dir", str(system.data_dir))
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=True)
    assert "2 malformed: the same bytes will be rejected again." in ended.stderr
    assert "1 conflict: ingest takes them" in ended.stderr
    report = json.loads(ended.stdout)
    assert (report["sent"], report["accepted"], report["rejected"], report["already_retried"]) == (5, 1, 4, 3)
    assert report["by_reason"]["malformed"] == {"sent": 2, "accepted": 0, "rejected": {"malformed": 2}}
    assert report["by_reason"]["conflict"] == {"sent": 1, "accepted": 1, "rejected": {}}
    books = system.wait_handled(before["received"] + 5)
    assert books["difference"] == 0
    assert books["rejected"]["conflict"] == 2
    originals = [json.loads(rejected("show", number, "--json"))["original_base64"] for number in "1234"]
    again = [json.loads(rejected("show", str(k), "--json"))["original_base64"] for k in range(8, 12)]
    assert again == originals


def test_a_blown_fuse_is_told_everywhere_and_resume_goes_on(system: SystemUnderTest, rejected: Command) -> None:
    async def blow() -> None:
        connection = await asyncpg.connect(system.addresses.database_url)
        try:
            await blow_fuse(connection, READINGS_JSON, "99,999 of the last 100,000 lines cannot be used")
        finally:
            await connection.close()

    assert system.get("/v1/status")["fuse"] is None
    assert rejected("resume") == "The fuse holds: there is nothing to resume.\n"
    asyncio.run(blow())
    wait_ready(system.addresses.ingest, 503)
    for address in (system.addresses.ingest, system.addresses.api):
        answer = httpx.get(f"{address}/readyz")
        assert answer.status_code == 503
        assert "99,999 of the last 100,000 lines cannot be used; `bilans rejected resume` goes on" in answer.text
    told = system.get("/v1/status")
    assert (told["fuse"]["topic"], told["fuse"]["reason"][:6]) == (READINGS_JSON, "99,999")
    assert told["fuse"]["blown_at"].endswith("Z")
    assert "99,999 of the last 100,000 lines" in rejected("resume")
    began = monotonic()
    wait_ready(system.addresses.ingest, 200)
    assert monotonic() - began < 2
    wait_ready(system.addresses.api, 200)
    assert system.get("/v1/status")["fuse"] is None


def wait_ready(address: str, status: int) -> None:
    until = monotonic() + 15
    while httpx.get(f"{address}/readyz").status_code != status:
        assert monotonic() < until, f"{address}/readyz is not {status}"
        sleep(0.05)
