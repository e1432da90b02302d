"""The signals in PostgreSQL: the lights' memory, what was told each minute, and what is known of the assets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from services.api.signals.asset_history import Promised
from services.api.signals.zone_lights import KeptLight
from shared.flexibility.traffic_light import LightMemory
from shared.limits import QUARTER_S, SIGNALS_DAYS

_DELETED_AT_ONCE = 10_000

_READ_LIGHTS = """
SELECT zone, amber, amber_low_since, red, red_low_since, state_since FROM zone_light JOIN zone_identity USING (zone_id)
"""

_WRITE_LIGHTS = """
INSERT INTO zone_light (zone_id, amber, amber_low_since, red, red_low_since, state_since, at)
SELECT zone_id, amber, amber_low_since, red, red_low_since, state_since, $7
FROM unnest($1::integer[], $2::boolean[], $3::timestamptz[], $4::boolean[], $5::timestamptz[], $6::timestamptz[])
    AS light (zone_id, amber, amber_low_since, red, red_low_since, state_since)
ON CONFLICT (zone_id) DO UPDATE SET amber = excluded.amber, amber_low_since = excluded.amber_low_since,
    red = excluded.red, red_low_since = excluded.red_low_since, state_since = excluded.state_since, at = excluded.at
"""

_WRITE_SIGNALS = """
INSERT INTO zone_signal (zone_id, at, state, net_w, content)
SELECT zone_id, at, state, net_w, content::jsonb
FROM unnest($1::integer[], $2::timestamptz[], $3::text[], $4::bigint[], $5::text[])
    AS told (zone_id, at, state, net_w, content)
ON CONFLICT (zone_id, at) DO UPDATE SET state = excluded.state, net_w = excluded.net_w, content = excluded.content
"""

_DELETE_OLD = """
DELETE FROM zone_signal WHERE (zone_id, at) IN (SELECT zone_id, at FROM zone_signal WHERE at < $1 LIMIT $2)
"""

_READ_ANSWERS = """
SELECT asset, count(DISTINCT order_id) FILTER (WHERE acknowledgement = 'accepted'),
       count(DISTINCT order_id) FILTER (WHERE acknowledgement = 'refused')
FROM flexibility_dispatch WHERE acknowledgement IS NOT NULL GROUP BY asset
"""

_READ_PROMISED = """
SELECT asset, reserved.direction, extract(epoch FROM window_start)::bigint, reserved.power_w
FROM flexibility_reservation AS reserved JOIN flexibility_offer AS offer ON offer.id = reserved.offer_id
WHERE window_start > $1
    AND (reserved.status = 'ordered' OR (reserved.status = 'held' AND offer.expires_at > clock_timestamp()))
ORDER BY asset, reserved.direction, window_start, offer_id
"""


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """What was told of a zone at an instant."""

    zone_id: int
    at_s: int
    state: str
    net_w: int | None
    content: str
    """JSON."""


async def read_lights(connection: asyncpg.Connection) -> dict[str, KeptLight]:
    """Every light as it was kept, by zone."""
    return {
        zone: KeptLight(LightMemory(amber, _seconds(amber_low), red, _seconds(red_low)), int(since.timestamp()))
        for zone, amber, amber_low, red, red_low, since in await connection.fetch(_READ_LIGHTS)
    }


async def write_lights(connection: asyncpg.Connection, kept: Mapping[int, KeptLight], now_s: int) -> None:
    """Writes the lights, by zone number, in one statement."""
    lights = kept.values()
    await connection.execute(
        _WRITE_LIGHTS,
        list(kept),
        [light.memory.amber for light in lights],
        [_instant(light.memory.amber_low_since_s) for light in lights],
        [light.memory.red for light in lights],
        [_instant(light.memory.red_low_since_s) for light in lights],
        [_instant(light.state_since_s) for light in lights],
        _instant(now_s),
    )


async def write_signals(connection: asyncpg.Connection, told: Sequence[StoredSignal]) -> None:
    """Writes what was told, in one statement; of one zone and instant the last stands."""
    latest = {(one.zone_id, one.at_s): one for one in told}.values()
    await connection.execute(
        _WRITE_SIGNALS,
        [one.zone_id for one in latest],
        [_instant(one.at_s) for one in latest],
        [one.state for one in latest],
        [one.net_w for one in latest],
        [one.content for one in latest],
    )


async def delete_old_signals(connection: asyncpg.Connection, now_s: int) -> int:
    """Deletes what is older than SIGNALS_DAYS at `now_s`, some of it at a time; how many rows are gone."""
    before = datetime.fromtimestamp(now_s, UTC) - timedelta(days=SIGNALS_DAYS)
    gone = 0
    while True:
        tag: str = await connection.execute(_DELETE_OLD, before, _DELETED_AT_ONCE)
        deleted = int(tag.rsplit(maxsplit=1)[-1])
        gone += deleted
        if deleted < _DELETED_AT_ONCE:
            return gone


async def read_answers(connection: asyncpg.Connection) -> dict[str, tuple[int, int]]:
    """How many orders each asset has accepted and refused."""
    return {asset: (accepted, refused) for asset, accepted, refused in await connection.fetch(_READ_ANSWERS)}


async def read_promised(connection: asyncpg.Connection, now_s: int) -> tuple[Promised, ...]:
    """What is promised in windows that have not ended: ordered, or held for an offer that has not expired."""
    since = datetime.fromtimestamp(now_s - QUARTER_S, UTC)
    return tuple(Promised(*row) for row in await connection.fetch(_READ_PROMISED, since))


def _seconds(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp())


def _instant(instant_s: int | None) -> datetime | None:
    return None if instant_s is None else datetime.fromtimestamp(instant_s, UTC)
