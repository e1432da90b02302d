"""The moment a question is about: what `now` is and which topology is in force, for the present and for `as_of`."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.partial_sums import instant_of
from services.api.query_instants import QueryInstant
from services.api.topology_shelf import TopologyShelf
from services.api.topology_terms import TopologyTerms
from shared.database.tables import partial_revision, progress, topology
from shared.limits import AS_OF_DELAY_S, QUARTER_S
from shared.problem import Problem
from shared.settings import ClockMode

BEFORE_ALL_S = 0
"""`now` before the first reading in event mode: no window has begun."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What an answer is held against."""

    now_s: int
    terms: TopologyTerms
    """The topology in force."""
    as_of_us: int | None
    """Microseconds since 1970; None for the present."""


async def present_moment(connection: AsyncConnection, shelf: TopologyShelf, clock: ClockMode, now_s: int) -> Moment:
    """The present; `now_s` is the service's now by its clock or its live view (BEFORE_ALL_S: none yet).

    In event mode the rows' own progress counts too, so that a row never looks more open than it was written.
    """
    number = _newest_number(topology.c.logged_at.is_not(None))
    event_now = select(func.max(progress.c.event_now)).scalar_subquery()
    newest, reached = (await connection.execute(select(number, event_now))).one()
    if clock == "event" and reached is not None:
        now_s = max(now_s, int(reached.timestamp()))
    return Moment(now_s, await shelf.by_number(connection, newest), None)


async def past_moment(
    connection: AsyncConnection, shelf: TopologyShelf, clock: ClockMode, as_of: QueryInstant
) -> Moment:
    """The moment `as_of`, which answers the same whenever it is asked (design rule 9).

    Raises Problem 422 when `as_of` is too young by the database's clock.
    """
    then = instant_of(as_of.floor_us)
    number = _newest_number(topology.c.logged_at <= then)
    settled = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, AS_OF_DELAY_S) >= then
    in_force, is_settled = (await connection.execute(select(number, settled))).one()
    if not is_settled:
        raise Problem(422, f"`as_of` must lie at least {AS_OF_DELAY_S} seconds back: younger answers may still change.")
    terms = await shelf.by_number(connection, in_force)
    now_s = as_of.floor_s if clock == "wall" else await _event_now(connection, terms, then)
    return Moment(now_s, terms, as_of.floor_us)


def _newest_number(logged: ColumnElement[bool]) -> ColumnElement[int]:
    """The newest topology that fulfils `logged`; 0, the empty one, when none does."""
    return select(func.coalesce(func.max(topology.c.number), 0)).where(logged).scalar_subquery()


async def _event_now(connection: AsyncConnection, terms: TopologyTerms, then: datetime) -> int:
    """How far event time had come: to the end of the last window that had closed. The root zone has a row of each."""
    if not terms.topology.zone:
        return BEFORE_ALL_S
    table = partial_revision
    question = (
        select(table.c.window_start)
        .where(table.c.zone_id == int(terms.topology.zone_id[0]), table.c.known_at <= then)
        .order_by(table.c.window_start.desc())
        .limit(1)
    )
    closed = (await connection.execute(question)).scalar_one_or_none()
    return BEFORE_ALL_S if closed is None else int(closed.timestamp()) + QUARTER_S
