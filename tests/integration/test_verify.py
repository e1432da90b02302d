"""`bilans verify` on a running system: right as long as nobody changes a figure, and it names every figure changed."""

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from deploy.command_line import make_app
from shared.archive.files import Archive
from shared.errors import BilansError
from tests.system import ENVIRONMENT, SystemUnderTest, bilans_command, running_bilans

ZONES = """zone,parent,kind
C,,cluster
S1,C,station
S2,C,station
"""
METERS = """meter,zone,member,kind,registers,max_kw,valid_from,valid_to
house,S1,G,consumer,1.8.0,40,,2026-05-04T11:00:00Z
house,S2,G,consumer,1.8.0,40,2026-05-04T11:00:00Z,
sun,S1,,pv,2.8.0,50,,
store,S2,,storage,1.8.0|2.8.0|soc,50,,
infeed,S1,,boundary,1.8.0|2.8.0,100,,
"""
EXCHANGES = """meter,register,at,last_wh,first_wh
sun,2.8.0,2026-05-04T11:07:00Z,9000,0
"""
QUARTERS = 12
VERIFIED_S_MAX = 30


def reading(meter: str, register: str, minute: int, value: int, **more: int) -> str:
    stamp = f"2026-05-04T{10 + minute // 60:02d}:{minute % 60:02d}:00Z"
    return json.dumps({"meter": meter, "register": register, "ts": stamp, "value": value, **more})


def lines() -> list[str]:
    """Three hours of readings, with doubles, corrections, a conflict and some that are no readings."""
    found = []
    for quarter in range(QUARTERS + 1):
        minute = 15 * quarter
        found.append(reading("house", "1.8.0", minute, 1000 + 700 * quarter))
        found.append(reading("sun", "2.8.0", minute, 8000 + 200 * quarter if minute < 67 else 300 * quarter))
        found.append(reading("store", "1.8.0", minute, 50 * quarter))
        found.append(reading("store", "2.8.0", minute + quarter % 3, 30 * quarter))
        found.append(reading("store", "soc", minute, 5000 + quarter))
        found.append(reading("infeed", "1.8.0", minute, 900 * quarter))
        found.append(reading("infeed", "2.8.0", minute, 10 * quarter))
    found += found[7:30]  # sent again
    found.append(reading("house", "1.8.0", 30, 2600, version=1))
    found.append(reading("house", "1.8.0", 45, 3333))  # a conflict
    found += ["no reading", reading("nobody", "1.8.0", 0, 1), reading("house", "1.8.0", 0, -1)]
    return found


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    """A system that has balanced three hours of five meters, and archived them in some files."""
    topology = tmp_path_factory.mktemp("topology")
    for name, content in (("zones", ZONES), ("meters", METERS), ("exchanges", EXCHANGES)):
        (topology / f"{name}.csv").write_text(content)
    (topology / "members.csv").write_text("member,name,kind,excluded\nG,Gmina,gmina,\n")
    with running_bilans(tmp_path_factory.mktemp("verify"), topology) as system:
        sent = lines()
        for begin in range(0, len(sent), 40):
            system.post_readings("\n".join(sent[begin : begin + 40]).encode())
        wait_until_rejected_rows_stand(system, len(sent))
        yield system


def wait_until_rejected_rows_stand(system: SystemUnderTest, received: int) -> None:
    """The row of a rejected reading follows by way of its topic."""
    system.wait_handled(received)
    until = time.monotonic() + VERIFIED_S_MAX
    while asked(system, "SELECT count(*) FROM rejected_reading") < 4:
        assert time.monotonic() < until
        time.sleep(0.1)


def asked(system: SystemUnderTest, query: str) -> int:
    async def ask() -> int:
        connection = await asyncpg.connect(system.addresses.database_url)
        try:
            return int(await connection.fetchval(query))
        finally:
            await connection.close()

    return asyncio.run(ask())


@contextmanager
def changed(system: SystemUnderTest, table: str, *statements: str) -> Iterator[None]:
    """The database after `statements`, which change `table`; it is as before afterwards."""

    async def execute(*commands: str) -> None:
        connection = await asyncpg.connect(system.addresses.database_url)
        try:
            async with connection.transaction():
                for command in commands:
                    await connection.execute(command)
        finally:
            await connection.close()

    asyncio.run(execute(f"CREATE TABLE kept AS TABLE {table}", *statements))
    try:
        yield
    finally:
        asyncio.run(execute(f"TRUNCATE {table}", f"INSERT INTO {table} SELECT * FROM kept", "DROP TABLE kept"))


