"""PostgreSQL as a child process, on the loopback address only, with a password of its own."""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

import asyncpg

from deploy.embedded.child import start_child, stop_child, tail, wait_until_left
from deploy.embedded.ports import LOOPBACK, remembered_ports
from deploy.embedded.postgres_programs import Programs, find_programs
from shared.errors import BilansError

USER = "bilans"
DATABASE = "bilans"
START_TIMEOUT_S = 60
"""It is up within a second; recovery after a crash in the middle of much writing can take longer, not this long."""
STOP_TIMEOUT_S = 4
ORPHANS_TIMEOUT_S = 6
"""How long backends may take to notice that their postmaster was killed."""

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # Sockets would lie in folders that another user cannot enter, and their paths can be too long.
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    # Few checkpoints: a flush some times a second rewrites the same rows again and again.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # What was committed is there after a crash of the machine.
    "fsync": "on",
    "synchronous_commit": "on",
    # Short statements: compiling them would take longer than running them.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
}

_NOT_YET = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
)
"""What a server that is still starting answers, or one that is going down."""


class EmbeddedPostgres:
    """A PostgreSQL with its data in `data_dir`; it ends with this process."""

    def __init__(self, data_dir: Path, log: Path) -> None:
        """`data_dir` holds the database cluster, the remembered port and the password; `log` the server's output."""
        self._folder = data_dir.absolute()
        self._cluster = self._folder / "cluster"
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._programs: Programs | None = None
        self._port = 0
        self._password = ""

    @property
    def url(self) -> str:
        """`postgresql://…` of the database `bilans`; known after `prepare`."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The URL of another database of this server."""
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self._port}/{database}"

    @property
    def child(self) -> subprocess.Popen[bytes] | None:
        """The postmaster, once started."""
        return self._child

    def prepare(self) -> None:
        """Waits for what is left of an earlier server, chooses the port, and makes the cluster where there is none.

        Blocks; may run in a thread. Raises BilansError with the way out.
        """
        self._programs = find_programs()
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._cluster.exists():
            # After SIGKILL of the postmaster its backends still hold the shared memory for a moment.
            wait_until_left(self._cluster, ORPHANS_TIMEOUT_S)
        if not self._port:  # a later start in the same run must keep it: the clients have it
            self._port = remembered_ports(self._folder / "ports.json", 1)[0]
        password = self._folder / "password"
        whole = self._folder / "made"
        if not whole.exists():
            _write_secret(password, secrets.token_urlsafe(24))
            self._initialise(password.read_text())
            whole.touch()
        self._password = password.read_text()

    def _initialise(self, password: str) -> None:
        """Makes the cluster; one that an interrupted call left half made is made anew."""
        assert self._programs is not None
        shutil.rmtree(self._cluster, ignore_errors=True)
        self._cluster.mkdir(mode=0o700)
        # The password goes through memory: initdb's user could not read a file in our folders.
        file = os.memfd_create("password")
        os.write(file, password.encode())
        if self._programs.user is not None:
            os.chown(self._cluster, *self._programs.user)
            os.fchown(file, *self._programs.user)
        arguments = (
            *("-D", "/proc/self/cwd", f"--username={USER}", "--auth=scram-sha-256", f"--pwfile=/proc/self/fd/{file}"),
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            "--no-instructions",
        )
        child = start_child(
            [str(self._programs.folder / "initdb"), *arguments],
            folder=self._cluster,
            log=self._log,
            user=self._programs.user,
            environment=_environment(),
            pass_fds=[file],
        )
        os.close(file)
        if child.wait() != 0:
            raise BilansError(f"PostgreSQL could not prepare {self._cluster}. Its log ends with:\n{tail(self._log)}")

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the postmaster, from the main thread; `prepare` comes first, `wait_ready` next.

        When this process ends it shuts down at once (SIGQUIT), its backends with it; the next start recovers from the
        log, in which every commit is.
        """
        assert self._programs is not None
        settings = [f"--{name}={value}" for name, value in (_SETTINGS | {"port": str(self._port)}).items()]
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)  # `prepare` has seen that nobody works there
        self._child = start_child(
            [str(self._programs.folder / "postgres"), "-D", "/proc/self/cwd", *settings],
            folder=self._cluster,
            log=self._log,
            user=self._programs.user,
            environment=_environment(),
            death_signal=signal.SIGQUIT,
        )
        return self._child

    async def wait_ready(self) -> None:
        """Returns when the database `bilans` answers. Raises BilansError with the end of the log when it does not."""
        assert self._child is not None
        until = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                await ensure_database(self.url_of("postgres"), DATABASE)
                return
            except _NOT_YET as error:
                if self._child.poll() is not None or time.monotonic() > until:
                    raise BilansError(
                        f"PostgreSQL did not start. Its log {self._log} ends with:\n{tail(self._log)}"
                    ) from error
            await asyncio.sleep(0.05)

    def stop(self) -> None:
        """Stops the server in order; sessions that are open are ended. Blocks for up to some seconds."""
        if self._child is not None and not stop_child(self._child, signal.SIGINT, STOP_TIMEOUT_S):
            wait_until_left(self._cluster, ORPHANS_TIMEOUT_S)


async def ensure_database(server_url: str, database: str) -> None:
    """Makes `database` unless it exists; `server_url` names another database of the same server."""
    connection = await asyncpg.connect(server_url, timeout=5)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await connection.execute(f'CREATE DATABASE "{database}"')
    finally:
        await connection.close()


def _environment() -> dict[str, str]:
    """Nothing of ours: a variable such as PGDATA or LC_ALL must not change what the server does."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def _write_secret(file: Path, secret: str) -> None:
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(secret)
