"""An endless stream of readings: a tenth of the rural week's meters, week after week, the registers going on."""

import csv
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.end_to_end.recompute_topology import ENERGY_REGISTERS
from tests.end_to_end.slices import RURAL_WEEK

EVERY = 10
"""One meter of so many is taken, and all boundary meters: about 850 readings a quarter, in all zones."""
EXTRA_METERS = [f"EXTRA-{number:02d}" for number in range(20)]
"""Meters with both energy registers that the feed leaves alone: a test sends what it likes for them."""
READINGS_SCHEMA = pa.schema(
    [
        ("meter", pa.string()),
        ("register", pa.string()),
        ("ts", pa.timestamp("s", tz="UTC")),
        ("value", pa.int64()),
        ("version", pa.int32()),
    ]
)


def small_topology(folder: Path) -> Path:
    """The rural week's topology in `folder`, with the feed's meters and EXTRA_METERS only."""
    folder.mkdir(parents=True)
    for name in ("zones.csv", "members.csv"):
        shutil.copy(RURAL_WEEK / name, folder / name)
    with (RURAL_WEEK / "meters.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    kind = header.index("kind")
    taken = [row for number, row in enumerate(rows) if number % EVERY == 0 or row[kind] == "boundary"]
    for meter in EXTRA_METERS:
        row = dict.fromkeys(header, "") | {"meter": meter, "zone": "F-ZYWIEC", "kind": "prosumer"}
        taken.append(list((row | {"registers": "1.8.0|2.8.0"}).values()))
    with (folder / "meters.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *taken])
    return folder


class Feed:
    """Quarter after quarter of all series of `small_topology`."""

    def __init__(self, topology: Path, first_s: int | None = None) -> None:
        """`first_s`, an edge of a window, is when the first readings are taken to be of; None leaves them in 2016."""
        with (topology / "meters.csv").open(encoding="utf-8", newline="") as file:
            meters = [row["meter"] for row in csv.DictReader(file)]
        table = pq.read_table(RURAL_WEEK / "readings.parquet")
        table = table.filter(pc.is_in(table["meter"], pa.array(meters)))
        names = pc.binary_join_element_wise(
            table["meter"].cast(pa.string()), table["register"].cast(pa.string()), "|"
        ).combine_chunks()
        coded = names.dictionary_encode()
        self._series = [name.split("|") for name in coded.dictionary.to_pylist()]
        instants = table["ts"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_numpy()
        self._first_s = int(instants.min())
        self._quarters = int(instants.max() - self._first_s) // 900
        """Of a week; the last reading of one is the first of the next."""
        self._values: npt.NDArray[np.int64] = np.full((self._quarters + 1, len(self._series)), -1, np.int64)
        self._values[(instants - self._first_s) // 900, coded.indices.to_numpy()] = table["value"].to_numpy()
        counts = np.array([register in ENERGY_REGISTERS for _, register in self._series])
        self._weekly_wh: npt.NDArray[np.int64] = np.where(counts, self._values[-1] - self._values[0], 0)
        """What a register of energy counts in a week; a storage's content comes back to where it was."""
        if first_s is not None:
            self._first_s = first_s
        assert (self._values >= 0).all(), "a series with a gap: the weeks could not follow each other"
        self.next = 0
        """The number of the quarter that `take` gives next."""

    @property
    def series(self) -> int:
        """How many readings a quarter has."""
        return len(self._series)

    def instant_s(self, number: int) -> int:
        """When the readings of quarter `number` were taken."""
        return self._first_s + number * 900

    def take(self, count: int = 1) -> pa.Table:
        """The next quarters' readings."""
        self.next += count
        return pa.concat_tables([self.quarter(number) for number in range(self.next - count, self.next)])

    def quarter(self, number: int) -> pa.Table:
        """The readings of one quarter, version 0."""
        week, place = divmod(number, self._quarters)
        value = self._values[place] + week * self._weekly_wh
        at = pa.scalar(self.instant_s(number), pa.int64()).cast(pa.timestamp("s", tz="UTC"))
        count = len(self._series)
        return pa.table(
            [
                pa.array([meter for meter, _ in self._series]),
                pa.array([register for _, register in self._series]),
                pa.repeat(at, count),
                pa.array(value),
                pa.repeat(pa.scalar(0, pa.int32()), count),
            ],
            schema=READINGS_SCHEMA,
        )


def extra_readings(meter: str, register: str, seconds: range | list[int], values: list[int]) -> pa.Table:
    """Readings of one of EXTRA_METERS."""
    count = len(values)
    return pa.table(
        [
            pa.repeat(meter, count),
            pa.repeat(register, count),
            pa.array(list(seconds), pa.int64()).cast(pa.timestamp("s", tz="UTC")),
            pa.array(values, pa.int64()),
            pa.repeat(pa.scalar(0, pa.int32()), count),
        ],
        schema=READINGS_SCHEMA,
    )
