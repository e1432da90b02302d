"""Home partitions and slots: where a meter's series live, given when they are first loaded, for good. Pure."""

import heapq

import numpy as np
import numpy.typing as npt

GROUP_SERIES_MAX = 16_384
"""A station with more series is shared out in pieces of this size: that its meters stand together is for speed only
(design section 5), while partitions as full as one another are what lets balancers share the work."""


def assign_homes(
    station: npt.NDArray[np.int64],
    series: npt.NDArray[np.int64],
    home: npt.NDArray[np.int16],
    partition_series: npt.NDArray[np.int64],
) -> npt.NDArray[np.int16]:
    """The home partition of every meter: kept where `home` is ≥ 0, given where it is -1.

    `station` and `series` are each meter's station (any number) and count of series; `partition_series` the count of
    series that each partition has already. A new meter goes where most meters of its station are; a new station, the
    ones with most series first, to the partition that has the fewest.
    """
    partitions = len(partition_series)
    given = home.copy()
    load = partition_series.astype(np.int64).copy()
    new = np.flatnonzero(home < 0)
    if len(new) == 0:
        return given
    station_home = _station_homes(station, home, partitions)
    known = np.array([station_home.get(int(name), -1) for name in station[new]], np.int16)
    given[new] = known
    np.add.at(load, known[known >= 0], series[new[known >= 0]])
    groups = _groups(station, series, new[known < 0])
    least = [(int(count), partition) for partition, count in enumerate(load)]
    heapq.heapify(least)
    for group in sorted(groups, key=lambda rows: (-int(series[rows].sum()), int(rows[0]))):
        count, partition = heapq.heappop(least)
        given[group] = partition
        heapq.heappush(least, (count + int(series[group].sum()), partition))
    return given


def _station_homes(station: npt.NDArray[np.int64], home: npt.NDArray[np.int16], partitions: int) -> dict[int, int]:
    """Where most known meters of each station are; of equals the lower partition.

    A partition that is no more among `partitions` takes no new meters.
    """
    known = np.flatnonzero((home >= 0) & (home < partitions))
    pairs, votes = np.unique(np.stack([station[known], home[known]], axis=1), axis=0, return_counts=True)
    best: dict[int, tuple[int, int]] = {}
    for (name, partition), count in zip(pairs.tolist(), votes.tolist(), strict=True):
        if name not in best or count > best[name][0]:
            best[name] = (count, partition)
    return {name: partition for name, (_, partition) in best.items()}


def _groups(
    station: npt.NDArray[np.int64], series: npt.NDArray[np.int64], meters: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.int64]]:
    """`meters` by station, a station of over GROUP_SERIES_MAX series in pieces."""
    if len(meters) == 0:
        return []
    order = meters[np.argsort(station[meters], kind="stable")]
    names = station[order]
    begins = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    sums = np.cumsum(series[order])
    before = np.r_[0, sums[:-1]]
    begin_of = np.repeat(begins, np.diff(np.r_[begins, len(order)]))
    piece = (before - before[begin_of]) // GROUP_SERIES_MAX
    cuts = np.flatnonzero(np.r_[True, (names[1:] != names[:-1]) | (piece[1:] != piece[:-1])])
    return np.split(order, cuts[1:])


def assign_slots(partition: npt.NDArray[np.int16], next_slot: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The slot of every new series, in the order given: dense in its partition from `next_slot[partition]` on."""
    order = np.argsort(partition, kind="stable")
    counts = np.bincount(partition, minlength=len(next_slot))
    begins = np.r_[0, np.cumsum(counts)[:-1]]
    slot = np.empty(len(partition), np.int64)
    slot[order] = np.arange(len(partition)) - begins[partition[order]] + next_slot[partition[order]]
    return slot.astype(np.int32)
