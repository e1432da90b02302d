"""The hand-written loop: one consumer, orjson, dicts. What a good developer writes in an afternoon.

It keeps nothing on disk and promises nothing: after a crash it begins anew. Tuned as librdkafka's documents say (see
CONSUMER_CONFIGURATION), messages are taken 10,000 at a time, and the last call asks for no more than there are, since
`consume` would wait its whole time-out for them.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson
from confluent_kafka import Consumer, KafkaException, Message

from deploy.bench.peer_job import CONSUMER_CONFIGURATION, PeerJob, QuarterOfText, Stopwatch, Sums, run_job, sums_of
from shared.limits import QUARTER_S

_MESSAGES_AT_ONCE = 10_000
_WAIT_S = 0.5


@dataclass(slots=True)
class _Series:
    """A register up to the edge from which on something is missing."""

    next_quarter: int
    last_wh: int | None = None
    """At the edge before `next_quarter`; None before the first."""
    ahead_wh: dict[int, int] = field(default_factory=dict)
    """What came before its turn, by edge."""


def work(job: PeerJob, watch: Stopwatch) -> Sums:
    """Reads the whole topic and gives the sums."""
    quarter_of = QuarterOfText()
    begin_quarter = job.begin_s // QUARTER_S
    series_of: dict[tuple[str, str], _Series] = {}
    energy_wh: dict[tuple[bytes, str, int], int] = defaultdict(int)
    loads = orjson.loads
    for messages in _batches(job, watch):
        for message in messages:
            reading = loads(message.value())
            register = reading["register"]
            series = series_of.get((reading["meter"], register))
            if series is None:
                series = series_of[reading["meter"], register] = _Series(begin_quarter)
            quarter, value_wh = quarter_of[reading["ts"]], reading["value"]
            if quarter > series.next_quarter:
                series.ahead_wh[quarter] = value_wh
            elif quarter == series.next_quarter:
                zone = message.key()
                while True:
                    if series.last_wh is not None:
                        energy_wh[zone, register, quarter - 1] += value_wh - series.last_wh
                    series.last_wh = value_wh
                    quarter += 1
                    if quarter not in series.ahead_wh:
                        break
                    value_wh = series.ahead_wh.pop(quarter)
                series.next_quarter = quarter
    return sums_of({(zone.decode(), register, quarter): wh for (zone, register, quarter), wh in energy_wh.items()})


def _batches(job: PeerJob, watch: Stopwatch) -> Iterator[list[Message]]:
    """All messages of the topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.kafka,
            "group.id": "bench-peer-loop",
            "auto.offset.reset": "earliest",
            **CONSUMER_CONFIGURATION,
        }
    )
    consumer.subscribe([job.topic])
    missing = job.deliveries
    while missing:
        at_once = min(missing, _MESSAGES_AT_ONCE) if missing < job.deliveries else 1
        messages = consumer.consume(at_once, _WAIT_S)
        if messages and missing == job.deliveries:
            watch.begin()
        if failed := [message.error() for message in messages if message.error()]:
            raise KafkaException(failed[0])
        missing -= len(messages)
        yield messages
    watch.end()
    consumer.close()


if __name__ == "__main__":
    run_job(work)
