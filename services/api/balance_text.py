"""A balance table as JSON and as CSV: the same figures under the same names."""

import csv
import io
from collections.abc import Iterator, Sequence

import orjson

from services.api.balance_table import BalanceTable
from services.api.partial_sums import instant_of
from shared.balance.derived import RATIO_PARTS, ratio_parts
from shared.balance.windows import Resolution
from shared.instants import format_instant
from shared.words import SUMMED_KINDS, MeterKind

Row = dict[str, object]

_ENERGIES = (
    "withdrawn_wh",
    "injected_wh",
    "injected_res_wh",
    "charged_wh",
    "discharged_wh",
    "pool_drawn_wh",
    "pool_injected_wh",
)
_DERIVED = ("local_wh", "import_wh", "export_wh")
_COUNTS = ("expected", "measured", "estimated", "excluded", "missing")


def balance_rows(table: BalanceTable, kinds: Sequence[MeterKind]) -> list[Row]:
    """The rows of the answer (design section 6); `by_kind` has `kinds`, and any other kind with energy in that row."""
    return [_row(table, place, kinds) for place in range(len(table.start_s))]


def balance_json(zone: str, resolution: Resolution, rows: list[Row], next_cursor: str | None) -> bytes:
    """The answer as JSON."""
    return orjson.dumps({"zone": zone, "resolution": resolution, "rows": rows, "next": next_cursor})


def balance_csv(rows: list[Row]) -> bytes:
    """The answer as CSV: the names of the JSON as header, `by_kind` flattened with all kinds, null as an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        flat = row | dict(_flattened(row["by_kind"]))
        writer.writerow(["" if flat[name] is None else flat[name] for name in CSV_COLUMNS])
    return text.getvalue().encode()


_KIND_COLUMNS = tuple(f"{kind}_{flow}_wh" for kind in SUMMED_KINDS for flow in ("withdrawn", "injected"))

CSV_COLUMNS: tuple[str, ...] = (
    "window_start",
    "window_end",
    *_ENERGIES,
    *_KIND_COLUMNS,
    *_DERIVED,
    "self_sufficiency",
    "self_consumption",
    "unaccounted_wh",
    "losses_wh",
    *_COUNTS,
    "revision",
    "known_at",
    "status",
)
"""The header of a balance as CSV."""


def _row(table: BalanceTable, place: int, kinds: Sequence[MeterKind]) -> Row:
    balance = table.balance

    def figure(name: str) -> int:
        return int(getattr(balance, name)[place])

    local = figure("local_wh")
    unaccounted = figure("unaccounted_wh")
    return {
        "window_start": format_instant(int(table.start_s[place])),
        "window_end": format_instant(int(table.end_s[place])),
        **{name: figure(name) for name in _ENERGIES},
        "by_kind": _by_kind(table, place, kinds),
        **{name: figure(name) for name in _DERIVED},
        "self_sufficiency": ratio(local, int(balance.demand_wh[place])),
        "self_consumption": ratio(local, int(balance.supply_wh[place])),
        "unaccounted_wh": unaccounted if figure("unaccounted_known") else None,
        "losses_wh": unaccounted if figure("losses_known") else None,
        **{name: figure(name) for name in _COUNTS},
        "revision": int(table.revision[place]),
        "known_at": format_microseconds(int(table.known_at_us[place])),
        "status": table.status[place],
    }


def ratio(part: int, whole: int) -> float | None:
    """`part` / `whole` to 4 decimals, None where the divisor is 0."""
    parts = ratio_parts(part, whole)
    return None if parts is None else parts / RATIO_PARTS


def format_microseconds(microseconds: int) -> str:
    """An instant as ISO 8601 in UTC with its microseconds, so that it can be given back as `as_of`."""
    instant = instant_of(microseconds)
    return f"{format_instant(int(instant.timestamp()))[:-1]}.{microseconds % 1_000_000:06d}Z"


def _by_kind(table: BalanceTable, place: int, kinds: Sequence[MeterKind]) -> dict[str, dict[str, int]]:
    found = {}
    for kind in SUMMED_KINDS:
        withdrawn = int(table.by_kind[f"{kind}_withdrawn_wh"][place])
        injected = int(table.by_kind[f"{kind}_injected_wh"][place])
        if withdrawn or injected or kind in kinds:
            found[str(kind)] = {"withdrawn_wh": withdrawn, "injected_wh": injected}
    return found


def _flattened(by_kind: object) -> Iterator[tuple[str, int]]:
    assert isinstance(by_kind, dict)
    for kind in SUMMED_KINDS:
        flows = by_kind.get(str(kind), {"withdrawn_wh": 0, "injected_wh": 0})
        for flow, energy_wh in flows.items():
            yield f"{kind}_{flow}", energy_wh
