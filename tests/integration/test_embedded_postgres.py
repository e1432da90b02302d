"""PostgreSQL as a child: it keeps what was committed, and never outlives its parent."""

import asyncio
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.embedded.child import processes_in
from deploy.embedded.postgres import EmbeddedPostgres


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server that has just started."""
    server = EmbeddedPostgres(tmp_path / "postgres", tmp_path / "postgres.log")
    server.prepare()
    server.start()
    asyncio.run(server.wait_ready())
    yield server
    server.stop()


async def _query(url: str, question: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(question)
        return rows
    finally:
        await connection.close()


def _start_again(server: EmbeddedPostgres) -> None:
    server.prepare()
    server.start()
    asyncio.run(server.wait_ready())


def test_commits_survive_sigkill_of_the_postmaster_with_open_sessions(postgres: EmbeddedPostgres) -> None:
    async def kill_while_a_session_is_open() -> None:
        connection = await asyncpg.connect(postgres.url)
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
        assert postgres.child is not None
        postgres.child.kill()
        postgres.child.wait()
        connection.terminate()

    url = postgres.url
    asyncio.run(kill_while_a_session_is_open())
    _start_again(postgres)
    assert postgres.url == url  # clients find it again
    assert [row["value"] for row in asyncio.run(_query(url, "SELECT value FROM kept"))] == [42]


def test_an_ordinary_stop_and_start_keeps_the_data_and_the_address(postgres: EmbeddedPostgres) -> None:
    asyncio.run(_query(postgres.url, "CREATE TABLE kept AS SELECT 7 AS value"))
    url = postgres.url
    postgres.stop()
    _start_again(postgres)
    assert postgres.url == url
    assert [row["value"] for row in asyncio.run(_query(url, "SELECT value FROM kept"))] == [7]


def test_only_who_knows_the_password_gets_in(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    password = (tmp_path / "postgres" / "password").read_text()
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(_query(postgres.url.replace(password, "wrong"), "SELECT 1"))
    assert stat.S_IMODE((tmp_path / "postgres" / "password").stat().st_mode) == 0o600


def test_the_server_is_postgresql_18_listens_on_loopback_and_syncs_commits(postgres: EmbeddedPostgres) -> None:
    question = "SELECT current_setting('server_version_num')::int AS version, " + ", ".join(
        f"current_setting('{name}') AS {name}"
        for name in ("listen_addresses", "fsync", "synchronous_commit", "unix_socket_directories")
    )
    row = asyncio.run(_query(postgres.url, question))[0]
    assert row["version"] // 10_000 == 18
    assert (row["listen_addresses"], row["fsync"], row["synchronous_commit"]) == ("127.0.0.1", "on", "on")
    assert row["unix_socket_directories"] == ""


def test_as_root_it_runs_as_another_user_in_a_folder_that_user_cannot_reach(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    assert postgres.child is not None
    owner = Path(f"/proc/{postgres.child.pid}").stat().st_uid
    if os.geteuid() == 0:
        assert owner != 0
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    else:
        assert owner == os.geteuid()


def test_a_cluster_that_was_left_half_made_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "cluster" / "base").mkdir(parents=True)
    server = EmbeddedPostgres(tmp_path / "postgres", tmp_path / "postgres.log")
    server.prepare()
    server.start()
    try:
        asyncio.run(server.wait_ready())
    finally:
        server.stop()
    assert processes_in(tmp_path / "postgres" / "cluster") == []


def test_sigquit_from_the_kernel_ends_the_server_and_its_backends(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    async def quit_while_a_session_is_open() -> None:
        connection = await asyncpg.connect(postgres.url)
        assert postgres.child is not None
        postgres.child.send_signal(signal.SIGQUIT)
        await asyncio.to_thread(postgres.child.wait, 5)
        connection.terminate()

    asyncio.run(quit_while_a_session_is_open())
    assert processes_in(tmp_path / "postgres" / "cluster") == []
