"""All zones now, as columns: what `zone_live.work_out` says of power and staleness, for all of them at once."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.api.live_view import LiveView
from services.api.topology_terms import TopologyTerms
from services.api.zone_live import silence
from shared.live_record import LiveRecord

_Whole = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ZonesNow:
    """Z zones now, a column each."""

    now_s: int | None
    net_w: _Whole
    """[Z] positive for import; 0 where nothing is known."""
    known: _Mask
    """[Z] whether anything has been heard of the zone."""
    stale: _Mask
    """[Z] by the rule of design section 3."""
    import_limit_w: _Whole
    """[Z] negative: none."""
    export_limit_w: _Whole


def zones_now(view: LiveView, terms: TopologyTerms) -> ZonesNow:
    """All zones of `terms` now."""
    now_s, topology = view.now_s(), terms.topology
    zones = len(topology.zone)
    rows = list(_rows(view, terms.zone_index))
    table = np.array(rows, np.int64).reshape(-1, 5)
    zone, heard, known_by, net_w, awake = table.T
    meters = terms.meters_at(int(view.wall_s) if now_s is None else now_s)
    heard_meters = np.zeros(zones, np.int64)
    np.add.at(heard_meters, zone, heard * awake)
    heard_meters = np.minimum(heard_meters, meters)
    net = np.zeros(zones, np.int64)
    np.add.at(net, zone, net_w * known_by)
    known = np.zeros(zones, np.bool_)
    known[zone[known_by > 0]] = True
    stale = (heard_meters == 0) | (2 * heard_meters < meters)
    if now_s is None:
        stale[:] = True
    return ZonesNow(now_s, net, known, stale, topology.import_limit_w, topology.export_limit_w)


def _rows(view: LiveView, zone_index: dict[str, int]) -> Iterable[tuple[int, int, bool, int, bool]]:
    """Of each record: zone, meters heard, whether anything is known, net power, whether its meters may count."""
    wall_s, event_mode = view.wall_s, view.event_mode
    for record in view.records():
        index = zone_index.get(record.zone)
        if index is not None:
            counts = not silence(record, wall_s, event_mode)
            yield index, record.heard, record.newest_s is not None, _net_w(record), counts


def _net_w(record: LiveRecord) -> int:
    return record.withdrawn_w + record.charged_w - record.injected_w - record.discharged_w
