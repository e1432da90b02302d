"""Holds what a running system says of every zone and every window to the independent recomputation.

`python -m tests.end_to_end.compare DATA_DIR READINGS TOPOLOGY` compares the system running under DATA_DIR with the
Parquet file READINGS and the folder TOPOLOGY, in its tables and through its API; prints one JSON line, exits 1 when
anything differs.
"""

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson

from deploy.running_system import RunningSystem, find_running_system
from tests.end_to_end.recompute import COLUMNS, KINDS, Recomputation, recompute_folder
from tests.end_to_end.recompute_topology import QUARTER_S

DIFFERENCES_SHOWN = 20
RATIOS = ("self_sufficiency", "self_consumption")


@dataclass
class Comparison:
    """How many windows were compared, and what differs."""

    windows: int = 0
    differences: list[str] = field(default_factory=list)

    def hold(self, where: str, expected: object, found: object) -> None:
        """Notes a difference at `where`."""
        if expected != found:
            self.differences.append(f"{where}: recomputed {expected}, the service has {found}")

    def shown(self) -> str:
        """The first differences, one a line; empty when all is equal."""
        return "\n".join(self.differences[:DIFFERENCES_SHOWN])


async def compare_with_tables(database_url: str, recomputation: Recomputation) -> Comparison:
    """Sums the partial rows over the partitions and compares every sum of every window."""
    return compare_sums(await fetch_sums(database_url), recomputation)


async def fetch_sums(database_url: str) -> dict[tuple[str, int], dict[str, int]]:
    """The partial rows summed over the partitions, by zone and window (start in seconds)."""
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in COLUMNS)
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            f"SELECT zone, extract(epoch FROM window_start)::bigint AS start_s, {sums}"
            " FROM partial JOIN zone_identity USING (zone_id) GROUP BY 1, 2"
        )
    finally:
        await connection.close()
    return {(row["zone"], row["start_s"]): {name: row[name] for name in COLUMNS} for row in rows}


def compare_sums(found: dict[tuple[str, int], dict[str, int]], recomputation: Recomputation) -> Comparison:
    """Compares what `fetch_sums` found with the recomputation; a window that only one of them knows is zeros there."""
    unexpected = dict(found)
    comparison = Comparison()
    for zone in recomputation.zones:
        for start_s in recomputation.windows(zone):
            partial = recomputation.partial(zone, start_s)
            expected = {name: partial[name] for name in COLUMNS}
            comparison.windows += 1
            comparison.hold(f"{zone} {_text(start_s)}", expected, unexpected.pop((zone, start_s), None))
    for (zone, start_s), sums_found in unexpected.items():
        comparison.hold(f"{zone} {_text(start_s)}", dict.fromkeys(COLUMNS, 0), sums_found)
    return comparison


async def compare_with_api(api: str, recomputation: Recomputation, zones: Iterable[str] | None = None) -> Comparison:
    """Pages through the quarters of `zones` (all when None) and compares every figure of every row."""
    comparison = Comparison()
    async with httpx.AsyncClient(base_url=api, timeout=60) as client:
        for zone in recomputation.zones if zones is None else zones:
            starts = recomputation.windows(zone)
            if not starts:
                continue
            known = set(starts)
            for row in await fetch_balance(client, zone, starts[0], starts[-1] + QUARTER_S):
                start_s = int(datetime.fromisoformat(row["window_start"]).timestamp())
                known.discard(start_s)
                comparison.windows += 1
                hold_row(comparison, f"{zone} {_text(start_s)}", recomputation.row(zone, start_s), row)
            for start_s in sorted(known):
                comparison.hold(f"{zone} {_text(start_s)}", "a row", "none")
    return comparison


async def fetch_balance(
    client: httpx.AsyncClient, zone: str, from_s: int, to_s: int, resolution: str = "15min"
) -> list[dict[str, Any]]:
    """All rows of a zone's balance, page after page."""
    query = {"from": _text(from_s), "to": _text(to_s), "resolution": resolution, "limit": "1000"}
    rows: list[dict[str, Any]] = []
    while True:
        answer = await client.get(f"/v1/zones/{zone}/balance", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        rows += page["rows"]
        if page["next"] is None:
            return rows
        query["cursor"] = page["next"]


def hold_row(comparison: Comparison, where: str, expected: dict[str, Any], row: dict[str, Any]) -> None:
    """Compares every figure of one answer; a ratio to the 4 decimals that the service gives."""
    for name, value in expected.items():
        if name in RATIOS:
            if (value is None) != (row[name] is None) or (value is not None and not _close(value, row[name])):
                comparison.hold(f"{where} {name}", value, row[name])
        elif name == "by_kind":
            nothing = {"withdrawn_wh": 0, "injected_wh": 0}
            comparison.hold(f"{where} {name}", value, {kind: row[name].get(kind, nothing) for kind in KINDS})
        elif name in row:
            comparison.hold(f"{where} {name}", value, row[name])
        else:
            comparison.hold(f"{where} {name}", value, "no such figure")


def _close(exact: Fraction, given: float) -> bool:
    return abs(exact - Fraction(given)) <= Fraction(1, 20_000) + Fraction(1, 10**9)


def _text(instant_s: int) -> str:
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _compare(system: RunningSystem, readings: Path, topology: Path) -> int:
    recomputation = recompute_folder(readings, topology)
    tables = await compare_with_tables(system.database_url, recomputation)
    api = await compare_with_api(system.api, recomputation)
    for shown in (tables.shown(), api.shown()):
        if shown:
            print(shown, file=sys.stderr)
    line = {
        "zones": len(recomputation.zones),
        "windows_in_tables": tables.windows,
        "differences_in_tables": len(tables.differences),
        "windows_in_api": api.windows,
        "differences_in_api": len(api.differences),
    }
    print(orjson.dumps(line).decode())
    return 1 if tables.differences or api.differences else 0


if __name__ == "__main__":
    running = find_running_system(Path(sys.argv[1]))
    sys.exit(asyncio.run(_compare(running, Path(sys.argv[2]), Path(sys.argv[3]))))
