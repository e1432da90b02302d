"""The audit: each step of a request's life, appended in the step's own transaction, never changed."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.verification.verification_answers import instant_text
from shared.database.flexibility_tables import flexibility_audit

REQUEST, OFFER, ORDER = "request", "offer", "order"
"""What a step is about."""


async def append_step(
    connection: AsyncConnection, request_id: str, subject: str, subject_id: str, step: str, **content: object
) -> None:
    """Appends a step with the figures on which it was decided."""
    await connection.execute(
        flexibility_audit.insert().values(
            request_id=request_id, subject=subject, subject_id=subject_id, step=step, content=content
        )
    )


async def read_steps(connection: AsyncConnection, request_id: str) -> list[dict[str, Any]]:
    """All steps of a request, in their order."""
    table = flexibility_audit
    rows = await connection.execute(select(table).where(table.c.request_id == request_id).order_by(table.c.id))
    return [
        {
            "at": instant_text(row.at),
            "subject": row.subject,
            "id": row.subject_id,
            "step": row.step,
            "content": row.content,
        }
        for row in rows
    ]
