"""Writes `jars.lock` anew: `python -m deploy.bench.kafka_streams.lock_jars`, after a change of a version below.

Kafka Streams is of the broker's own version, and takes the client, Jackson and slf4j from the broker's class path.
RocksDB is left out: stores are in memory, and nothing looks its classes up.
"""

import hashlib
import tempfile
from pathlib import Path

from deploy.bench.kafka_streams.jars import LOCK
from deploy.embedded.jars import Jar, maven_context
from deploy.embedded.lock_jars import KAFKA

ECLIPSE_COMPILER = "3.46.100"
WANTED = (
    f"org.apache.kafka:kafka-streams:{KAFKA}",
    f"org.eclipse.jdt:ecj:{ECLIPSE_COMPILER}",
)
HEADER = (
    "# What the Kafka Streams peer needs beside the embedded Kafka: coordinate, SHA-256, bytes.\n"
    "# Written by `python -m deploy.bench.kafka_streams.lock_jars`.\n"
)


def main() -> None:
    """Fetches and hashes every jar, then writes the lock."""
    with tempfile.TemporaryDirectory() as folder:
        context = maven_context(Path(folder))
        paths = {wanted: context.create_dependency(wanted).artifact.resolve() for wanted in WANTED}
        jars = [
            Jar(coordinate, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
            for coordinate, path in paths.items()
        ]
    LOCK.write_text(HEADER + "".join(f"{jar.coordinate} {jar.sha256} {jar.bytes}\n" for jar in jars))


if __name__ == "__main__":
    main()
