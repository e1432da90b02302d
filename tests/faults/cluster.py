"""A whole Bilans of single processes: each store behind a fault proxy, each service to be killed, paused, replaced."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx

from deploy.embedded.child import start_child, stop_child, tail
from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.postgres import EmbeddedPostgres
from shared.database.migrate import migrate
from shared.settings import Settings, read_settings
from shared.topics import ensure_topics
from shared.topology.load import load_folder
from tests.faults.proxy import FaultProxy
from tests.faults.stepping_balancer import STEP_FILE
from tests.system import ENVIRONMENT, free_ports

READY_S_MAX = 180
"""The first start on a machine compiles the kernels."""
STOP_S = 10


class Cluster:
    """Stores and services; whoever starts it ends it with `close`."""

    def __init__(self, folder: Path, topology: Path) -> None:
        self.folder = folder
        self._topology = topology
        self.kafka_proxy, self.postgres_proxy = FaultProxy(1), FaultProxy(2)
        self.kafka = EmbeddedKafka(folder / "kafka", folder / "kafka.log", self.kafka_proxy.port)
        self.postgres = EmbeddedPostgres(folder / "postgres", folder / "postgres.log")
        self.port, self.ingest_port = free_ports(2)
        self.step_file = folder / "step"
        """Where a test says at which step of its flush a balancer ends or stands still (stepping_balancer.py)."""
        self._balancer_ports: dict[str, int] = {}
        self._services: dict[str, subprocess.Popen[bytes]] = {}

    # --- addresses --------------------------------------------------------------------------------------------------

    @property
    def api(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def ingest(self) -> str:
        return f"http://{LOOPBACK}:{self.ingest_port}"

    @property
    def archive(self) -> Path:
        return self.folder / "data" / "archive"

    @property
    def settings(self) -> Settings:
        """Of the services, but for the proxies: straight to the stores."""
        return read_settings(
            self._environment("test") | {"BILANS_KAFKA": self.kafka.bootstrap, "BILANS_DATABASE_URL": self.postgres.url}
        )

    def _environment(self, name: str) -> dict[str, str]:
        through_proxy = self.postgres.url.replace(
            f"{LOOPBACK}:{self.postgres_proxy.upstream[1]}", f"{LOOPBACK}:{self.postgres_proxy.port}"
        )
        return {
            **{variable: text for variable, text in ENVIRONMENT.items() if not variable.startswith("BILANS_")},
            "BILANS_KAFKA": f"{LOOPBACK}:{self.kafka_proxy.port}",
            "BILANS_DATABASE_URL": through_proxy,
            "BILANS_DATA_DIR": str(self.folder / "data"),
            "BILANS_PORT": str(self.port),
            "BILANS_INGEST_PORT": str(self.ingest_port),
            "BILANS_BALANCER_PORT": str(self._balancer_ports.get(name, 0)),
            "BILANS_INSTANCE": name,
            # The readings are of 2016: none of their revisions may go as old ones do.
            "BILANS_REVISIONS_DAYS": "36500",
            STEP_FILE: str(self.step_file),
            "PYTHONUNBUFFERED": "1",
        }

    # --- the stores -------------------------------------------------------------------------------------------------

    def start(self, balancers: int = 1) -> None:
        """Starts all of it and waits until it is ready; blocks."""
        self.kafka.prepare()
        self.postgres.prepare()
        self.kafka_proxy.upstream = _address(self.kafka.bootstrap)
        self.postgres_proxy.upstream = _address(self.postgres.url.rpartition("@")[2].partition("/")[0])
        self.kafka.start()
        self.postgres.start()
        asyncio.run(self._prepare_stores())
        migrate(self.postgres.url)
        asyncio.run(self._load())
        for name in ("ingest", *(f"balancer-{number}" for number in range(balancers)), "api"):
            self.start_service(name)
        self.wait_ready()

    async def _prepare_stores(self) -> None:
        await asyncio.gather(self.kafka.wait_ready(), self.postgres.wait_ready())

    async def _load(self) -> None:
        await ensure_topics(self.settings)
        await load_folder(self.settings, self._topology)

    def kill_kafka(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends the broker: SIGKILL, or SIGTERM for an end in order."""
        assert self.kafka.child is not None
        stop_child(self.kafka.child, how, STOP_S)

    async def start_kafka(self) -> None:
        """Starts the broker again; returns when it answers."""
        await asyncio.to_thread(self.kafka.prepare)
        self.kafka.start()
        await self.kafka.wait_ready()

    def kill_postgres(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Ends the server: SIGQUIT is what `pg_ctl stop -m immediate` sends."""
        assert self.postgres.child is not None
        stop_child(self.postgres.child, how, STOP_S)

    async def start_postgres(self) -> None:
        """Starts the server again; returns when it answers."""
        await asyncio.to_thread(self.postgres.prepare)
        self.postgres.start()
        await self.postgres.wait_ready()

    # --- the services -----------------------------------------------------------------------------------------------

    def start_service(self, name: str) -> None:
        """Starts `ingest`, `api` or `balancer-N`."""
        module = f"services.{name}"
        if name.startswith("balancer"):
            module = "tests.faults.stepping_balancer"
            self._balancer_ports.setdefault(name, free_ports(1)[0])
        folder = self.folder / "data"
        folder.mkdir(exist_ok=True)
        self._services[name] = start_child(
            [sys.executable, "-m", module],
            folder=folder,
            log=self.log_of(name),
            environment=self._environment(name),
        )

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def process_id(self, name: str) -> int:
        return self._services[name].pid

    def kill(self, name: str) -> None:
        """SIGKILL; it has ended when this returns."""
        self._services[name].kill()
        self._services[name].wait()

    def stop(self, name: str) -> None:
        """SIGTERM; it must end in order."""
        assert stop_child(self._services.pop(name), signal.SIGTERM, STOP_S), tail(self.log_of(name), 30)

    def runs(self, name: str) -> bool:
        return self._services[name].poll() is None

    async def ended(self, name: str, seconds: float) -> int:
        """Waits for the end of a service; its exit code."""
        process = self._services[name]
        await eventually(lambda: process.poll() is not None, seconds, f"{name} did not end")
        assert process.returncode is not None
        return process.returncode

    def pause(self, name: str) -> None:
        """SIGSTOP: it stands still, its connections stay open."""
        os.kill(self.process_id(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        os.kill(self.process_id(name), signal.SIGCONT)

    def balancer_metric(self, name: str, metric: str) -> float:
        """A figure of a balancer's own metrics, summed over its labels; 0 where it does not answer."""
        with suppress(httpx.HTTPError):
            text = httpx.get(f"http://{LOOPBACK}:{self._balancer_ports[name]}/metrics", timeout=5).text
            return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(metric))
        return 0.0

    def is_ready(self) -> bool:
        """Whether the API says that all is there."""
        try:
            return httpx.get(f"{self.api}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def wait_ready(self) -> None:
        """Blocks until all is ready."""
        until = time.monotonic() + READY_S_MAX
        while not self.is_ready():
            assert time.monotonic() < until, f"not ready within {READY_S_MAX} s\n{self.logs()}"
            time.sleep(0.1)

    def logs(self) -> str:
        """The ends of all logs, for whoever looks why a test failed."""
        return "\n".join(f"--- {log.name}\n{tail(log, 15)}" for log in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        """Ends everything."""
        for process in self._services.values():
            process.send_signal(signal.SIGCONT)
            stop_child(process, signal.SIGTERM, STOP_S)
        self.kafka.stop()
        self.postgres.stop()
        self.kafka_proxy.close()
        self.postgres_proxy.close()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return host, int(port)


async def eventually(true: Callable[[], bool], seconds: float, otherwise: str, pause_s: float = 0.05) -> None:
    """Waits until `true` says so."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{otherwise} within {seconds} s"
        await asyncio.sleep(pause_s)
