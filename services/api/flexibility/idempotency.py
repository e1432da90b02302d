"""`Idempotency-Key`: an answer that was given under a key is given again, and nothing is done a second time.

The first answer is stored in the transaction of what was done. Who looks a key up holds the ledger's lock, so of two
requests with one key the second finds the answer of the first.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import orjson
from fastapi import Header
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from shared.database.flexibility_tables import idempotency_key
from shared.limits import IDEMPOTENCY_DAYS, IDEMPOTENCY_KEY_CHARACTERS_MAX
from shared.problem import Problem

REPLAYED = "Idempotency-Replayed"

KeyHeader = Annotated[
    str | None, Header(alias="Idempotency-Key", description="Chosen by the client, one an intention.")
]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it is sent, and stored for retries."""

    status_code: int
    body: bytes
    replayed: bool = False

    def response(self) -> Response:
        """The answer over HTTP."""
        headers = {REPLAYED: "true"} if self.replayed else {}
        return Response(self.body, self.status_code, headers=headers, media_type="application/json")


def check_key(key: str | None, *, needed: bool) -> str | None:
    """The key of a request. Raises Problem 400 when it is missing though `needed`, or cannot be one."""
    if key is None or not key.strip():
        if not needed:
            return None
        raise Problem(
            400, "Send an `Idempotency-Key` of your own, a new one for each request: a retry with it changes nothing."
        )
    if len(key) > IDEMPOTENCY_KEY_CHARACTERS_MAX or not key.isprintable():
        limit = IDEMPOTENCY_KEY_CHARACTERS_MAX
        raise Problem(400, f"`Idempotency-Key` may have {limit} printable characters at most.")
    return key


def digest_of(content: object) -> str:
    """What tells two bodies apart; the same for the same meaning, however it was written."""
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def remembered(connection: AsyncConnection, route: str, key: str, digest: str) -> Answered | None:
    """The answer given under `key`, if any. Raises Problem 422 when it was used for another body."""
    table = idempotency_key
    question = select(table).where(table.c.route == route, table.c.key == key)
    row = (await connection.execute(question)).one_or_none()
    if row is None:
        return None
    if row.body_digest != digest:
        raise Problem(422, "This `Idempotency-Key` was used with another body; take a new key for a new request.")
    return Answered(row.status_code, row.answer, replayed=True)


async def remember(connection: AsyncConnection, route: str, key: str, digest: str, answered: Answered) -> None:
    """Stores the answer for retries."""
    await connection.execute(
        idempotency_key.insert().values(
            route=route, key=key, body_digest=digest, status_code=answered.status_code, answer=answered.body
        )
    )


async def forget_old(connection: AsyncConnection) -> None:
    """Removes answers that nobody asks for any more."""
    table = idempotency_key
    await connection.execute(table.delete().where(table.c.created_at < func.now() - timedelta(days=IDEMPOTENCY_DAYS)))
