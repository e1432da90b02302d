"""How far back revisions are kept: questions with `as_of` about older windows are refused (design rule 9)."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import retention
from shared.instants import format_instant
from shared.problem import Problem


async def hold_to_kept_revisions(connection: AsyncConnection, first_window_s: int) -> None:
    """Raises Problem 422 when revisions of windows from `first_window_s` on may be gone.

    To be asked after the rows are read: the instant is moved on before anything is removed.
    """
    since = (await connection.execute(select(retention.c.since).where(retention.c.content == "revisions"))).scalar()
    if since is not None and first_window_s < since.timestamp():
        kept_since = format_instant(int(since.timestamp()))
        raise Problem(
            422,
            f"Of windows that started before {kept_since} only the newest revision is kept: what was known of them at"
            f" `as_of` cannot be told. Ask for windows from {kept_since} on, or leave `as_of` out.",
        )
