"""The job that Bilans and its peers do in `bench peers`: what a peer's process is told, and what it gives back.

The job: from cumulative registers, one JSON reading a message, the energy of each zone in each quarter of an hour, with
readings that come twice and readings that come late. What the peers need not do, and Bilans does: interpolate where a
reading is not at a quarter's edge, take corrections, look names up (a message's key is its zone), sum the zones above a
zone, judge what is plausible, keep books, revisions and an archive, and have it all in a database.

How a peer's answer is exact stands in deploy/bench/peer_series.py: with as little kept as can be.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import orjson

from shared.limits import QUARTER_S
from shared.words import Register

Sums = Mapping[tuple[str, int], tuple[int, int]]
"""By zone and start of the window (in seconds): Wh withdrawn (1.8.0) and injected (2.8.0)."""

CONSUMER_CONFIGURATION: dict[str, str | int] = {
    # librdkafka's default of 1000 ms leaves its queue empty for most of each second: a quarter of the speed.
    "fetch.queue.backoff.ms": 2,
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": 262_144,
}
"""How all peers in Python, which share librdkafka, read fast."""


@dataclass(frozen=True, slots=True)
class PeerJob:
    """What a peer's process is told, as JSON on its command line."""

    kafka: str
    """The broker, `host:port`."""
    topic: str
    """One JSON reading a message, keyed by zone."""
    deliveries: int
    """Messages on the topic; the work is done when all are handled."""
    begin_s: int
    """The instant of every series' first reading, an edge of a window."""
    late_s: int
    """So far behind the newest of its zone a reading may come, at most."""
    folder: str
    """Where the process may keep files."""
    outcome: str
    """The file for its PeerOutcome."""

    @staticmethod
    def from_json(text: str) -> "PeerJob":
        """The inverse of `to_json`."""
        return PeerJob(**orjson.loads(text))

    def to_json(self) -> str:
        """As the peer's process takes it."""
        return orjson.dumps(asdict(self)).decode()


@dataclass(frozen=True, slots=True)
class PeerOutcome:
    """What a peer's process gives back."""

    seconds: float
    """From its first message to the complete answer: starting, joining a group and a JVM's warming up are not in it."""
    cpu_seconds: float
    """In the same time, all threads."""
    rss_bytes: int
    """The most memory that it ever held."""
    sums: Sums

    @staticmethod
    def read(file: Path) -> "PeerOutcome":
        """From the file that the process wrote."""
        fields = orjson.loads(file.read_bytes())
        sums = {(zone, window_s): (withdrawn, injected) for zone, window_s, withdrawn, injected in fields["rows"]}
        return PeerOutcome(fields["seconds"], fields["cpu_seconds"], fields["rss_bytes"], sums)

    def write(self, file: Path) -> None:
        """Writes it for `read`."""
        rows = [(zone, window_s, *energy_wh) for (zone, window_s), energy_wh in self.sums.items()]
        fields = {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "rss_bytes": self.rss_bytes,
            "rows": rows,
        }
        file.write_bytes(orjson.dumps(fields))


class Stopwatch:
    """Time and processor time of this process, from its first message to its complete answer."""

    def __init__(self) -> None:
        """Does not run yet."""
        self._began = self._ended = (0.0, 0.0)

    def begin(self) -> None:
        """The first message is here."""
        self._began = _now()

    def end(self) -> None:
        """The answer is complete; what is still closed is not in the time."""
        self._ended = _now()

    def read(self) -> tuple[float, float]:
        """Seconds and processor seconds from begin to end."""
        return self._ended[0] - self._began[0], self._ended[1] - self._began[1]


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def run_job(work: Callable[[PeerJob, Stopwatch], Sums]) -> None:
    """The main function of a peer in Python: does the job on the command line and writes the outcome."""
    job = PeerJob.from_json(sys.argv[1])
    watch = Stopwatch()
    sums = work(job, watch)
    seconds, cpu_seconds = watch.read()
    PeerOutcome(seconds, cpu_seconds, _rss_bytes_max(), sums).write(Path(job.outcome))


def _rss_bytes_max() -> int:
    """Of this process since it began as this program (`getrusage` would count its parent's memory, too)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


class QuarterOfText(dict[str, int]):
    """The quarter's number (its start // 900 s) of an instant's text; each text is read once, since they repeat."""

    def __missing__(self, text: str) -> int:
        quarter = int(datetime.fromisoformat(text).timestamp()) // QUARTER_S
        self[text] = quarter
        return quarter


def sums_of(energy_wh: Mapping[tuple[str, str, int], int]) -> Sums:
    """The sums from energy by zone, register and number of the quarter."""
    sums: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for (zone, register, quarter), wh in energy_wh.items():
        sums[zone, quarter * QUARTER_S][register == Register.INJECTED] += wh
    return {place: (withdrawn, injected) for place, (withdrawn, injected) in sums.items()}
