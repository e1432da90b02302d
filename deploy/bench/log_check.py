"""Whether the log holds what was acknowledged, each as often as it was."""

from dataclasses import dataclass

import numpy as np

from deploy.bench.cluster import Int64Array
from deploy.bench.encode import Places
from deploy.bench.log_content import readings_from
from deploy.bench.workload import Workload
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class LogCheck:
    """What was found."""

    found: int
    """Readings in the log."""
    lost: int
    """Readings that were acknowledged more often than they are there."""
    surplus: int
    """Readings that are there more often than they were acknowledged."""
    altered: int
    """Readings that are there with another value, or that nobody sent."""

    @property
    def exact(self) -> bool:
        """Whether the log holds just what was acknowledged."""
        return self.found > 0 and self.lost == self.surplus == self.altered == 0


class Tally:
    """Counts what stands in the log."""

    def __init__(self, workload: Workload, sent: Int64Array) -> None:
        """`sent`: how often reading n of the workload was acknowledged."""
        self._workload = workload
        self._sent = sent
        self._found = np.zeros(len(sent), np.int64)
        self._altered = 0

    def add(self, series: Int64Array, ts_s: Int64Array, value_wh: Int64Array) -> None:
        """Takes in readings of the log; a `series` of -1 is none of the workload's."""
        number = self._workload.number_of(series, ts_s)
        ours = (series >= 0) & (number >= 0) & (number < len(self._sent))
        ours[ours] &= self._workload.at(number[ours]).value_wh == value_wh[ours]
        self._altered += int((~ours).sum())
        self._found += np.bincount(number[ours], minlength=len(self._sent))

    def check(self) -> LogCheck:
        """What was found so far."""
        return LogCheck(
            found=int(self._found.sum()) + self._altered,
            lost=int(np.maximum(self._sent - self._found, 0).sum()),
            surplus=int(np.maximum(self._found - self._sent, 0).sum()),
            altered=self._altered,
        )


async def check_log(
    settings: Settings, begin: dict[int, int], workload: Workload, places: Places, sent: Int64Array
) -> LogCheck:
    """Holds the log from `begin` (offsets by partition) on against `sent`: how often reading n was acknowledged."""
    series_of = {partition: places.inverse(partition) for partition in begin}
    tally = Tally(workload, sent)
    async for record, columns in readings_from(settings, begin):
        tally.add(series_of[record.partition][columns.slot], columns.ts_s, columns.value)
    return tally.check()
