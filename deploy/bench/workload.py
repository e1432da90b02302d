"""Readings of a synthetic cluster, and the totals that they must come to, both by arithmetic on whole numbers.

Reading n of the undisturbed stream is of series n % series, in round n // series; rounds are a quarter of an hour
apart. Of what is sent some come twice and some late. What must come out is worked out here from the registers' formula
alone: no code of Bilans' kernels takes part.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deploy.bench.cluster import FEEDER_STATIONS, Cluster, Int64Array
from shared.limits import QUARTER_S

START_S = 1_767_225_600
"""2026-01-01T00:00:00Z, an edge of a window."""
BLOCK_DELIVERIES = 1_000_000
"""Deliveries are made so many at a time: memory stays bounded, and none moves out of its block."""
LATE_ROUNDS = 8
"""What comes late, or again, does so within so many rounds (two hours): inside the stream's memory of 48 hours."""

CONSUMER_WITHDRAWN, PROSUMER_WITHDRAWN, PROSUMER_INJECTED = range(3)
"""Columns of `Expected.sums_wh`."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Readings in the order in which they are sent, a column each."""

    series: Int64Array
    ts_s: Int64Array
    value_wh: Int64Array

    def __len__(self) -> int:
        """How many."""
        return len(self.series)

    def take(self, places: slice | npt.NDArray[np.integer]) -> "Deliveries":
        """Those at `places`."""
        return Deliveries(self.series[places], self.ts_s[places], self.value_wh[places])


@dataclass(frozen=True, slots=True)
class Expected:
    """What each zone must come to in each window."""

    zone: list[str]
    window_s: Int64Array
    """Starts of the windows."""
    sums_wh: Int64Array
    """[zones, windows, 3]: withdrawn by consumers, withdrawn by prosumers, injected by prosumers."""


@dataclass(frozen=True, slots=True)
class Workload:
    """So many deliveries to a cluster; the same parameters give the same deliveries each time."""

    cluster: Cluster
    deliveries: int
    double_percent: int = 1
    disorder_percent: int = 1
    start_s: int = START_S
    """The instant of the first round, an edge of a window."""
    warm_rounds: int = 0
    """So many rounds are sent before, undisturbed, so that what is measured does not start from nothing."""

    def warm_up(self) -> Deliveries:
        """What is sent before."""
        return self.at(np.arange(self._warm_readings, dtype=np.int64))

    @property
    def _warm_readings(self) -> int:
        return self.warm_rounds * self.cluster.series

    @property
    def readings(self) -> int:
        """How many different readings are in the warm-up and among the deliveries."""
        return self._warm_readings + sum(_distinct(count, self.double_percent) for count in self._block_sizes())

    def _block_sizes(self) -> Iterator[int]:
        for begin in range(0, self.deliveries, BLOCK_DELIVERIES):
            yield min(BLOCK_DELIVERIES, self.deliveries - begin)

    def blocks(self) -> Iterator[Deliveries]:
        """The deliveries, BLOCK_DELIVERIES at a time."""
        begin = self._warm_readings
        for number, count in enumerate(self._block_sizes()):
            distinct = _distinct(count, self.double_percent)
            order = self._order(number, distinct, count - distinct)
            yield self.at(begin + order)
            begin += distinct

    def _order(self, number: int, distinct: int, doubles: int) -> Int64Array:
        """The places of a block's readings in the order of sending; `doubles` of them stand there twice."""
        chance = np.random.default_rng(number)
        span = LATE_ROUNDS * self.cluster.series
        place = np.arange(distinct, dtype=np.int64)
        sent_at = place.copy()
        late = chance.choice(distinct, distinct * self.disorder_percent // 100, replace=False)
        sent_at[late] += chance.integers(1, span + 1, len(late))
        again = chance.choice(distinct, doubles, replace=False)
        sent_again_at = again + chance.integers(1, span + 1, doubles)
        order: Int64Array = np.argsort(np.r_[sent_at, sent_again_at], kind="stable")
        sent: Int64Array = np.r_[place, again][order]
        return sent

    def at(self, reading: Int64Array) -> Deliveries:
        """The readings with these numbers in the undisturbed stream."""
        rounds, series = np.divmod(reading, self.cluster.series)
        return Deliveries(series, self.start_s + rounds * QUARTER_S, register_wh(series, rounds))

    def number_of(self, series: Int64Array, ts_s: Int64Array) -> Int64Array:
        """The numbers of readings in the undisturbed stream: the inverse of `at`."""
        return (ts_s - self.start_s) // QUARTER_S * self.cluster.series + series

    def expected(self) -> Expected:
        """What each zone must come to in each window whose two edges have a reading of some series."""
        cluster = self.cluster
        full_rounds, rest = divmod(self.readings, cluster.series)
        windows = max(0, full_rounds + (rest > 0) - 1)
        sums_wh = np.zeros((len(cluster.zone), windows, 3), np.int64)
        for window in range(windows):
            # In the last round only the first series may have been read.
            known = cluster.series if window + 1 < full_rounds else rest
            sums_wh[:, window] = _zone_sums(cluster, window, known)
        return Expected(cluster.zone, self.start_s + np.arange(windows) * QUARTER_S, sums_wh)


def register_wh(series: Int64Array, rounds: Int64Array | int) -> Int64Array:
    """What a register shows: it rises by 11 to 189 Wh a round, unevenly and each series in its own way."""
    return series % 997 * 100_000 + rounds * (50 + series % 101) + (31 * series + 17 * rounds) % 40


def deliveries_of_round(cluster: Cluster, double_percent: int = 1) -> int:
    """How many deliveries have each series once among them, and some of them twice: one round of the whole cluster."""
    full_blocks, rest = divmod(cluster.series, _distinct(BLOCK_DELIVERIES, double_percent))
    last_block = rest
    while _distinct(last_block, double_percent) < rest:
        last_block += 1
    return full_blocks * BLOCK_DELIVERIES + last_block


def _distinct(deliveries: int, double_percent: int) -> int:
    """Of so many deliveries these are not doubles."""
    return deliveries - deliveries * double_percent // 100


def _zone_sums(cluster: Cluster, window: int, known: int) -> Int64Array:
    """Sums of each zone in one window, in which the first `known` series have energy: stations, feeders, cluster."""
    series = np.arange(cluster.series, dtype=np.int64)
    energy_wh = register_wh(series, window + 1) - register_wh(series, window)
    energy_wh[known:] = 0
    meter, injected = cluster.series_meter, cluster.series_injected
    column = np.where(
        injected, PROSUMER_INJECTED, np.where(cluster.is_prosumer(meter), PROSUMER_WITHDRAWN, CONSUMER_WITHDRAWN)
    )
    by_column = np.zeros((cluster.series, 3), np.int64)
    by_column[series, column] = energy_wh
    station_begins = np.searchsorted(meter, np.arange(cluster.stations) * cluster.station_meters)
    stations = np.add.reduceat(by_column, station_begins)
    feeders = np.add.reduceat(stations, np.arange(0, cluster.stations, FEEDER_STATIONS))
    return np.concatenate([stations, feeders, stations.sum(axis=0, keepdims=True)])
