"""The job as a quixstreams application.

State is where quixstreams keeps it, in RocksDB under the message's key, which is the zone; windows are its tumbling
windows, with a grace that takes every late reading, and `current`, since `final` would never give the last windows of
a stream that ends. Guarantees are its defaults: at least once, every state change also on a changelog topic.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from quixstreams import Application, State

from deploy.bench.peer_job import CONSUMER_CONFIGURATION, PeerJob, QuarterOfText, Stopwatch, Sums, run_job
from deploy.bench.peer_series import Series, advance, new_series
from shared.limits import QUARTER_S
from shared.words import Register

_QUARTER_MS = QUARTER_S * 1000
_INJECTED = Register.INJECTED.value

_Energy = tuple[int, int, int]
"""Number of the window, Wh withdrawn, Wh injected."""


def work(job: PeerJob, watch: Stopwatch) -> Sums:
    """Runs the application until the whole topic is handled and gives the sums."""
    sums: dict[tuple[str, int], tuple[int, int]] = {}
    missing = job.deliveries

    def count(_topic: str, _partition: int, _offset: int) -> None:
        nonlocal missing
        if missing == job.deliveries:
            watch.begin()
        missing -= 1
        if not missing:
            watch.end()
            application.stop()

    application = Application(
        broker_address=job.kafka,
        consumer_group="bench-peer-quixstreams",
        auto_offset_reset="earliest",
        state_dir=Path(job.folder) / "state",
        consumer_extra_config=CONSUMER_CONFIGURATION,
        on_message_processed=count,
        loglevel="WARNING",
    )
    readings = application.dataframe(application.topic(job.topic, key_deserializer="str", value_deserializer="json"))
    energy = readings.apply(_differences(job.begin_s // QUARTER_S), stateful=True, expand=True)
    energy = energy.set_timestamp(lambda found, *_: found[0] * _QUARTER_MS)
    windows = energy.tumbling_window(timedelta(seconds=QUARTER_S), grace_ms=timedelta(seconds=job.late_s)).reduce(
        initializer=lambda found: [found[1], found[2]],
        reducer=lambda sum_wh, found: [sum_wh[0] + found[1], sum_wh[1] + found[2]],
    )

    def collect(window: dict[str, Any], zone: str, *_: object) -> None:
        withdrawn_wh, injected_wh = window["value"]
        sums[zone, window["start"] // 1000] = withdrawn_wh, injected_wh

    windows.current().update(collect, metadata=True)
    application.run()
    return sums


def _differences(begin_quarter: int) -> Callable[[dict[str, Any], State], Iterable[_Energy]]:
    quarter_of = QuarterOfText()

    def differences(reading: dict[str, Any], state: State) -> Iterable[_Energy]:
        register = reading["register"]
        name = f"{reading['meter']} {register}"
        series: Series = state.get(name) or new_series(begin_quarter)
        completed = advance(series, quarter_of[reading["ts"]], reading["value"])
        state.set(name, series)
        if register == _INJECTED:
            return [(window, 0, energy_wh) for window, energy_wh in completed]
        return [(window, energy_wh, 0) for window, energy_wh in completed]

    return differences


if __name__ == "__main__":
    run_job(work)
