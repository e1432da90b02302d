"""`GET /v1/meters`: meters with their newest reading and its age; the silent ones. From memory."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Query

from services.api.answers import MeterRow, MetersAnswer, NewestReading, zone_not_found
from services.api.cursor import decode_cursor, encode_cursor
from services.api.newest_readings import NOT_HEARD_S, NewestColumns
from services.api.service import ApiService, Service
from services.api.topology_terms import TopologyTerms
from shared.instants import format_instant
from shared.limits import ROWS_DEFAULT, ROWS_MAX
from shared.problem import Problem, problem_responses
from shared.words import METER_KINDS, REGISTERS

router = APIRouter(tags=["meters"])

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was last heard: per series, and per meter index what follows from it."""

    series: NewestColumns
    newest_s: Whole
    cadence_s: Whole
    silent: npt.NDArray[np.bool_]
    first_series: Whole
    """[M + 1] the place of each meter's first series."""


@router.get("/v1/meters", summary="Meters and what was last heard of them", responses=problem_responses(401, 404, 422))
async def meters(
    service: Service,
    zone: Annotated[str | None, Query(description="Only meters in this zone or below it.")] = None,
    silent: Annotated[bool | None, Query(description="Only the silent ones, or only those that are heard.")] = None,
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = ROWS_DEFAULT,
    cursor: Annotated[str | None, Query(description="`next` of the page before, with the same query.")] = None,
) -> MetersAnswer:
    """Meters that are valid now, by name. A meter is silent when none of its registers was heard in time."""
    terms = service.shelf.newest
    now_s = service.view.now_s()
    rows = _rows_asked(terms, zone, int(service.clock.now_s()) if now_s is None else now_s)
    heard = _heard(service, terms, now_s)
    if silent is not None:
        rows = rows[heard.silent[terms.topology.row_meter[rows]] == silent]
    names = terms.topology.meter
    ordered = sorted((names[terms.topology.row_meter[row]], int(row)) for row in rows)
    identity = ["meters", zone, silent]
    first = 0
    if cursor is not None:
        position = decode_cursor(identity, cursor)
        if not isinstance(position, str):
            raise Problem(422, "`cursor` is none of ours; take it from `next` as it is.")
        first = bisect_right(ordered, position, key=lambda item: item[0])
    page = ordered[first : first + limit]
    more = first + limit < len(ordered)
    return MetersAnswer(
        at=None if now_s is None else format_instant(now_s),
        rows=[_row(terms, row, heard, now_s) for _, row in page],
        next=encode_cursor(identity, page[-1][0]) if more else None,
    )


def _rows_asked(terms: TopologyTerms, zone: str | None, now_s: int) -> Whole:
    chosen = terms.rows_valid_at(now_s)
    if zone is not None:
        index = terms.zone_index.get(zone)
        if index is None:
            raise zone_not_found(zone)
        chosen = chosen & terms.below(index)[terms.topology.row_zone]
    return np.flatnonzero(chosen).astype(np.int64)


def _heard(service: ApiService, terms: TopologyTerms, now_s: int | None) -> _Heard:
    topology = terms.topology
    count = len(topology.meter)
    series = service.newest.of_series(topology.series_partition, topology.series_slot)
    newest_s = np.full(count, NOT_HEARD_S, np.int64)
    np.maximum.at(newest_s, topology.series_meter, series.ts_s)
    cadence_s = np.full(count, 2**62, np.int64)
    np.minimum.at(cadence_s, topology.series_meter, series.cadence_s)
    silent = np.ones(count, np.bool_)
    if now_s is not None:
        silent[topology.series_meter[series.in_time(now_s)]] = False
    first = np.searchsorted(topology.series_meter, np.arange(count + 1)).astype(np.int64)
    return _Heard(series, newest_s, cadence_s, silent, first)


def _row(terms: TopologyTerms, row: int, heard: _Heard, now_s: int | None) -> MeterRow:
    topology = terms.topology
    meter = int(topology.row_meter[row])
    newest_s = int(heard.newest_s[meter])
    was_heard = newest_s != NOT_HEARD_S
    series = range(int(heard.first_series[meter]), int(heard.first_series[meter + 1]))
    return MeterRow(
        meter=topology.meter[meter],
        zone=topology.zone[topology.row_zone[row]],
        kind=METER_KINDS[topology.row_kind[row]],
        newest_reading_at=format_instant(newest_s) if was_heard else None,
        age_s=max(now_s - newest_s, 0) if was_heard and now_s is not None else None,
        cadence_s=int(heard.cadence_s[meter]),
        silent=bool(heard.silent[meter]),
        newest=[
            NewestReading(
                register=REGISTERS[topology.series_register[place]],
                ts=format_instant(int(heard.series.ts_s[place])),
                value=int(heard.series.value[place]),
            )
            for place in series
            if heard.series.ts_s[place] != NOT_HEARD_S
        ],
    )
