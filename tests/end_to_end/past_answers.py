"""What the service said at a moment, held against what it says `as_of` that moment later; and its revisions."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import httpx

from deploy.running_system import RunningSystem
from shared.limits import AS_OF_DELAY_S

_QUESTIONS = (("15min", "application/json"), ("15min", "text/csv"), ("day", "application/json"))

RevisionKey = tuple[int, datetime, int]
"""Zone number, window, partition."""


@dataclass(frozen=True)
class Moment:
    """What was said of some zones when nothing was under way."""

    at: datetime
    """By the database's clock."""
    answers: dict[tuple[str, str, str], bytes]
    """By zone, resolution and media type."""
    revisions: dict[tuple[RevisionKey, int], tuple[object, ...]]
    """All rows of `partial_revision`, whole, by key and revision."""


async def take_moment(system: RunningSystem, zones: list[str], span: str) -> Moment:
    """Asks for all windows in `span` (`from=…&to=…`), without `as_of`."""
    answers = await _ask(system, zones, span)
    connection = await asyncpg.connect(system.database_url)
    try:
        rows = await connection.fetch("SELECT * FROM partial_revision")
        at = await connection.fetchval("SELECT clock_timestamp()")
    finally:
        await connection.close()
    revisions = {((row["zone_id"], row["window_start"], row["partition"]), row["revision"]): tuple(row) for row in rows}
    return Moment(at, answers, revisions)


async def differing_answers(system: RunningSystem, moment: Moment, span: str) -> list[tuple[str, str, str]]:
    """Asks for the same `as_of` the moment, as soon as that may be; what does not come out byte for byte as it was."""
    connection = await asyncpg.connect(system.database_url)
    try:
        age = await connection.fetchval("SELECT clock_timestamp()") - moment.at
    finally:
        await connection.close()
    await asyncio.sleep(max(AS_OF_DELAY_S + 0.1 - age.total_seconds(), 0))
    zones = sorted({zone for zone, _, _ in moment.answers})
    as_of = moment.at.isoformat().replace("+00:00", "Z")
    again = await _ask(system, zones, f"{span}&as_of={as_of}")
    return [question for question, answer in moment.answers.items() if again[question] != answer]


def hold_revisions(earlier: Moment, later: Moment) -> None:
    """No revision was changed or lost, none left out, and each was known after the one before."""
    for place, row in earlier.revisions.items():
        assert later.revisions.get(place) == row
    by_row: dict[RevisionKey, list[int]] = {}
    for key, revision in sorted(later.revisions):
        by_row.setdefault(key, []).append(revision)
    for key, revisions in by_row.items():
        assert revisions == list(range(1, len(revisions) + 1)), key


async def _ask(system: RunningSystem, zones: list[str], span: str) -> dict[tuple[str, str, str], bytes]:
    found = {}
    async with httpx.AsyncClient(base_url=system.api, timeout=60) as client:
        for zone in zones:
            for resolution, media_type in _QUESTIONS:
                path = f"/v1/zones/{zone}/balance?{span}&resolution={resolution}&limit=1000"
                answer = await client.get(path, headers={"Accept": media_type})
                assert answer.status_code == 200, answer.text
                found[zone, resolution, media_type] = answer.content
    return found
