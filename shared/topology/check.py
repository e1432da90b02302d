"""Checks a topology folder as a whole: every error with file and line, or its content in canonical form."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.topology import cells
from shared.topology.cells import parse_column, report, report_repeated, report_unknown
from shared.topology.check_meters import check_meters, meter_registers
from shared.topology.check_zones import check_zones
from shared.topology.csv_folder import Sheet, read_folder
from shared.topology.rows import (
    ASSETS,
    EXCHANGES,
    MEMBERS,
    METERS,
    ZONES,
    FileColumns,
    FolderContent,
    TopologyError,
    TopologyErrors,
)


def check_folder(folder: Path) -> FolderContent:
    """The content of `folder`.

    Raises TopologyErrors with everything that is wrong in it, BilansError when there is no such folder.
    """
    errors: list[TopologyError] = []
    sheets = read_folder(folder, errors)
    zones = check_zones(sheets[ZONES.file], errors) if ZONES.file in sheets else None
    members_sheet = sheets.get(MEMBERS.file)
    members = _check_members(members_sheet, errors) if members_sheet is not None else None
    # A file that could not be read is reported once; what refers to it is not reported again.
    known_zones = sheets[ZONES.file].columns["zone"] if ZONES.file in sheets else None
    known_members = members_sheet.columns["member"] if members_sheet is not None else None
    meters_sheet = sheets.get(METERS.file)
    meters = None
    if meters_sheet is not None:
        meters = check_meters(meters_sheet, known_zones, known_members, errors)
    assets = _check_assets(sheets.get(ASSETS.file, _empty(ASSETS)), meters_sheet, errors)
    exchanges = _check_exchanges(sheets.get(EXCHANGES.file, _empty(EXCHANGES)), meters_sheet, errors)
    if errors or zones is None or meters is None:
        raise TopologyErrors(str(folder), errors)
    return FolderContent(
        zones=zones,
        members=_members_of(meters) if members is None else members,
        meters=meters,
        assets=assets,
        exchanges=exchanges,
    )


def _empty(columns: FileColumns) -> Sheet:
    """What a file that need not exist holds when it does not."""
    nothing = {name: pa.array([], pa.string()) for name in columns.columns}
    return Sheet(columns.file, nothing, np.zeros(0, np.int64), np.zeros(0, np.bool_))


def _check_members(sheet: Sheet, errors: list[TopologyError]) -> pa.Table:
    report_repeated(sheet, "member", errors)
    member = parse_column(sheet, "member", cells.parse_identifier, pa.string(), errors, needed=True)
    name = parse_column(sheet, "name", cells.parse_text, pa.string(), errors)
    kind = parse_column(sheet, "kind", cells.parse_text, pa.string(), errors)
    excluded = parse_column(sheet, "excluded", cells.parse_flag, pa.bool_(), errors)
    columns = {
        "member": member,
        "name": pc.coalesce(name, member),
        "kind": pc.fill_null(kind, ""),
        "excluded": pc.fill_null(excluded, False),
    }
    return pa.table(columns).sort_by("member")


def _members_of(meters: pa.Table) -> pa.Table:
    """Without members.csv a member is what the meters name: of no kind, in the pool."""
    member = meters["member"].drop_null().unique()
    columns = {
        "member": member,
        "name": member,
        "kind": pa.repeat("", len(member)),
        "excluded": pa.repeat(False, len(member)),
    }
    return pa.table(columns).sort_by("member")


def _check_assets(sheet: Sheet, meters: Sheet | None, errors: list[TopologyError]) -> pa.Table:
    report_repeated(sheet, "asset", errors)
    if meters is not None:
        report_unknown(sheet, "meter", meters.columns["meter"], errors, of=METERS.file)
    parsers: dict[str, Callable[[str], str]] = {
        "asset": cells.parse_identifier,
        "meter": str,
        "kind": cells.parse_asset_kind,
        "up_kw": cells.parse_number,
        "down_kw": cells.parse_number,
        "energy_kwh": cells.parse_number,
        "efficiency": cells.parse_efficiency,
        "cost_per_mwh": cells.parse_cost,
        "reserve_kwh": cells.parse_number,
        "due_kwh": cells.parse_number,
        "due_at": cells.parse_clock_time,
        "rebound": cells.parse_number,
    }
    columns = {
        name: parse_column(sheet, name, parse, pa.string(), errors, needed=name in ASSETS.needed)
        for name, parse in parsers.items()
    }
    return pa.table(columns).sort_by("asset")


def _check_exchanges(sheet: Sheet, meters: Sheet | None, errors: list[TopologyError]) -> pa.Table:
    register = parse_column(sheet, "register", cells.parse_energy_register, pa.string(), errors, needed=True)
    at = parse_column(sheet, "at", cells.parse_folder_instant, pa.int64(), errors, needed=True)
    last = parse_column(sheet, "last_wh", cells.parse_register_value, pa.int64(), errors)
    first = parse_column(sheet, "first_wh", cells.parse_register_value, pa.int64(), errors)
    meter = parse_column(sheet, "meter", str, pa.string(), errors, needed=True)
    given_last = pc.not_equal(sheet.columns["last_wh"], "").to_numpy(zero_copy_only=False)
    given_first = pc.not_equal(sheet.columns["first_wh"], "").to_numpy(zero_copy_only=False)
    report(
        sheet,
        given_last != given_first,
        lambda row: f"only {'last_wh' if given_last[row] else 'first_wh'} is given: give both, or neither",
        errors,
    )
    if meters is not None:
        report_unknown(sheet, "meter", meters.columns["meter"], errors, of=METERS.file)
        _report_missing_register(sheet, meters, register, errors)
    _report_same_exchange(sheet, register, at, errors)
    columns = {"meter": meter, "register": register, "at": at, "last_wh": last, "first_wh": first}
    return pa.table(columns).sort_by([("meter", "ascending"), ("register", "ascending"), ("at", "ascending")])


def _report_missing_register(sheet: Sheet, meters: Sheet, register: pa.Array, errors: list[TopologyError]) -> None:
    """An exchange names a register that some row of its meter has."""
    names = sheet.columns["meter"].to_pylist()
    has = meter_registers(meters, set(names))
    for row, (meter, name) in enumerate(zip(names, register.to_pylist(), strict=True)):
        if name is not None and meter in has and name not in has[meter] and not sheet.spoilt[row]:
            what = f"meter {meter!r} has no register {name}"
            errors.append(TopologyError(sheet.file, int(sheet.line[row]), what))


def _report_same_exchange(sheet: Sheet, register: pa.Array, at: pa.Array, errors: list[TopologyError]) -> None:
    seen: dict[tuple[str, str, int], int] = {}
    rows = zip(sheet.columns["meter"].to_pylist(), register.to_pylist(), at.to_pylist(), sheet.line, strict=True)
    for row, (meter, name, instant, line) in enumerate(rows):
        if sheet.spoilt[row] or not meter or name is None or instant is None:
            continue
        before = seen.setdefault((meter, name, instant), int(line))
        if before != line:
            errors.append(TopologyError(sheet.file, int(line), f"the same exchange stands in line {before} already"))
