"""The parts of a running system as the supervisor sees them: each can be started, started again, and stopped."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from deploy.embedded.child import start_child, stop_child
from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.postgres import EmbeddedPostgres
from shared.errors import BilansError

SERVICE_STOP_S = 3
"""How long a service may take to end its work in order."""


class Part(Protocol):
    """One process of the system."""

    name: str
    log: Path

    async def start(self) -> subprocess.Popen[bytes]:
        """Starts it, or starts it again, and returns its process; a store's when it answers."""
        ...

    def stop(self) -> None:
        """Stops it in order; blocks for up to some seconds. Nothing happens where it does not run."""
        ...

    def kill(self) -> None:
        """Ends it at once."""
        ...


class KafkaPart:
    """The embedded Kafka."""

    name = "kafka"

    def __init__(self, kafka: EmbeddedKafka, log: Path) -> None:
        self.kafka = kafka
        self.log = log
        self.fetched = (0, 0)
        """Bytes of its jars at hand, and of all; (0, 0) while nothing is fetched."""
        self._given_up = False

    async def start(self) -> subprocess.Popen[bytes]:
        """Starts the broker; it answers when this returns."""

        def note(done: int, total: int) -> None:
            if self._given_up:
                raise BilansError("The start was given up.")
            self.fetched = (done, total)

        try:
            await asyncio.to_thread(self.kafka.prepare, note)
        except asyncio.CancelledError:
            self._given_up = True  # the thread ends with the next jar; the program waits for it
            raise
        child = self.kafka.start()
        await self.kafka.wait_ready()
        return child

    def stop(self) -> None:
        """Stops the broker."""
        self.kafka.stop()

    def kill(self) -> None:
        """Ends the broker at once."""
        if self.kafka.child is not None:
            self.kafka.child.kill()


class PostgresPart:
    """The embedded PostgreSQL."""

    name = "postgres"

    def __init__(self, postgres: EmbeddedPostgres, log: Path) -> None:
        self.postgres = postgres
        self.log = log

    async def start(self) -> subprocess.Popen[bytes]:
        """Starts the server, once what a killed one left has ended; it answers when this returns."""
        await asyncio.to_thread(self.postgres.prepare)
        child = self.postgres.start()
        await self.postgres.wait_ready()
        return child

    def stop(self) -> None:
        """Stops the server."""
        self.postgres.stop()

    def kill(self) -> None:
        """Ends the server and its backends at once; SIGKILL would leave the backends."""
        if self.postgres.child is not None:
            self.postgres.child.send_signal(signal.SIGQUIT)


class ServicePart:
    """One process of ingest, balancer or API."""

    def __init__(self, name: str, module: str, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        """`module` is run in `folder` with exactly `environment`; its output goes to `log`."""
        self.name = name
        self.log = log
        self._module = module
        self._environment = environment
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    async def start(self) -> subprocess.Popen[bytes]:
        """Starts the process; it may take some time until it serves."""
        self._child = start_child(
            [sys.executable, "-m", self._module], folder=self._folder, log=self.log, environment=self._environment
        )
        return self._child

    def stop(self) -> None:
        """Asks it to end its work in order."""
        if self._child is not None:
            stop_child(self._child, signal.SIGTERM, SERVICE_STOP_S)

    def kill(self) -> None:
        """Ends it at once."""
        if self._child is not None:
            self._child.kill()
