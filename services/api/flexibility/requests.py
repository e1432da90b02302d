"""A request becomes an offer: what can be held at least cost is worked out, and reserved, in one transaction."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import orjson
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.api.flexibility.audit import OFFER, REQUEST, append_step
from services.api.flexibility.bodies import Asked, RequestBody, check_request, parse_request
from services.api.flexibility.idempotency import Answered, check_key, digest_of, remember, remembered
from services.api.flexibility.ledger import Promised, Reserved, lock_ledger, read_promised, release, reserve
from services.api.flexibility.request_reading import Answer, money, request_of
from services.api.flexibility.situation import Situation, SituationView
from services.api.flexibility.words import OfferStatus, RequestStatus
from services.api.kilowatts import kilowatts
from shared.database.flexibility_tables import flexibility_offer, flexibility_request
from shared.flexibility.selection import select as select_assets
from shared.flexibility.selection_problem import Selection, cost_of
from shared.instants import format_instant
from shared.problem import Problem
from shared.settings import ClockMode

_ROUTE = "POST /v1/flexibility/requests"

NOTHING_HEARD = "No reading has come yet, so nothing is known of any asset."


class FlexibilityRequests:
    """Answers requests, and cancels them."""

    def __init__(self, engine: AsyncEngine, situations: SituationView, clock: ClockMode, offer_s: int) -> None:
        """`offer_s` is how long an offer stands, in seconds of wall time."""
        self._engine = engine
        self._situations = situations
        self._clock = clock
        self._offer_s = offer_s

    async def ask(self, body: RequestBody, key: str | None) -> Answered:
        """The answer to a request: 201, or the first answer again where `key` has been used for the same body.

        1. take the ledger's lock; 2. look the key up; 3. work out what can be held beside what is promised; 4. store
        request, offer and reservations; 5. the audit; 6. the answer under its key. All in one transaction.
        """
        key = check_key(key, needed=True)
        assert key is not None
        asked = parse_request(body)
        digest = digest_of([asked.zone, asked.direction, asked.power_w, asked.from_s, asked.to_s])
        async with self._engine.begin() as connection:
            wall = await lock_ledger(connection)
            answered = await remembered(connection, _ROUTE, key, digest)
            if answered is not None:
                return answered
            now_s = self._situations.view.now_s()
            check_request(asked, self._situations.shelf.newest, now_s)
            request_id = str(uuid4())
            if now_s is None:
                await self._decline(connection, request_id, asked, NOTHING_HEARD)
            else:
                promised = await read_promised(connection, wall, now_s)
                await self._offer(connection, request_id, asked, promised, wall, now_s)
            answered = Answered(201, orjson.dumps(await request_of(connection, request_id)))
            await remember(connection, _ROUTE, key, digest, answered)
            return answered

    async def cancel(self, request_id: str) -> Answer:
        """Gives back what is held for a request; one that is cancelled already stays so. Raises Problem 404 and 409."""
        async with self._engine.begin() as connection:
            await lock_ledger(connection)
            request = await request_of(connection, request_id)
            status = RequestStatus(request["status"])
            if status is RequestStatus.ORDERED:
                raise Problem(
                    409,
                    f"The offer is ordered; cancel the order: POST /v1/flexibility/orders/{request['order']}/cancel.",
                )
            if status in (RequestStatus.DECLINED, RequestStatus.EXPIRED):
                raise Problem(409, f"The request is {status}: nothing is held for it that could be given back.")
            if status is RequestStatus.OFFERED:
                await close_offer(connection, request["id"], request["offer"]["id"], OfferStatus.CANCELLED)
            return await request_of(connection, request_id)

    async def _offer(
        self,
        connection: AsyncConnection,
        request_id: str,
        asked: Asked,
        promised: list[Promised],
        wall: datetime,
        now_s: int,
    ) -> None:
        situation = self._situations.of(asked, promised)
        selection = await asyncio.to_thread(select_assets, situation.problem)
        if selection.held_w == 0:
            await self._decline(connection, request_id, asked, situation.nothing)
            return
        await self._insert(connection, request_id, asked, RequestStatus.OFFERED)
        offer_id = str(uuid4())
        ends_s = offer_ends_s(asked, wall, None if self._clock == "event" else now_s, self._offer_s)
        expires_at = datetime.fromtimestamp(ends_s, UTC)
        cost = cost_of(selection.power_w, situation.problem.cost.tolist())
        await connection.execute(
            flexibility_offer.insert().values(
                id=offer_id,
                request_id=request_id,
                power_w=selection.held_w,
                cost=cost,
                status=OfferStatus.OPEN,
                expires_at=expires_at,
            )
        )
        await reserve(connection, offer_id, asked.direction, _reserved(asked, situation, selection))
        await append_step(
            connection,
            request_id,
            OFFER,
            offer_id,
            RequestStatus.OFFERED,
            kw=kilowatts(selection.held_w),
            cost=money(cost),
            expires_at=format_instant(ends_s),
            assets=int(selection.power_w.any(axis=1).sum()),
            method=selection.method,
            room_kw=kilowatts(situation.problem.target_w),
            now=format_instant(now_s),
        )

    async def _decline(self, connection: AsyncConnection, request_id: str, asked: Asked, reason: str) -> None:
        await self._insert(connection, request_id, asked, RequestStatus.DECLINED)
        await append_step(connection, request_id, REQUEST, request_id, RequestStatus.DECLINED, reason=reason)

    async def _insert(self, connection: AsyncConnection, request_id: str, asked: Asked, status: RequestStatus) -> None:
        terms = self._situations.shelf.newest
        await connection.execute(
            flexibility_request.insert().values(
                id=request_id,
                zone_id=int(terms.topology.zone_id[terms.zone_index[asked.zone]]),
                direction=asked.direction,
                power_w=asked.power_w,
                from_at=datetime.fromtimestamp(asked.from_s, UTC),
                to_at=datetime.fromtimestamp(asked.to_s, UTC),
                status=status,
            )
        )
        await append_step(
            connection,
            request_id,
            REQUEST,
            request_id,
            "requested",
            zone=asked.zone,
            direction=asked.direction,
            kw=kilowatts(asked.power_w),
            **{"from": format_instant(asked.from_s), "to": format_instant(asked.to_s)},
        )


def offer_ends_s(asked: Asked, wall: datetime, now_s: int | None, offer_s: int) -> int:
    """When an offer ends that is made at `wall`, wall time in seconds since 1970: `offer_s` later.

    Where now is wall time too (`now_s`; None: it is not), no later than its period begins, if that is to come.
    """
    latest_s = int(wall.timestamp()) + offer_s
    return min(latest_s, asked.from_s) if now_s is not None and asked.from_s > now_s else latest_s


async def close_offer(connection: AsyncConnection, request_id: str, offer_id: str, status: OfferStatus) -> None:
    """Ends an open offer without an order: what it held is free again. The ledger must be locked."""
    offer, request = flexibility_offer, flexibility_request
    await connection.execute(update(offer).where(offer.c.id == offer_id).values(status=status))
    await connection.execute(
        update(request).where(request.c.id == request_id).values(status=RequestStatus(status.value))
    )
    await release(connection, offer_id)
    await append_step(connection, request_id, OFFER, offer_id, status)


def _reserved(asked: Asked, situation: Situation, selection: Selection) -> Reserved:
    asset, window = np.nonzero(selection.power_w)
    starts = list(asked.starts_s)
    return Reserved(
        asset=[situation.problem.name[index] for index in asset.tolist()],
        window_start_s=[starts[index] for index in window.tolist()],
        power_w=selection.power_w[asset, window].tolist(),
        cost_per_mwh=[str(situation.cost_per_mwh[index]) for index in asset.tolist()],
    )
