"""A topology folder read for the independent recomputation: from design section 5 alone, in plain Python."""

import csv
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path

ENERGY_REGISTERS = ("1.8.0", "2.8.0")
QUARTER_S = 900
UNLIMITED_KW = 200_000
EVER_S = 2**40
"""An instant before and after everything, negative and positive: what a blank `valid_from` and `valid_to` mean."""


@dataclass(frozen=True)
class MeterRow:
    """Where, as what and with which registers a meter counts from one instant to another."""

    meter: str
    zone: str
    kind: str
    registers: tuple[str, ...]
    in_pool: bool
    energy_max_wh: int
    """The most that is plausible in a window: floor(max_kw × 250), rule 4."""
    valid_from_s: int
    valid_to_s: int


@dataclass(frozen=True)
class ExchangeRecord:
    """The exchange of a series' register (rule 13); both values None: nothing is carried over."""

    at_s: int
    last_wh: int | None
    first_wh: int | None


@dataclass(frozen=True)
class PlainTopology:
    """What the rules of the balance need to know of a topology."""

    parents: dict[str, str]
    """Each zone's parent; the root's is empty."""
    rows: list[MeterRow]
    exchanges: dict[tuple[str, str], list[ExchangeRecord]]
    """Of each series (meter, register), by instant."""

    def path(self, zone: str) -> list[str]:
        """`zone` and all zones above it."""
        zones = []
        while zone:
            zones.append(zone)
            zone = self.parents[zone]
        return zones

    def series(self) -> set[tuple[str, str]]:
        """Every (meter, register), of whatever row: a reading of any other is rejected (rule 10)."""
        return {(row.meter, register) for row in self.rows for register in row.registers}


def read_plain_topology(folder: Path) -> PlainTopology:
    """The topology in `folder`, which is taken to be right: its checks are tested elsewhere."""
    members = {line["member"]: line for line in _lines(folder / "members.csv")}
    rows = [_meter_row(line, members) for line in _lines(folder / "meters.csv")]
    exchanges: dict[tuple[str, str], list[ExchangeRecord]] = {}
    for line in sorted(_lines(folder / "exchanges.csv"), key=lambda line: _instant(line["at"], 0)):
        record = ExchangeRecord(_instant(line["at"], 0), _whole(line["last_wh"]), _whole(line["first_wh"]))
        exchanges.setdefault((line["meter"], line["register"]), []).append(record)
    parents = {line["zone"]: line["parent"] for line in _lines(folder / "zones.csv")}
    return PlainTopology(parents, rows, exchanges)


def _lines(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def _meter_row(line: dict[str, str], members: dict[str, dict[str, str]]) -> MeterRow:
    member = line.get("member", "")
    in_pool = member != "" and (members[member].get("excluded") or "false") != "true"
    max_kw = Decimal(line.get("max_kw") or UNLIMITED_KW)
    return MeterRow(
        meter=line["meter"],
        zone=line["zone"],
        kind=line["kind"],
        registers=tuple(line["registers"].split("|")),
        in_pool=in_pool,
        energy_max_wh=int((max_kw * 250).to_integral_value(ROUND_FLOOR)),
        valid_from_s=_instant(line.get("valid_from"), -EVER_S),
        valid_to_s=_instant(line.get("valid_to"), EVER_S),
    )


def _instant(text: str | None, blank_s: int) -> int:
    return int(datetime.fromisoformat(text).timestamp() // 1) if text else blank_s


def _whole(text: str) -> int | None:
    return int(text) if text else None
