"""`GET /v1/audit`: the books (design rule 10)."""

from fastapi import APIRouter
from sqlalchemy import BigInteger, cast, func, select

from services.api.answers import AuditAnswer
from services.api.lag import INGEST_GROUP, read_progress, total_lag
from services.api.service import Service
from shared.database.tables import books, deferred_change, recount
from shared.problem import problem_responses
from shared.topics import READINGS_JSON

router = APIRouter(tags=["audit"])

_REJECTED = "rejected:"
_RECOMPUTING = select(
    cast(
        select(func.coalesce(func.sum(recount.c.windows), 0)).scalar_subquery()
        + select(func.coalesce(func.sum(deferred_change.c.windows), 0)).scalar_subquery(),
        BigInteger,
    )
)
"""A row of `recount` comes with the flush that moves its partition to the new topology: who saw that sees both."""


@router.get("/v1/audit", summary="The books", responses=problem_responses(401, 503))
async def audit(service: Service) -> AuditAnswer:
    """Every delivery is applied, unchanged, pending or rejected. Books and progress are of one moment.

    With `lag` 0 everything that had been acknowledged before the question is in the books; with `pending` and
    `recomputing` 0, too, it is in the published balance, by the newest topology.
    """
    committed = await service.ends.committed(INGEST_GROUP, READINGS_JSON)
    by_outcome = select(books.c.outcome, cast(func.sum(books.c.deliveries), BigInteger)).group_by(books.c.outcome)
    async with service.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="REPEATABLE READ")
        counts: dict[str, int] = {row[0]: row[1] for row in await connection.execute(by_outcome)}
        recomputing = (await connection.execute(_RECOMPUTING)).scalar_one()
        handled = await read_progress(connection)
    lag = await total_lag(service.settings, service.ends, committed, handled)
    rejected = {
        outcome.removeprefix(_REJECTED): number
        for outcome, number in sorted(counts.items())
        if outcome.startswith(_REJECTED) and number
    }
    received, applied = counts.get("received", 0), counts.get("applied", 0)
    unchanged, pending = counts.get("unchanged", 0), counts.get("pending", 0)
    return AuditAnswer(
        received=received,
        applied=applied,
        unchanged=unchanged,
        pending=pending,
        rejected=rejected,
        lag=lag,
        recomputing=recomputing,
        difference=received - applied - unchanged - pending - sum(rejected.values()),
    )