def verify(system: SystemUnderTest, *options: str) -> Result:
    """`bilans verify`, in this process."""
    arguments = ["verify", "--data-dir", str(system.data_dir), *options]
    return CliRunner().invoke(make_app("verify"), arguments)


def last_line(result: Result) -> dict[str, float]:
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_all_is_right_and_the_last_line_says_what_was_compared(system: SystemUnderTest) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "NUMBA_CACHE_DIR"}
    process = subprocess.run(
        bilans_command("verify", "--data-dir", str(system.data_dir)),
        env=environment | {"NUMBA_DEBUG_CACHE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "[cache] data loaded" in process.stdout  # it finds the kernels that the balancer has compiled …
    assert "[cache] data saved" not in process.stdout  # … and compiles none: that would take most of a minute
    found = json.loads(process.stdout.splitlines()[-1])
    assert found.pop("seconds") > 0
    # The last quarter's windows have no end yet. Three deliveries were no readings, and are not in the archive.
    assert found == {
        "windows": 3 * QUARTERS,
        "zones": 3,
        "readings": len(lines()) - 3,
        "differences": 0,
        "books_difference": 0,
    }
    assert asked(system, "SELECT sum(deliveries) FROM books WHERE outcome = 'rejected:conflict'") == 1
    assert asked(system, "SELECT sum(boundary_known) FROM partial") > 0
    assert asked(system, "SELECT sum(estimated) FROM partial") > 0


def test_json_is_nothing_but_the_line(system: SystemUnderTest) -> None:
    result = verify(system, "--json")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    assert last_line(result)["windows"] == 3 * QUARTERS
    assert result.stderr == ""


ONE_ROW = "zone_id = (SELECT zone_id FROM zone_identity WHERE zone = 'S1') AND window_start = '2026-05-04T10:30Z'"


@pytest.mark.parametrize(
    ("table", "statement", "named"),
    [
        (
            "partial",
            f"UPDATE partial SET pv_injected_wh = pv_injected_wh + 1 WHERE {ONE_ROW}",
            ["S1 2026-05-04T10:30:00Z, partition", "pv_injected_wh: found 201, expected 200"],
        ),
        (
            "partial",
            f"UPDATE partial SET measured = measured - 1 WHERE {ONE_ROW}",
            ["S1 2026-05-04T10:30:00Z, partition", "measured: found 1, expected 2"],
        ),
        (
            "partial",
            f"DELETE FROM partial WHERE {ONE_ROW}",
            ["S1 2026-05-04T10:30:00Z", "boundary_wh: found 0 (there is no row)", "found no row, expected that of"],
        ),
        (
            "partial",
            "UPDATE partial SET window_start = window_start - interval '1 day', revision = 0"
            f" WHERE {ONE_ROW.replace('10:30', '12:45')}",
            ["S1 2026-05-03T12:45:00Z", "S1 2026-05-04T12:45:00Z", "expected 0"],
        ),
        (
            "partial_revision",
            f"UPDATE partial_revision SET consumer_withdrawn_wh = 5 WHERE {ONE_ROW} AND revision = "
            f"(SELECT max(revision) FROM partial_revision WHERE {ONE_ROW})",
            ["S1 2026-05-04T10:30:00Z", "found other sums than those of its revision"],
        ),
        (
            "partial_revision",
            f"DELETE FROM partial_revision WHERE {ONE_ROW}",
            ["S1 2026-05-04T10:30:00Z", "which is not among the revisions"],
        ),
    ],
)
def test_one_figure_of_a_row_changed_is_found_and_named(
    system: SystemUnderTest, table: str, statement: str, named: list[str]
) -> None:
    with changed(system, table, statement):
        result = verify(system)
    assert result.exit_code == 1
    for words in named:
        assert words in result.stderr, result.stderr
    assert last_line(result)["differences"] > 0
    assert last_line(result)["books_difference"] == 0


OF_ONE = (
    " AND topic = 'bilans.readings' AND partition = (SELECT min(partition) FROM books WHERE topic = 'bilans.readings')"
)


@pytest.mark.parametrize(
    ("table", "statement", "named", "by"),
    [
        (
            "books",
            "UPDATE books SET deliveries = deliveries + 1 WHERE outcome = 'applied'" + OF_ONE,
            "received against all outcomes",
            1,
        ),
        (
            "books",
            "UPDATE books SET deliveries = deliveries + 1 WHERE outcome IN ('applied', 'received')" + OF_ONE,
            "received against the archive",
            1,
        ),
        (
            "books",
            "INSERT INTO books SELECT topic, partition, 'pending', 2 FROM books WHERE outcome = 'received'" + OF_ONE,
            "pending against the late queue: found 2, expected 0",
            4,
        ),
        (
            "rejected_reading",
            "DELETE FROM rejected_reading WHERE reason = 'malformed'",
            "malformed against the rejected readings: found 1, expected 0",
            1,
        ),
    ],
)
def test_one_delivery_too_many_in_the_books_is_found_and_named(
    system: SystemUnderTest, table: str, statement: str, named: str, by: int
) -> None:
    with changed(system, table, statement):
        result = verify(system)
    assert result.exit_code == 1
    assert named in result.stderr
    assert last_line(result)["differences"] == 0
    assert last_line(result)["books_difference"] == by


def test_a_reading_lost_from_the_archive_is_found(system: SystemUnderTest, tmp_path: Path) -> None:
    archive = Archive(str(system.data_dir / "archive"))
    numbers = [number for number in range(64) if len(archive.files(number)) > 0]
    (file,) = [f for number in numbers for f in archive.files(number) if archive.row_count(f.path) > 0][-1:]
    kept = tmp_path / "kept.parquet"
    Path(file.path).rename(kept)
    try:
        archive.write_table(
            int(Path(file.path).parent.name.removeprefix("partition-")),
            file.first_offset,
            file.end_offset,
            (table := archive.open(str(kept)).read()).slice(1),
            table.num_rows - 1,
        )
        result = verify(system)
    finally:
        kept.replace(file.path)
    assert result.exit_code == 1
    assert "received against the archive" in result.stderr


RECOUNT = (
    "INSERT INTO recount (partition, log_offset, topology_before, topology_after, windows, content)"
    " VALUES (63, 999, 1, 2, 17, '')"
)
"""A job of a partition that nobody owns: it stays until the test takes it away."""


def test_with_no_wait_outstanding_recounts_are_an_error(system: SystemUnderTest) -> None:
    with changed(system, "recount", RECOUNT):
        result = verify(system, "--no-wait")
    assert isinstance(result.exception, BilansError)  # one line, exit code 2
    assert result.exception.what.startswith("17 windows are still to be recounted")


def test_outstanding_recounts_are_waited_for(system: SystemUnderTest) -> None:
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(verify(system)))
    with changed(system, "recount", RECOUNT):
        thread.start()
        time.sleep(1.5)
        assert thread.is_alive()
    thread.join(VERIFIED_S_MAX)
    (result,) = results
    assert result.exit_code == 0
    assert result.stderr.startswith("waiting: 17 windows are to be recounted")


def test_postgresql_and_the_archive_suffice(system: SystemUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILANS_DATABASE_URL", system.addresses.database_url)
    monkeypatch.setenv("BILANS_ARCHIVE", f"file://{system.data_dir}/archive")
    result = CliRunner().invoke(make_app("verify"), ["verify", "--json"])
    assert result.exit_code == 0
    assert last_line(result)["windows"] == 3 * QUARTERS


def test_late_readings_are_right_while_they_wait_and_when_they_are_applied(system: SystemUnderTest) -> None:
    """The last test here: from it on there are three days more, by two readings that were late."""
    late = [reading("house", "1.8.0", 0, 100).replace("05-04", "05-01"), reading("sun", "2.8.0", 7, 0, version=3)]
    late[1] = late[1].replace("05-04", "05-02")
    received = system.get("/v1/audit")["received"]
    system.post_readings("\n".join(late).encode())
    assert verify(system).exit_code == 0
    system.wait_handled(received + len(late))
    until = time.monotonic() + VERIFIED_S_MAX
    while system.get("/v1/audit")["pending"] > 0:
        assert time.monotonic() < until
        time.sleep(0.1)
    result = verify(system)
    assert result.exit_code == 0, result.stderr
    # Three days more, for the station of the house and the cluster.
    assert last_line(result)["windows"] == 3 * QUARTERS + 2 * 3 * 96
    assert asked(system, "SELECT sum(deliveries) FROM books WHERE outcome = 'pending'") == 0
