"""The history of a forecast from a running system: the partial rows of PostgreSQL."""

import time

from services.api.forecasting.forecast_history import ForecastHistory
from services.api.topology_terms import TopologyTerms
from shared.database.engine import connect
from shared.errors import BilansError
from shared.forecast.history import DAY_S, History
from shared.topology.store import newest_logged_number, read_topology


async def read_history(database_url: str, days: int) -> tuple[list[str], History]:
    """The zones of the topology in force, and the history of the newest `days` days that have any row.

    Raises BilansError where nothing has been published.
    """
    connection = await connect(database_url, application_name="bilans-forecast")
    try:
        terms = TopologyTerms(await read_topology(connection, await newest_logged_number(connection)))
        newest = await connection.fetchval(
            "SELECT max(window_start) FROM partial WHERE zone_id = $1 AND window_start < to_timestamp($2)",
            int(terms.topology.zone_id[0]) if terms.topology.zone else -1,
            time.time(),
        )
        if newest is None:
            raise BilansError("Nothing has been published yet.", "Replay readings first: `./bilans replay FILE`.")
        history = ForecastHistory(terms, int(newest.timestamp()) // DAY_S * DAY_S, days)
        await history.read(connection, history.first_s)
        return terms.topology.zone, history.history()
    finally:
        await connection.close()
