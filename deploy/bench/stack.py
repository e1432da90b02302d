"""A Bilans of a benchmark's own: the parts that `up` runs, each started and stopped when the benchmark says so."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

from deploy.embedded.child import tail
from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.ports import remembered_ports
from deploy.embedded.postgres import EmbeddedPostgres
from deploy.parts import KafkaPart, PostgresPart, ServicePart
from deploy.up_options import Stores, UpOptions, service_environment
from shared.errors import BilansError
from shared.settings import ClockMode, Settings, read_settings

READY_S_MAX = 240.0
"""The first start compiles the kernels; a topology of millions of meters is read in under a minute."""
STORES = ("kafka", "postgres")
"""The parts that always run."""
_ROOT = Path(__file__).parents[2]
_MODULES = {"ingest": "services.ingest", "api": "services.api"}

_Result = TypeVar("_Result")


class Stack:
    """Kafka and PostgreSQL that run, with tables and topics; services run from `start` to `stop`.

    Services are `ingest`, `api` and `balancer-0`, `balancer-1`, …, as in `up`.
    """

    def __init__(self, folder: Path, kafka: KafkaPart, postgres: PostgresPart, partitions: int, clock: ClockMode):
        """`folder` holds all data; the stores are started already."""
        self.folder = folder
        """All data; it goes with the stack."""
        self._services: dict[str, ServicePart] = {}
        self._processes: dict[str, psutil.Process] = {}
        for name, store in zip(STORES, (kafka.kafka.child, postgres.postgres.child), strict=True):
            assert store is not None
            self._processes[name] = psutil.Process(store.pid)
        port, ingest_port = remembered_ports(folder / "ports.json", 2)
        self._ports = {"api": port, "ingest": ingest_port}
        options = UpOptions(data_dir=folder, topology=None, port=port, ingest_port=ingest_port, clock=clock)
        # Settings of a Bilans that the caller runs elsewhere have no place in a measurement.
        bare = {name: value for name, value in os.environ.items() if not name.startswith("BILANS_")}
        stores = Stores(kafka.kafka.bootstrap, postgres.postgres.url)
        own = {"BILANS_PARTITIONS": str(partitions), "PYTHONPATH": str(_ROOT), "PYTHONSAFEPATH": "1"}
        self.environment = service_environment(options, stores, bare | own)
        """What a service is told, but for its name: for other processes that read the same settings."""
        self.settings: Settings = read_settings(self.environment)
        """How to reach the stores, the archive and the topics."""

    @property
    def api(self) -> str:
        """The API's base URL."""
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def ingest(self) -> str:
        """Ingest's base URL."""
        return f"http://127.0.0.1:{self.settings.ingest_port}"

    async def load_topology(self, folder: Path) -> int:
        """Loads a topology folder; its number. Services that run follow it on their own, later ones at once."""
        from shared.topology.load import load_folder

        return await load_folder(self.settings, folder)

    async def start(self, *names: str) -> None:
        """Starts services; returns when all say that they are ready. Raises BilansError when one ends instead."""
        for name in names:
            service = self._services[name] = self._part(name)
            self._processes[name] = psutil.Process((await service.start()).pid)
        await asyncio.gather(*(self._wait_ready(name) for name in names))

    def _part(self, name: str) -> ServicePart:
        if name not in self._ports:
            self._ports[name] = remembered_ports(self.folder / f"{name}.port.json", 1)[0]
        own = {"BILANS_INSTANCE": name, "BILANS_BALANCER_PORT": str(self._ports[name])}
        module = _MODULES.get(name, "services.balancer")
        return ServicePart(name, module, self.environment | own, self.folder, self.log(name))

    async def stop(self, *names: str) -> None:
        """Stops services in order, as `up` does at its end."""
        await asyncio.gather(*(asyncio.to_thread(self._services.pop(name).stop) for name in names))

    async def stop_slowly(self, name: str, timeout_s: float) -> None:
        """Stops a service in order and gives it the time to write a state of gigabytes; `up` would kill it by then."""
        process = self._processes[name]
        process.terminate()
        with suppress(psutil.TimeoutExpired):
            await asyncio.to_thread(process.wait, timeout_s)
        await self.stop(name)

    def process(self, name: str) -> psutil.Process:
        """The process of a service or a store, for its processor time and memory."""
        return self._processes[name]

    def log(self, name: str) -> Path:
        """The log of a service."""
        return self.folder / "logs" / f"{name}.log"

    async def _wait_ready(self, name: str) -> None:
        url = f"http://127.0.0.1:{self._ports[name]}/readyz"
        process = self._processes[name]
        until = time.monotonic() + READY_S_MAX
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get(url)).status_code == 200:
                        return
                ended = not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
                if ended or time.monotonic() > until:
                    raise BilansError(f"{name} is not ready. Its log ends with:\n{tail(self.log(name))}")
                await asyncio.sleep(0.05)

    async def end(self) -> None:
        """Stops the services that run, balancers last."""
        await self.stop(*[name for name in self._services if not name.startswith("balancer-")])
        await self.stop(*self._services)


@asynccontextmanager
async def running_stack(*, partitions: int = 4, clock: ClockMode = "wall") -> AsyncIterator[Stack]:
    """A stack without services and without topology, in a temporary folder; nothing is left of it afterwards."""
    from shared.database.migrate import migrate
    from shared.topics import ensure_topics

    folder = Path(tempfile.mkdtemp(prefix="bilans-bench-"))
    logs = folder / "logs"
    kafka = KafkaPart(EmbeddedKafka(folder / "kafka", logs / "kafka.log"), logs / "kafka.log")
    postgres = PostgresPart(EmbeddedPostgres(folder / "postgres", logs / "postgres.log"), logs / "postgres.log")
    try:
        await asyncio.gather(kafka.start(), postgres.start())
        stack = Stack(folder, kafka, postgres, partitions, clock)
        try:
            await asyncio.gather(asyncio.to_thread(migrate, stack.settings.database_url), ensure_topics(stack.settings))
            yield stack
        finally:
            await stack.end()
    finally:
        await asyncio.gather(*(asyncio.to_thread(store.stop) for store in (kafka, postgres)))
        shutil.rmtree(folder, ignore_errors=True)


def run(work: Coroutine[object, object, _Result]) -> _Result:
    """Runs a benchmark to its end; SIGTERM and SIGHUP end it in order, as Ctrl-C does: nothing is left running."""

    async def cancellable() -> _Result:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
