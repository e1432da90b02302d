"""Writes `jars.lock` anew: `python -m deploy.embedded.lock_jars`, after a change of a version below.

The names of the transitive jars come from Kafka's own POM files. kafka-clients stands first: left to the resolver
alone an older one can win, and the broker ends in NoSuchMethodError. Kafka's tools and Connect are left out (the
broker does not need them), and logging goes through slf4j-simple to the broker's standard error: it starts faster than
log4j-core and needs no configuration file.
"""

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.embedded.jars import LOCK, Jar, maven_context

KAFKA = "4.3.1"
SLF4J = "1.7.36"
LOG4J = "2.25.1"
WANTED = (
    f"org.apache.kafka:kafka-clients:{KAFKA}",
    f"org.apache.kafka:kafka_2.13:{KAFKA}",
    f"org.slf4j:slf4j-simple:{SLF4J}",
    f"org.apache.logging.log4j:log4j-to-slf4j:{LOG4J}",
)
HEADER = (
    "# The jars of the embedded Kafka: coordinate, SHA-256, bytes. Written by `python -m deploy.embedded.lock_jars`.\n"
)


def main() -> None:
    """Resolves, fetches and hashes every jar, then writes the lock."""
    with tempfile.TemporaryDirectory() as folder:
        context = maven_context(Path(folder))
        inputs, transitive = context.resolver.resolve([context.create_dependency(wanted) for wanted in WANTED])
        needed = inputs + [dependency for dependency in transitive if dependency.scope in ("compile", "runtime")]
        with ThreadPoolExecutor(8) as pool:
            paths = list(pool.map(lambda dependency: dependency.artifact.resolve(), needed))
        jars = [
            Jar(
                coordinate=f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}",
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                bytes=path.stat().st_size,
            )
            for dependency, path in zip(needed, paths, strict=True)
        ]
    LOCK.write_text(HEADER + "".join(f"{jar.coordinate} {jar.sha256} {jar.bytes}\n" for jar in jars))


if __name__ == "__main__":
    main()
