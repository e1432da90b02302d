"""Checks zones.csv: cells, names, and that the zones form one tree."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.topology import cells
from shared.topology.cells import parse_column, report, report_repeated, report_unknown
from shared.topology.csv_folder import Sheet
from shared.topology.rows import ZONES, TopologyError
from shared.topology.zone_tree import NO_PARENT, circles, preorder
from shared.words import ZoneKind

_LEVEL = {kind.value: level for level, kind in enumerate(ZoneKind)}


def check_zones(sheet: Sheet, errors: list[TopologyError]) -> pa.Table:
    """The zones in canonical form (FolderContent.zones); right only when `errors` stays empty."""
    report_repeated(sheet, "zone", errors)
    zone = parse_column(sheet, "zone", cells.parse_identifier, pa.string(), errors, needed=True)
    kind = parse_column(sheet, "kind", cells.parse_zone_kind, pa.string(), errors, needed=True)
    name = parse_column(sheet, "name", cells.parse_text, pa.string(), errors)
    import_limit = parse_column(sheet, "import_limit_kw", cells.parse_number, pa.string(), errors)
    export_limit = parse_column(sheet, "export_limit_kw", cells.parse_number, pa.string(), errors)
    lat = parse_column(sheet, "lat", cells.parse_latitude, pa.float64(), errors)
    lon = parse_column(sheet, "lon", cells.parse_longitude, pa.float64(), errors)
    parent = report_unknown(sheet, "parent", sheet.columns["zone"], errors, of=ZONES.file).tolist()
    _check_roots(sheet, errors)
    _check_tree(sheet, parent, kind.to_pylist(), errors)
    table = pa.table(
        {
            "zone": zone,
            "parent": pc.if_else(pc.equal(sheet.columns["parent"], ""), None, sheet.columns["parent"]),
            "kind": kind,
            "name": pc.coalesce(name, zone),
            "import_limit_kw": import_limit,
            "export_limit_kw": export_limit,
            "lat": lat,
            "lon": lon,
        }
    )
    return table.take(pa.array(preorder(parent), pa.int64()))


def _check_roots(sheet: Sheet, errors: list[TopologyError]) -> None:
    """One zone, and only one, has no parent."""
    roots = np.flatnonzero(pc.equal(sheet.columns["parent"], "").to_numpy(zero_copy_only=False) & ~sheet.spoilt)
    if len(roots) == 0 and not sheet.spoilt.any():
        what = "no zone is the root: one zone must have a blank parent" if len(sheet) else "there is no zone"
        errors.append(TopologyError(sheet.file, 0, what))
    more = np.zeros(len(sheet), np.bool_)
    more[roots[1:]] = True
    zones = sheet.columns["zone"]
    report(
        sheet,
        more,
        lambda row: (
            f"zone {zones[row].as_py()!r} is a second root: line {sheet.line[roots[0]]} has a blank parent too, "
            "and only one zone may"
        ),
        errors,
    )


def _check_tree(sheet: Sheet, parent: list[int], kind: list[str | None], errors: list[TopologyError]) -> None:
    """No circles, and each zone's parent is of a higher kind (levels may be skipped)."""
    zones = sheet.columns["zone"].to_pylist()
    in_circle = set()
    for circle in circles(parent):
        in_circle.update(circle)
        path = " → ".join(f"{zones[zone]!r} (line {sheet.line[zone]})" for zone in [*circle, circle[0]])
        errors.append(TopologyError(sheet.file, int(sheet.line[circle[0]]), f"the parents form a circle: {path}"))
    for zone, above in enumerate(parent):
        if above == NO_PARENT or zone in in_circle or sheet.spoilt[zone] or sheet.spoilt[above]:
            continue
        own, higher = kind[zone], kind[above]
        if own is not None and higher is not None and _LEVEL[own] <= _LEVEL[higher]:
            what = f"zone {zones[zone]!r} of kind {own} cannot be below {zones[above]!r} of kind {higher}"
            errors.append(TopologyError(sheet.file, int(sheet.line[zone]), what))
