"""`GET /v1/flexibility/orders/{id}/settlement`: every revision of an order's figures, and their sums."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.cursor import decode_cursor, encode_cursor
from services.api.partial_sums import instant_of
from services.api.service import Service
from services.api.verification.order_verification import read_actual
from services.api.verification.settled_order import PRICE_SCALE
from services.api.verification.verification_answers import AFTER_S, instant_text, totals, verified_row
from services.api.verification.verification_models import SettlementAnswer
from services.api.verification.verification_store import newest_revisions, read_order, verified_of
from shared.database.flexibility_tables import flexibility_verification
from shared.limits import ROWS_DEFAULT, ROWS_MAX
from shared.problem import Problem, problem_responses

router = APIRouter(tags=["flexibility"])

_WH_PER_KWH = 1000


@router.get(
    "/v1/flexibility/orders/{order_id}/settlement",
    summary="How an order was settled, with every revision",
    responses=problem_responses(401, 404, 422, 503),
)
async def settlement(
    service: Service,
    order_id: str,
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = ROWS_DEFAULT,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> SettlementAnswer:
    """A row for each revision of each window, the oldest first, and the sums over the newest ones.

    A window is settled once all its series are known, or with what is known at 09:00 of D+1; each correction after
    that is a new revision with a note of what it changed.
    """
    identity = ["settlement", order_id]
    after = (0, 0) if cursor is None else _place(decode_cursor(identity, cursor))
    now_s = service.view.now_s()
    terms = service.shelf.newest
    async with service.engine.connect() as connection:
        order = await read_order(connection, order_id)
        if order is None:
            raise Problem(404, f"There is no order {order_id[:64]!r}; GET /v1/flexibility/orders lists them.")
        rows = await _revisions(connection, order_id, after, limit + 1)
        newest = list((await newest_revisions(connection, order_id)).values())
        actual = [] if now_s is None else await read_actual(connection, order, terms, now_s, after_s=AFTER_S)
    more = len(rows) > limit
    page = [verified_of(row) for row in rows[:limit]]
    penalty = order.penalty_per_wh(service.settings.penalty_percent)
    return SettlementAnswer.model_validate(
        {
            "order": order_id,
            "status": order.status,
            "price_per_kwh": order.price_per_wh * _WH_PER_KWH / PRICE_SCALE,
            "penalty_per_kwh": penalty * _WH_PER_KWH / PRICE_SCALE,
            "totals": totals(order, newest, [window for window in actual if window.start_s >= order.to_s]),
            "rows": [
                verified_row(window) | {"known_at": instant_text(row.known_at)}
                for window, row in zip(page, rows, strict=False)
            ],
            "next": encode_cursor(identity, [page[-1].start_s, page[-1].revision]) if more else None,
        }
    )


def _place(position: object) -> tuple[int, int]:
    if isinstance(position, list) and len(position) == 2 and all(isinstance(part, int) for part in position):
        return position[0], position[1]
    raise Problem(422, "`cursor` is none of ours; take it from `next` as it is.")


async def _revisions(connection: AsyncConnection, order_id: str, after: tuple[int, int], limit: int) -> list[Any]:
    table = flexibility_verification
    place = tuple_(table.c.window_start, table.c.revision)
    question = (
        table.select()
        .where(table.c.order_id == order_id, place > tuple_(instant_of(after[0] * 1_000_000), after[1]))
        .order_by(table.c.window_start, table.c.revision)
        .limit(limit)
    )
    return list(await connection.execute(question))
