"""A small cluster over six days of March: readings as they are sent, held back or corrected, and topologies."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pyarrow as pa

QUARTER_S, HOUR_S, DAY_S = 900, 3600, 86_400
BEGIN_S = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
DAYS = 6
END_S = BEGIN_S + DAYS * DAY_S

MOVE_S = BEGIN_S + 2 * DAY_S + 10 * HOUR_S
"""House counts at West from here on. Memory begins two days before the end."""
ROOF_EXCHANGE_S = BEGIN_S + DAY_S + 12 * HOUR_S + 450
"""Long before memory, in the middle of a window."""
PACK_EXCHANGE_S = BEGIN_S + 5 * DAY_S + 6 * HOUR_S + 1200
"""Within memory."""
PUMP_EXCHANGE_S = BEGIN_S + 3 * DAY_S + 9 * HOUR_S
"""Nothing is known of the registers then: an edge, at which no reading stands."""


@dataclass(frozen=True)
class Reading:
    """A delivery."""

    meter: str
    register: str
    ts_s: int
    value: int
    version: int = 0


@dataclass(frozen=True)
class Series:
    """How a register comes about: its cadence, and how much it counts at most between two readings."""

    meter: str
    register: str
    offset_s: int
    every_s: int
    step_wh_max: int
    exchange_s: int | None = None
    first_wh: int = 0


SERIES = (
    Series("house", "1.8.0", 0, QUARTER_S, 1_800),
    Series("roof", "2.8.0", 0, QUARTER_S, 2_700, ROOF_EXCHANGE_S, 7),
    Series("pack", "1.8.0", 0, QUARTER_S, 900),
    Series("pack", "2.8.0", 0, QUARTER_S, 900, PACK_EXCHANGE_S, 0),
    Series("pump", "1.8.0", 420, HOUR_S, 5_000, PUMP_EXCHANGE_S, 90_000),
    Series("plant", "2.8.0", 0, QUARTER_S, 4_500),
    Series("gate", "1.8.0", 0, QUARTER_S, 14_000),
    Series("gate", "2.8.0", 0, QUARTER_S, 14_000),
)
LATER = Series("mast", "1.8.0", 0, QUARTER_S, 500)
"""The meter that is added."""

HELD_BEFORE = {
    "house": (BEGIN_S + DAY_S, BEGIN_S + DAY_S + 6 * HOUR_S),
    "roof": (ROOF_EXCHANGE_S - 8 * HOUR_S, ROOF_EXCHANGE_S - 6 * HOUR_S),
    "plant": (BEGIN_S, BEGIN_S + 4 * HOUR_S),
}
HELD_AFTER = {
    "house": (MOVE_S - 2 * HOUR_S, MOVE_S + 2 * HOUR_S),
    "roof": (ROOF_EXCHANGE_S - HOUR_S, ROOF_EXCHANGE_S + HOUR_S),
    "pump": (PUMP_EXCHANGE_S - 3 * HOUR_S, PUMP_EXCHANGE_S + 3 * HOUR_S),
    "gate": (BEGIN_S + 2 * DAY_S, BEGIN_S + 2 * DAY_S + 2 * HOUR_S),
}
"""Half open spans of meters whose readings come late: long before, and around the changes."""


def readings_of(series: Series) -> Iterator[Reading]:
    """Six days of a register; behind its exchange the new register counts on from `first_wh`."""
    chance = random.Random(f"{series.meter} {series.register}")
    value, taken_off = 1_000, None
    for ts_s in range(BEGIN_S + series.offset_s, END_S + 1, series.every_s):
        if series.exchange_s is not None and ts_s >= series.exchange_s and taken_off is None:
            taken_off = value + 1 - series.first_wh
        value += chance.randint(1, series.step_wh_max)
        yield Reading(series.meter, series.register, ts_s, value - (taken_off or 0))


def last_wh(series: Series) -> int:
    """What the old register showed at the exchange: one Wh more than at its last reading."""
    assert series.exchange_s is not None
    return 1 + max(reading.value for reading in readings_of(series) if reading.ts_s < series.exchange_s)


def held(spans: dict[str, tuple[int, int]], readings: Iterable[Reading]) -> list[Reading]:
    """Those of `readings` that lie in the spans."""
    return [one for one in readings if one.meter in spans and spans[one.meter][0] <= one.ts_s < spans[one.meter][1]]


def corrections(meter: str, day: int, version: int) -> list[Reading]:
    """Five readings of the meter's day, each a little higher than it was."""
    first_s = BEGIN_S + day * DAY_S + 8 * HOUR_S
    (series,) = [series for series in SERIES if series.meter == meter]
    chosen = [one for one in readings_of(series) if one.ts_s >= first_s][: 5 * 7 : 7]
    return [Reading(one.meter, one.register, one.ts_s, one.value + version, version) for one in chosen]


def as_lines(readings: Iterable[Reading]) -> bytes:
    """NDJSON."""
    return b"\n".join(
        orjson.dumps(
            {
                "meter": one.meter,
                "register": one.register,
                "ts": datetime.fromtimestamp(one.ts_s, UTC).isoformat(),
                "value": one.value,
                "version": one.version,
            }
        )
        for one in readings
    )


def as_table(readings: list[Reading]) -> pa.Table:
    """For the recomputation, in the order in which they were sent."""
    return pa.table(
        {
            "meter": [one.meter for one in readings],
            "register": [one.register for one in readings],
            "ts": pa.array([one.ts_s for one in readings]).cast(pa.timestamp("s", tz="UTC")),
            "value": pa.array([one.value for one in readings], pa.int64()),
            "version": pa.array([one.version for one in readings], pa.int32()),
        }
    )


@dataclass
class Folder:
    """The cluster's topology; what changes is changed here and written anew."""

    zones: list[str] = field(
        default_factory=lambda: ["Town,,cluster,,", "East,Town,station,40,40", "West,Town,station,,"]
    )
    members: list[str] = field(default_factory=lambda: ["mill,Mill,company,", "school,School,gmina,"])
    meters: list[str] = field(
        default_factory=lambda: [
            "house,East,mill,consumer,1.8.0,8,,",
            "roof,East,school,pv,2.8.0,12,,",
            "pack,East,mill,storage,1.8.0|2.8.0,4,,",
            "pump,West,school,heatpump,1.8.0,6,,",
            "plant,West,mill,biogas,2.8.0,20,,",
            "gate,East,,boundary,1.8.0|2.8.0,60,,",
        ]
    )
    exchanges: list[str] = field(default_factory=list)

    def replace_meter(self, meter: str, *rows: str) -> None:
        """Gives a meter other rows."""
        self.meters = [row for row in self.meters if not row.startswith(f"{meter},")] + list(rows)

    def write(self, folder: Path) -> Path:
        """Writes the four files."""
        folder.mkdir(exist_ok=True)
        heads = {
            "zones": "zone,parent,kind,import_limit_kw,export_limit_kw",
            "members": "member,name,kind,excluded",
            "meters": "meter,zone,member,kind,registers,max_kw,valid_from,valid_to",
            "exchanges": "meter,register,at,last_wh,first_wh",
        }
        for name, head in heads.items():
            (folder / f"{name}.csv").write_text("\n".join([head, *getattr(self, name), ""]))
        return folder


def instant(ts_s: int) -> str:
    """As topology files and questions name it."""
    return datetime.fromtimestamp(ts_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
