"""Messages of `bilans.dispatch`: one set-point of an asset in a window, written to the outbox with the step behind it.

A message's `id` says what it is about: order, asset, window, revision. So one that is sent again after a crash is the
same message, byte for byte, and a consumer that keeps the ids it has seen takes each once. Of one asset and window the
highest revision stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.kilowatts import kilowatts
from shared.instants import format_instant
from shared.limits import QUARTER_S
from shared.topics import DISPATCH


@dataclass(frozen=True, slots=True)
class Setpoint:
    """A set-point as it stands from a step on."""

    asset: str
    window_start_s: int
    setpoint_w: int
    """Positive for injection: the change from what the asset would do without the order."""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class AssetPlace:
    """Where an asset's controller is found; None for one that the topology has no more."""

    meter: str | None
    zone: str | None


async def post_setpoints(
    connection: AsyncConnection, order_id: str, setpoints: Sequence[Setpoint], places: dict[str, AssetPlace]
) -> None:
    """Writes a message for each of `setpoints` to the outbox, in the transaction of `connection`."""
    await connection.execute(
        text(
            """
            INSERT INTO flexibility_outbox (message_id, topic, key, value)
            SELECT message_id, :topic, key, value
            FROM unnest(CAST(:ids AS text[]), CAST(:keys AS text[]), CAST(:values AS bytea[]))
                 WITH ORDINALITY AS given (message_id, key, value, place)
            ORDER BY place
            """
        ),
        {
            "topic": DISPATCH,
            "ids": [_message_id(order_id, setpoint) for setpoint in setpoints],
            "keys": [setpoint.asset for setpoint in setpoints],
            "values": [_value(order_id, setpoint, places[setpoint.asset]) for setpoint in setpoints],
        },
    )


def _message_id(order_id: str, setpoint: Setpoint) -> str:
    start = format_instant(setpoint.window_start_s)
    return f"{order_id}/{setpoint.asset}/{start}/{setpoint.revision}"


def _value(order_id: str, setpoint: Setpoint, place: AssetPlace) -> bytes:
    return orjson.dumps(
        {
            "id": _message_id(order_id, setpoint),
            "order": order_id,
            "asset": setpoint.asset,
            "meter": place.meter,
            "zone": place.zone,
            "window_start": format_instant(setpoint.window_start_s),
            "window_end": format_instant(setpoint.window_start_s + QUARTER_S),
            "setpoint_kw": kilowatts(setpoint.setpoint_w),
            "revision": setpoint.revision,
        }
    )
