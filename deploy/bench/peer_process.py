"""Runs a peer in a process of its own and reads what it gives back."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from deploy.bench.kafka_streams.jars import kafka_streams_command
from deploy.bench.peer_job import PeerJob, PeerOutcome
from deploy.embedded.child import start_child, tail
from deploy.embedded.lock_jars import KAFKA
from shared.errors import BilansError

_ROOT = Path(__file__).parents[2]
_READINGS_PER_SECOND_MIN = 4_000
"""Slower than this a peer is given up: five times slower than the slowest that is known."""
_START_S_MAX = 60


@dataclass(frozen=True, slots=True)
class Peer:
    """Something that can do the job."""

    name: str
    promise: str
    """What becomes of its results when it is killed, in a few words."""
    package: str
    """The distribution that it is; of Kafka Streams, which is none, empty."""

    @property
    def release(self) -> str | None:
        """Its version; None where it is not installed."""
        try:
            return version(self.package) if self.package else KAFKA
        except PackageNotFoundError:
            return None

    def command(self, folder: Path) -> list[str]:
        """The program that takes the job as its last word; `folder` is made for its files.

        Raises BilansError when it cannot be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if not self.package:
            return kafka_streams_command(folder / "classes")
        return [sys.executable, "-m", f"deploy.bench.peer_{self.name.replace('-', '_')}"]


PEERS = (
    Peer("loop", "begins anew when killed", "confluent-kafka"),
    Peer("quixstreams", "at least once", "quixstreams"),
    Peer("bytewax", "begins anew when killed", "bytewax"),
    Peer("kafka-streams", "at least once", ""),
)
"""In the order in which they run."""


async def run_peer(peer: Peer, job: PeerJob) -> PeerOutcome:
    """Does the job in a process of its own, which ends with this one.

    Raises BilansError when it cannot be started, fails or does not finish.
    """
    folder = Path(job.folder)
    log = folder / "peer.log"
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONSAFEPATH": "1"}
    command = await asyncio.to_thread(peer.command, folder)
    child = start_child([*command, job.to_json()], folder=folder, log=log, environment=environment)
    try:
        await asyncio.to_thread(child.wait, _START_S_MAX + job.deliveries / _READINGS_PER_SECOND_MIN)
    except subprocess.TimeoutExpired:
        raise BilansError(f"did not finish: {tail(log, lines=1)}") from None
    finally:
        child.kill()
        child.wait()
    if child.returncode != 0:
        raise BilansError(f"ended with {child.returncode}: {tail(log, lines=1)}")
    return PeerOutcome.read(Path(job.outcome))
