"""Runs a whole Bilans on this machine: its stores and services, started in order, kept running, stopped in order."""

import asyncio
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterable

import orjson

from deploy.console import Console
from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.ports import is_free, remembered_ports
from deploy.embedded.postgres import EmbeddedPostgres
from deploy.keeper import Keeper
from deploy.parts import KafkaPart, Part, PostgresPart, ServicePart
from deploy.run_folder import DISK_FULL, folder_error, forget_addresses, hold, write_addresses
from deploy.running_system import RunningSystem
from deploy.up_options import Stores, UpOptions, check_options, external_stores, service_environment
from shared.errors import BilansError
from shared.settings import Settings, read_settings

READY_TIMEOUT_S = 180
"""The first start compiles the kernels, which takes a busy small machine a minute; later ones take seconds."""
PORT_PATIENCE_S = 2
"""A Bilans that was killed a moment ago may still be letting go of its ports."""

WhileRunning = Callable[[RunningSystem], Awaitable[None]]


class Supervisor:
    """One run of `up`."""

    def __init__(self, options: UpOptions, console: Console) -> None:
        self._options = options
        self._console = console
        self._keepers: list[Keeper] = []
        self._run_folder = options.data_dir / "run"

    async def run(self, while_running: WhileRunning | None = None) -> None:
        """Runs until SIGINT, SIGTERM or SIGHUP; then all its processes have ended in order.

        `while_running` is run once the system is ready, and cancelled when it stops. Raises BilansError when the start
        fails, and what `while_running` raises.
        """
        check_options(self._options, os.environ)
        if self._options.topology is not None:
            # Here already, so that a wrong folder is told within a second and before anything is made. Loading checks
            # again: somebody may write to the folder in between.
            from shared.topology.check import check_folder

            await asyncio.to_thread(check_folder, self._options.topology)
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, stopping)
        with hold(self._options.data_dir):
            work = asyncio.create_task(self._work(while_running))
            stop = asyncio.create_task(stopping.wait())
            try:
                await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()  # raises what went wrong: it never ends otherwise
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                raise folder_error(self._options.data_dir, error) from error
            finally:
                stop.cancel()
                await _cancel(work)
                await self._stop()

    def _on_signal(self, stopping: asyncio.Event) -> None:
        if stopping.is_set():  # asked twice: at once
            for keeper in self._keepers:
                keeper.part.kill()
        stopping.set()

    async def _work(self, while_running: WhileRunning | None) -> None:
        system = await self._start()
        print(f"ready  {system.api}", flush=True)
        try:
            async with asyncio.TaskGroup() as group:
                for keeper in self._keepers:
                    group.create_task(keeper.keep())
                if while_running is not None:
                    group.create_task(_run(while_running, system))
                group.create_task(_forever())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _start(self) -> RunningSystem:
        await self._check_ports()
        stores = external_stores(os.environ) or await self._start_stores()
        environment = service_environment(self._options, stores, os.environ)
        settings = read_settings(environment)
        await self._prepare_stores(settings)
        await self._start_services(environment)
        host = _reachable(self._options.host)
        system = RunningSystem(
            api=f"http://{host}:{self._options.port}",
            ingest=f"http://{host}:{self._options.ingest_port}",
            kafka=stores.kafka,
            database_url=stores.database_url,
        )
        await self._wait_ready(system.api)
        write_addresses(
            self._run_folder,
            {"api": system.api, "ingest": system.ingest, "kafka": system.kafka, "database_url": system.database_url},
        )
        self._console.hide()
        return system

    async def _check_ports(self) -> None:
        options = self._options
        for name, port in (("--port", options.port), ("--ingest-port", options.ingest_port)):
            for _ in range(PORT_PATIENCE_S * 10):
                if is_free(port, options.host):
                    break
                await asyncio.sleep(0.1)
            else:
                raise BilansError(
                    f"Port {port} of {options.host} is taken or not ours.", f"Choose another with {name}."
                )

    async def _start_stores(self) -> Stores:
        folder, logs = self._options.data_dir, self._options.data_dir / "logs"
        kafka = KafkaPart(EmbeddedKafka(folder / "kafka", logs / "kafka.log"), logs / "kafka.log")
        postgres = PostgresPart(EmbeddedPostgres(folder / "postgres", logs / "postgres.log"), logs / "postgres.log")
        # Kafka comes first so that it is stopped in order: after the services, before PostgreSQL.
        keepers = self._add([kafka, postgres])
        shown = asyncio.create_task(self._show_fetching(kafka))
        try:
            await asyncio.gather(*(self._start_one(keeper) for keeper in keepers))
        finally:
            shown.cancel()
        return Stores(kafka.kafka.bootstrap, postgres.postgres.url)

    async def _start_one(self, keeper: Keeper) -> None:
        begun = self._console.seconds()
        await keeper.start()
        self._console.say(keeper.part.name, f"ready in {self._console.seconds() - begun:.1f} s")

    async def _show_fetching(self, kafka: KafkaPart) -> None:
        said = -1
        while True:
            done, total = kafka.fetched
            if total:
                self._console.show(f"fetching Kafka, once: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
                if done * 4 // total != said:
                    said = done * 4 // total
                    self._console.say("kafka", f"fetching it, once: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
            else:
                self._console.show("starting Kafka and PostgreSQL")
            await asyncio.sleep(0.2)

    async def _prepare_stores(self, settings: Settings) -> None:
        """Tables, topics and topology, before any service looks for them."""
        from shared.database.migrate import migrate
        from shared.topics import ensure_topics
        from shared.topology.load import finish_loading, load_folder

        self._console.show("preparing tables and topics")
        await asyncio.gather(asyncio.to_thread(migrate, settings.database_url), ensure_topics(settings))
        if self._options.topology is None:
            await finish_loading(settings)
            return
        self._console.show(f"loading the topology {self._options.topology}")
        begun = self._console.seconds()
        number = await load_folder(settings, self._options.topology)
        self._console.say(
            "topology", f"{number} in force, checked and loaded in {self._console.seconds() - begun:.1f} s"
        )

    async def _start_services(self, environment: dict[str, str]) -> None:
        folder, logs = self._options.data_dir, self._options.data_dir / "logs"
        names = [f"balancer-{number}" for number in range(self._options.balancers)]
        ports = dict(zip(names, remembered_ports(self._run_folder / "balancer-ports.json", len(names)), strict=True))
        modules = {"ingest": "services.ingest"} | dict.fromkeys(names, "services.balancer") | {"api": "services.api"}
        parts: list[Part] = []
        for name, module in modules.items():
            own = {"BILANS_INSTANCE": name, "BILANS_BALANCER_PORT": str(ports.get(name, 0))}
            parts.append(ServicePart(name, module, environment | own, folder, logs / f"{name}.log"))
        for keeper in self._add(parts):
            await keeper.start()

    def _add(self, parts: Iterable[Part]) -> list[Keeper]:
        keepers = [Keeper(part, self._run_folder, self._console) for part in parts]
        self._keepers.extend(keepers)
        return keepers

    async def _wait_ready(self, api: str) -> None:
        begun, said = self._console.seconds(), ""
        while True:
            for keeper in self._keepers:
                if (error := keeper.died()) is not None:
                    raise error
            ready, said = await asyncio.to_thread(_ask_ready, f"{api}/readyz")
            if ready:
                self._console.say("services", f"ready in {self._console.seconds() - begun:.1f} s")
                if said:
                    self._console.say("fuse", said)
                return
            if self._console.seconds() - begun > READY_TIMEOUT_S:
                logs = self._options.data_dir / "logs"
                raise BilansError(
                    f"The services are not ready after {READY_TIMEOUT_S} s: {said}.", f"See their logs in {logs}."
                )
            self._console.show(f"waiting for the services  {said}")
            await asyncio.sleep(0.1)

    async def _stop(self) -> None:
        """API, ingest, balancers, then the stores; each has seconds, all together less than ten."""
        self._console.hide()
        forget_addresses(self._run_folder)
        if self._keepers:
            self._console.say("stopping", "")
        by_name = {keeper.part.name: keeper for keeper in self._keepers}
        balancers = [name for name in by_name if name.startswith("balancer-")]
        for names in (["api", "ingest"], balancers, ["kafka", "postgres"]):
            stopped = [asyncio.to_thread(by_name[name].stop) for name in names if name in by_name]
            await asyncio.gather(*stopped)


async def _run(while_running: WhileRunning, system: RunningSystem) -> None:
    await while_running(system)


async def _forever() -> None:
    await asyncio.Event().wait()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _reachable(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing is bound here
    return f"[{host}]" if ":" in host else host


def _ask_ready(url: str) -> tuple[bool, str]:
    """Whether the API says that all is ready but for a blown fuse, which waits for a person; and what it waits for."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return answer.status == 200, ""
    except urllib.error.HTTPError as error:
        document = error.read(4_096)
        return waits_only_for_a_person(document), _waits_for(document)
    except OSError:
        return False, ""  # it does not listen yet


def waits_only_for_a_person(problem: bytes) -> bool:
    """Whether the API's answer names nothing as missing but the blown fuse."""
    try:
        answer = orjson.loads(problem)
        return answer["fuse"] is not None and len(answer["missing"]) == 1
    except (ValueError, KeyError, TypeError):
        return False


def _waits_for(problem: bytes) -> str:
    """What the API names as missing, else its text."""
    try:
        return ", ".join(orjson.loads(problem)["missing"])
    except (ValueError, KeyError, TypeError):
        return problem.decode(errors="replace")[:200]
