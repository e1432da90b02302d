"""The controllers of simulated assets: they take set-points from `bilans.dispatch` and acknowledge them to the API."""

import asyncio
from collections.abc import Callable

import httpx
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.story.following_assets import FollowingAssets, Setpoint
from shared.instants import parse_instant
from shared.topics import DISPATCH

_RETRY_S = 1.0


async def follow_setpoints(
    kafka: str, api: httpx.AsyncClient, assets: FollowingAssets, note: Callable[[str, int], None]
) -> None:
    """Takes every set-point of the assets from the beginning of the topic on, until cancelled.

    Each order's assets acknowledge once. `note` is told of each order and how many of its set-points came.
    """
    while True:
        try:
            await _follow(kafka, api, assets, note)
        except (KafkaError, OSError, httpx.TransportError):
            await asyncio.sleep(_RETRY_S)  # it begins anew: a set-point that comes again is the same one


async def _follow(
    kafka: str, api: httpx.AsyncClient, assets: FollowingAssets, note: Callable[[str, int], None]
) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, client_id="bilans-story", enable_auto_commit=False)
    await consumer.start()
    try:
        place = TopicPartition(DISPATCH, 0)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        while True:
            records = (await consumer.getmany(timeout_ms=200)).get(place, ())
            taken: dict[str, dict[str, int]] = {}
            for record in records:
                message = orjson.loads(record.value)
                if assets.take(_setpoint(message)):
                    counts = taken.setdefault(message["order"], {})
                    counts[message["asset"]] = counts.get(message["asset"], 0) + 1
            for order, counts in taken.items():
                for asset in counts:
                    answer = {"asset": asset, "acknowledgement": "accepted", "detail": "simulated"}
                    (await api.post(f"/v1/flexibility/orders/{order}/acknowledgements", json=answer)).raise_for_status()
                note(order, sum(counts.values()))
    finally:
        await consumer.stop()


def _setpoint(message: dict[str, object]) -> Setpoint:
    change_kw = message["setpoint_kw"]
    assert isinstance(change_kw, int | float)
    return Setpoint(
        asset=str(message["asset"]),
        window_start_s=parse_instant(str(message["window_start"])),
        change_wh=round(change_kw * 250),
        revision=int(str(message["revision"])),
    )
