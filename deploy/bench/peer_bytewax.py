"""The job as a bytewax dataflow, in one worker.

Decoding is done a batch at a time (`flat_map_batch`, as its documents advise for speed), the differences by a stateful
operator that is given a zone's readings of a batch together and adds them up by window, the sums by windows on event
time that wait for late readings and do not sort (`ordered=False`). More workers would be threads under one interpreter
lock. Recovery is left off, as by default: it keeps nothing on disk.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.testing import TestingSink, run_main

from deploy.bench.peer_job import CONSUMER_CONFIGURATION, PeerJob, QuarterOfText, Stopwatch, Sums, run_job
from deploy.bench.peer_series import Series, advance, new_series
from shared.limits import QUARTER_S
from shared.words import Register

_MESSAGES_AT_ONCE = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER = timedelta(seconds=QUARTER_S)
_INJECTED = Register.INJECTED.value

_Reading = tuple[str, int, int]
"""Series, quarter of its edge, register in Wh."""
_Energy = tuple[datetime, int, int]
"""Start of the window, Wh withdrawn, Wh injected."""


class _Differences(StatefulBatchLogic):
    """A zone's series; turns their readings into energy."""

    def __init__(self, begin_quarter: int, state: dict[str, Series] | None) -> None:
        self._begin_quarter = begin_quarter
        self._series: dict[str, Series] = state or {}

    def on_batch(self, values: list[_Reading]) -> tuple[Iterable[_Energy], bool]:
        """Energy that the readings complete, by window; the state stays."""
        found: dict[int, list[int]] = {}
        series_of = self._series
        for name, quarter, value_wh in values:
            series = series_of.get(name)
            if series is None:
                series = series_of[name] = new_series(self._begin_quarter)
            for window, energy_wh in advance(series, quarter, value_wh):
                found.setdefault(window, [0, 0])[name.endswith(_INJECTED)] += energy_wh
        energy = [(_EPOCH + window * _QUARTER, sums[0], sums[1]) for window, sums in found.items()]
        return energy, StatefulBatchLogic.RETAIN

    def snapshot(self) -> dict[str, Series]:
        """Never asked for without recovery."""
        return self._series


def _decoder(watch: Stopwatch) -> Callable[[list[KafkaSourceMessage]], Iterable[tuple[str, _Reading]]]:
    quarter_of = QuarterOfText()
    begun = False

    def decode(messages: list[KafkaSourceMessage]) -> Iterable[tuple[str, _Reading]]:
        nonlocal begun
        if not begun:
            begun = True
            watch.begin()
        for message in messages:
            reading = orjson.loads(message.value)
            series = f"{reading['meter']} {reading['register']}"
            yield message.key.decode(), (series, quarter_of[reading["ts"]], reading["value"])

    return decode


def work(job: PeerJob, watch: Stopwatch) -> Sums:
    """Runs the dataflow to the topic's end and gives the sums."""
    windows: list[tuple[str, tuple[int, tuple[int, int]]]] = []
    begin_quarter = job.begin_s // QUARTER_S
    flow = Dataflow("zone_energy")
    source = KafkaSource(
        brokers=[job.kafka],
        topics=[job.topic],
        tail=False,
        add_config={name: str(value) for name, value in CONSUMER_CONFIGURATION.items()},
        batch_size=_MESSAGES_AT_ONCE,
    )
    readings = op.flat_map_batch("decode", op.input("readings", flow, source), _decoder(watch))
    energy = op.stateful_batch("differences", readings, lambda state: _Differences(begin_quarter, state))
    sums = win.fold_window(
        "sums",
        energy,
        win.EventClock(lambda found: found[0], wait_for_system_duration=timedelta(seconds=job.late_s)),
        win.TumblingWindower(length=_QUARTER, align_to=_EPOCH),
        builder=lambda: (0, 0),
        folder=lambda sum_wh, found: (sum_wh[0] + found[1], sum_wh[1] + found[2]),
        merger=lambda one, other: (one[0] + other[0], one[1] + other[1]),
        ordered=False,
    )
    op.output("collect", sums.down, TestingSink(windows))
    run_main(flow)
    watch.end()
    return {(zone, number * QUARTER_S): sum_wh for zone, (number, sum_wh) in windows}


if __name__ == "__main__":
    run_job(work)
