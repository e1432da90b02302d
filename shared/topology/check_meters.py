"""Checks meters.csv: cells, what they refer to, and that a meter counts in one zone at a time. Columnar."""

import bisect

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.topology import cells
from shared.topology.cells import parse_column, report, report_unknown
from shared.topology.csv_folder import Sheet
from shared.topology.index import FOREVER_S, NEVER_S
from shared.topology.rows import MEMBERS, ZONES, TopologyError


def check_meters(
    sheet: Sheet, zones: pa.Array | None, members: pa.Array | None, errors: list[TopologyError]
) -> pa.Table:
    """The meters in canonical form (FolderContent.meters); right only when `errors` stays empty.

    `zones` and `members` are the names in their files; None: that file is not there, nothing is held against it.
    """
    if len(sheet) == 0:
        errors.append(TopologyError(sheet.file, 0, "there is no meter"))
    meter = parse_column(sheet, "meter", cells.parse_identifier, pa.string(), errors, needed=True)
    zone = parse_column(sheet, "zone", str, pa.string(), errors, needed=True)
    member = parse_column(sheet, "member", cells.parse_identifier, pa.string(), errors)
    kind = parse_column(sheet, "kind", cells.parse_meter_kind, pa.string(), errors, needed=True)
    registers = parse_column(sheet, "registers", cells.parse_registers, pa.string(), errors, needed=True)
    max_kw = parse_column(sheet, "max_kw", cells.parse_number, pa.string(), errors)
    valid_from = parse_column(sheet, "valid_from", cells.parse_folder_instant, pa.int64(), errors)
    valid_to = parse_column(sheet, "valid_to", cells.parse_folder_instant, pa.int64(), errors)
    if zones is not None:
        report_unknown(sheet, "zone", zones, errors, of=ZONES.file)
    if members is not None:
        report_unknown(sheet, "member", members, errors, of=MEMBERS.file)
    _check_validity(sheet, valid_from, valid_to, errors)
    encoded = registers.dictionary_encode()
    bits = pa.array([cells.register_bits(text) for text in encoded.dictionary.to_pylist()], pa.int8())
    table = pa.table(
        {
            "meter": meter,
            "zone": zone,
            "member": member,
            "kind": kind,
            "registers": registers,
            "register_bits": bits.take(encoded.indices),
            "max_kw": max_kw,
            "valid_from": valid_from,
            "valid_to": valid_to,
        }
    )
    order = pc.sort_indices(
        pa.table({"meter": meter, "from": pc.fill_null(valid_from, NEVER_S)}),
        sort_keys=[("meter", "ascending"), ("from", "ascending")],
    )
    return table.take(order)


def meter_registers(sheet: Sheet, meters: set[str]) -> dict[str, set[str]]:
    """The registers that any row gives each of `meters`; those in no row are left out."""
    chosen = pc.is_in(sheet.columns["meter"], value_set=pa.array(sorted(meters), pa.string()))
    rows = pa.table({"meter": sheet.columns["meter"], "registers": sheet.columns["registers"]}).filter(chosen)
    found: dict[str, set[str]] = {}
    for meter, registers in zip(rows["meter"].to_pylist(), rows["registers"].to_pylist(), strict=True):
        found.setdefault(meter, set()).update(registers.split("|"))
    return found


def _check_validity(sheet: Sheet, valid_from: pa.Array, valid_to: pa.Array, errors: list[TopologyError]) -> None:
    """A row's validity is not empty, and rows of the same meter do not overlap."""
    texts = sheet.columns
    # What could not be read as an instant is reported already and says nothing about order.
    unread = np.zeros(len(sheet), np.bool_)
    for name, values in (("valid_from", valid_from), ("valid_to", valid_to)):
        unread |= values.is_null().to_numpy(zero_copy_only=False) & (
            pc.not_equal(texts[name], "").to_numpy(zero_copy_only=False)
        )
    from_s = pc.fill_null(valid_from, NEVER_S).to_numpy()
    to_s = pc.fill_null(valid_to, FOREVER_S).to_numpy()
    empty = (to_s <= from_s) & ~unread
    report(
        sheet,
        empty,
        lambda row: f"valid_to {texts['valid_to'][row]} is not after valid_from {texts['valid_from'][row]}",
        errors,
    )
    codes = texts["meter"].dictionary_encode().indices.to_numpy()
    named = pc.not_equal(texts["meter"], "").to_numpy(zero_copy_only=False)
    usable = np.flatnonzero(named & ~unread & ~empty & ~sheet.spoilt)
    overlapped = _overlaps(codes[usable], from_s[usable], to_s[usable])
    bad = np.zeros(len(sheet), np.bool_)
    bad[usable[overlapped >= 0]] = True
    other = np.full(len(sheet), -1, np.int64)
    other[usable] = np.where(overlapped >= 0, usable[overlapped], -1)
    report(
        sheet,
        bad,
        lambda row: f"meter {texts['meter'][row].as_py()!r} is valid in line {sheet.line[other[row]]} at the same time",
        errors,
    )


def _overlaps(
    meter: npt.NDArray[np.int32], from_s: npt.NDArray[np.int64], to_s: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For each row an earlier row (in the order given) of the same meter that it overlaps, else -1.

    Earlier rows that overlap themselves are passed over: the rows left with -1 overlap nowhere.
    """
    order = np.lexsort((from_s, meter))
    same = meter[order][1:] == meter[order][:-1]
    overlapped = np.full(len(meter), -1, np.int64)
    # Sorted by their beginning, rows of a meter overlap at all only if two neighbours do: only such meters are walked.
    clash = same & (from_s[order][1:] < to_s[order][:-1])
    sorted_meter = meter[order]
    for code in np.unique(sorted_meter[1:][clash]):
        first, behind = np.searchsorted(sorted_meter, code), np.searchsorted(sorted_meter, code, side="right")
        rows = np.sort(order[first:behind])
        overlapped[rows] = _overlaps_of_one(rows.tolist(), from_s[rows].tolist(), to_s[rows].tolist())
    return overlapped


def _overlaps_of_one(rows: list[int], from_s: list[int], to_s: list[int]) -> list[int]:
    """For each of a meter's rows one of the rows before it that it overlaps, else -1."""
    overlapped = []
    kept: list[tuple[int, int, int]] = []  # (from, to, row) of the rows that overlap none before, sorted, disjoint
    for row, begin, end in zip(rows, from_s, to_s, strict=True):
        place = bisect.bisect_left(kept, (begin,))
        if place < len(kept) and kept[place][0] < end:
            overlapped.append(kept[place][2])
        elif place > 0 and kept[place - 1][1] > begin:
            overlapped.append(kept[place - 1][2])
        else:
            kept.insert(place, (begin, end, row))
            overlapped.append(-1)
    return overlapped
