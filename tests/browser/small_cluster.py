"""A cluster of three levels with a few meters: what the page's tests load, and readings for it."""

import csv
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

MARKUP = """<img src=x onerror="window.marked=1"> <b>Bold</b> & "quoted" <script>window.marked=1</script>"""
"""A zone's name that must stay a name."""

ZONES = [
    ("zone", "parent", "kind", "name", "import_limit_kw", "export_limit_kw"),
    ("CLUSTER", "", "cluster", "Klaster próbny", "", ""),
    ("GPZ", "CLUSTER", "gpz", "GPZ próbny", "1000", "1000"),
    ("STATION-3", "GPZ", "station", "Stacja z magazynem", "100", "100"),
    ("STATION-1", "GPZ", "station", "Stacja pierwsza", "100", "100"),
    ("STATION 2", "GPZ", "station", MARKUP, "40", "40"),
]

METERS = [
    ("meter", "zone", "kind", "registers", "max_kw"),
    ("HOUSE", "STATION-1", "consumer", "1.8.0|1.7.0", "500"),
    ("ROOF", "STATION-1", "pv", "2.8.0|2.7.0", "500"),
    ("MILL", "STATION 2", "consumer", "1.8.0|1.7.0", "500"),
    ("BATTERY", "STATION-3", "storage", "1.8.0|soc", "500"),
]

ASSETS = [
    ("asset", "meter", "kind", "up_kw", "down_kw", "energy_kwh", "efficiency", "cost_per_mwh"),
    ("A-BATTERY", "BATTERY", "storage", "8", "6", "10", "1", "90"),
]

QUARTER = timedelta(minutes=15)
QUARTER_WH = {"HOUSE": 3000, "ROOF": 1000, "MILL": 500, "BATTERY": 200}
BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)

versions = itertools.count(1)


def write_topology(folder: Path) -> Path:
    """Writes zones.csv, meters.csv and assets.csv into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("zones.csv", ZONES), ("meters.csv", METERS), ("assets.csv", ASSETS)):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    return folder


def now() -> datetime:
    """The wall clock in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def last_edge() -> datetime:
    """The start of the running quarter of an hour."""
    moment = now()
    return moment.replace(minute=moment.minute // 15 * 15, second=0)


def reading(meter: str, register: str, moment: datetime, value: int, version: int = 0) -> dict[str, object]:
    """A JSON reading."""
    ts = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"meter": meter, "register": register, "ts": ts, "value": value, "version": version}


def lines(readings: list[dict[str, object]]) -> bytes:
    """A body of the HTTP door."""
    return b"\n".join(orjson.dumps(one) for one in readings)


def register(meter: str, moment: datetime) -> int:
    """What a meter's register shows at the edge `moment`: each quarter of an hour adds the same, Wh."""
    return QUARTER_WH[meter] * ((moment - BEGINNING) // QUARTER)


def a_day() -> list[dict[str, object]]:
    """A day of quarter-hour registers up to the last edge; the same readings whenever it is asked."""
    edges = [last_edge() - back * QUARTER for back in range(97)]
    registers = {"HOUSE": "1.8.0", "ROOF": "2.8.0", "MILL": "1.8.0"}
    return [reading(meter, obis, edge, register(meter, edge)) for meter, obis in registers.items() for edge in edges]


def power(house_w: int, roof_w: int, mill_w: int) -> list[dict[str, object]]:
    """The power of all meters now; of two in the same second the later has the higher version, so it stands."""
    moment, version = now(), next(versions)
    return [
        reading("HOUSE", "1.7.0", moment, house_w, version),
        reading("ROOF", "2.7.0", moment, roof_w, version),
        reading("MILL", "1.7.0", moment, mill_w, version),
    ]


def stored(content_wh: int) -> list[dict[str, object]]:
    """What the battery holds now; and a new version of its register at the last edge, so that the balance changes."""
    edge, version = last_edge(), next(versions)
    return [
        reading("BATTERY", "1.8.0", edge - QUARTER, register("BATTERY", edge - QUARTER)),
        reading("BATTERY", "1.8.0", edge, register("BATTERY", edge) + version, version),
        reading("BATTERY", "soc", now(), content_wh, version),
    ]


def battery_days(days: int) -> list[dict[str, object]]:
    """So many days of the battery's register, in the order of time."""
    edges = [last_edge() - back * QUARTER for back in range(96 * days, -1, -1)]
    return [reading("BATTERY", "1.8.0", edge, register("BATTERY", edge)) for edge in edges]
