"""`GET /v1/zones` and `GET /v1/zones/{zone}`: the network's tree."""

import math
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from services.api.answers import ZoneAnswer, ZoneRow, ZonesAnswer, zone_not_found
from services.api.cursor import decode_cursor, encode_cursor
from services.api.kilowatts import kilowatts, limit_w
from services.api.service import ApiService, Service
from services.api.topology_terms import TopologyTerms
from shared.limits import ROWS_DEFAULT, ROWS_MAX
from shared.problem import Problem, problem_responses
from shared.words import METER_KINDS, MeterKind, ZoneKind

router = APIRouter(tags=["zones"])


@router.get("/v1/zones", summary="The network's tree", responses=problem_responses(401, 422))
async def zones(
    service: Service,
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = ROWS_DEFAULT,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> ZonesAnswer:
    """All zones of the topology in force, each followed by the zones below it."""
    terms = service.shelf.newest
    names = terms.topology.zone
    identity = ["zones", terms.topology.number]
    first = 0
    if cursor is not None:
        position = decode_cursor(identity, cursor)
        if not isinstance(position, int) or not 0 <= position <= len(names):
            raise Problem(422, "`cursor` is none of ours; take it from `next` as it is.")
        first = position
    last = min(first + limit, len(names))
    meters, boundary = _meters(service, terms)
    return ZonesAnswer(
        topology=terms.topology.number,
        rows=[_row(terms, index, meters, boundary) for index in range(first, last)],
        next=encode_cursor(identity, last) if last < len(names) else None,
    )


@router.get("/v1/zones/{zone}", summary="One zone", responses=problem_responses(401, 404))
async def zone(service: Service, zone: str) -> ZoneAnswer:
    """A zone, its path from the root, the zones directly below it, and how many meters of each kind it has."""
    terms = service.shelf.newest
    topology = terms.topology
    index = terms.zone_index.get(zone)
    if index is None:
        raise zone_not_found(zone)
    path = [index]
    while topology.zone_parent[path[-1]] >= 0:
        path.append(int(topology.zone_parent[path[-1]]))
    meters, boundary = _meters(service, terms)
    return ZoneAnswer(
        **_row(terms, index, meters, boundary).model_dump(),
        topology=topology.number,
        path=[topology.zone[step] for step in reversed(path)],
        children=[topology.zone[child] for child in np.flatnonzero(topology.zone_parent == index)],
        meters_by_kind=_meters_by_kind(service, terms, index),
    )


def _now_s(service: ApiService) -> int:
    now_s = service.view.now_s()
    return int(service.clock.now_s()) if now_s is None else now_s


def _meters(service: ApiService, terms: TopologyTerms) -> tuple[list[int], list[int]]:
    """Meters in each zone or below, and the zone's own boundary meters, valid now; by zone index."""
    topology = terms.topology
    now_s = _now_s(service)
    boundary = terms.rows_valid_at(now_s) & (topology.row_kind == MeterKind.BOUNDARY.code)
    own = np.bincount(topology.row_zone[boundary], minlength=len(topology.zone))
    return terms.meters_at(now_s).tolist(), own.tolist()


def _meters_by_kind(service: ApiService, terms: TopologyTerms, index: int) -> dict[MeterKind, int]:
    topology = terms.topology
    rows = terms.rows_valid_at(_now_s(service)) & terms.below(index)[topology.row_zone]
    counts = np.bincount(topology.row_kind[rows], minlength=len(METER_KINDS))
    return {
        kind: int(counts[kind.code]) for kind in METER_KINDS if counts[kind.code] and kind is not MeterKind.BOUNDARY
    }


def _row(terms: TopologyTerms, index: int, meters: list[int], boundary: list[int]) -> ZoneRow:
    topology = terms.topology
    parent = int(topology.zone_parent[index])
    return ZoneRow(
        zone=topology.zone[index],
        parent=topology.zone[parent] if parent >= 0 else None,
        kind=ZoneKind(topology.zone_kind[index]),
        name=topology.zone_name[index],
        import_limit_kw=kilowatts(limit_w(int(topology.import_limit_w[index]))),
        export_limit_kw=kilowatts(limit_w(int(topology.export_limit_w[index]))),
        lat=_degrees(float(topology.zone_lat[index])),
        lon=_degrees(float(topology.zone_lon[index])),
        meters=meters[index],
        boundary_meters=boundary[index],
    )


def _degrees(degrees: float) -> float | None:
    return None if math.isnan(degrees) else degrees
