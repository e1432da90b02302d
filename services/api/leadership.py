"""Which API instance does what only one may do: it holds an advisory lock of PostgreSQL as long as it is connected."""

import asyncio
import logging

import asyncpg

from shared.database.engine import DATABASE_TROUBLE, connect

LOCK = 0x42494C414E53  # "BILANS"
_ASK_S = 1.0

_log = logging.getLogger(__name__)


class Leadership:
    """Whether this instance leads. The lock ends with its connection, so another leads a moment after this one is gone.

    For a moment two may believe that they lead (a connection that broke unseen), so what a leader writes must be right
    when it is written twice: rows with keys, steps that look at the state they change.
    """

    def __init__(self, database_url: str) -> None:
        """Leads nothing until `run`."""
        self._database_url = database_url
        self.leads = False

    async def run(self) -> None:
        """Asks for the lock, and whether it still holds it, once a second until cancelled."""
        connection: asyncpg.Connection | None = None
        try:
            while True:
                try:
                    if connection is None or connection.is_closed():
                        connection = await connect(self._database_url, application_name="bilans-leader")
                    if self.leads:
                        await connection.execute("SELECT 1")
                    elif await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                        self._lead(leads=True)
                except DATABASE_TROUBLE as trouble:
                    _log.debug("leadership: %s", trouble)
                    self._lead(leads=False)
                    if connection is not None:
                        connection.terminate()
                        connection = None
                await asyncio.sleep(_ASK_S)
        finally:
            self.leads = False
            if connection is not None:
                connection.terminate()

    def _lead(self, *, leads: bool) -> None:
        if leads != self.leads:
            _log.info("This instance %s signals, forecasts and orders.", "leads" if leads else "no longer leads")
        self.leads = leads
