"""A network for measuring signals: stations under feeders under a cluster, with storages, and what balancers tell."""

from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from services.api.live_view import LiveView
from services.api.newest_readings import NewestColumns, NewestReadings
from services.api.signals.asset_view import AssetView
from services.api.signals.outlooks import Outlooks
from services.api.signals.signal_board import SignalBoard
from services.api.signals.signals_sweep import SignalsSweep
from services.api.signals.zone_lights import ZoneLights
from services.api.topology_terms import TopologyTerms
from services.api.zone_answers import ZoneAnswers
from shared.clock import ManualClock
from shared.live_record import LiveRecord
from shared.topology.index import FOREVER_S, NEVER_S, NO_LIMIT_W, Topology, empty_topology
from shared.topology.rows import Asset
from shared.words import AssetKind, MeterKind, Register

FEEDER_ZONES = 25
"""A feeder and its stations."""
STATION_LIMIT_W = 200_000
PARTITIONS = 2
UP_KW, DOWN_KW, ENERGY_KWH = 8, 6, 10
COSTS = 50
"""Distinct costs."""
START_S = 1_777_888_800

_Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the API that make signals, fed by hand."""

    clock: ManualClock
    view: LiveView
    newest: NewestReadings
    board: SignalBoard
    sweep: SignalsSweep
    terms: TopologyTerms

    @property
    def topology(self) -> Topology:
        """The network."""
        return self.terms.topology


def make_parts(zones: int, assets: int) -> Parts:
    """The parts, on a network of so many zones and storages."""
    terms = TopologyTerms(_network(zones, assets))
    shelf: Any = SimpleNamespace(newest=terms)
    clock = ManualClock(float(START_S))
    view, newest = LiveView(clock, "wall"), NewestReadings()
    lights, outlooks = ZoneLights(), Outlooks()
    answers = ZoneAnswers(shelf, view, lights, outlooks)
    board = SignalBoard(shelf, view, AssetView(shelf, newest, view))
    sweep = SignalsSweep(answers, board, lights, outlooks)
    return Parts(clock, view, newest, board, sweep, terms)


def feed(parts: Parts, net_w: _Whole, content_wh: _Whole) -> None:
    """Every zone has `net_w` [Z] now, in equal parts from all partitions, and every storage `content_wh` [A]."""
    parts.clock.move(1)
    now_s, share_w = parts.clock.now_s(), (net_w // PARTITIONS).tolist()
    for zone, power_w in zip(parts.topology.zone, share_w, strict=True):
        for partition in range(PARTITIONS):
            parts.view.take(_record(zone, partition, power_w, now_s))
    for partition in range(PARTITIONS):
        mine = content_wh[partition::PARTITIONS]
        slots = np.arange(len(mine), dtype=np.int64)
        instants_s, cadence_s = np.full(len(mine), int(now_s)), np.full(len(mine), 60)
        chunk = NewestColumns(slots, instants_s, mine, cadence_s, np.zeros(len(mine), np.int64))
        parts.newest.put(partition, "0", chunk)


def _network(zones: int, assets: int) -> Topology:
    """A cluster, feeders below it, stations below them; a limit at each station; storages spread over the stations.

    Each zone has a meter of its own beside them, since a zone without any is stale.
    """
    number = np.arange(zones)
    is_feeder = (number - 1) % FEEDER_ZONES == 0
    parent = np.where(is_feeder, 0, 1 + (number - 1) // FEEDER_ZONES * FEEDER_ZONES)
    parent[0] = -1
    station = np.flatnonzero(~is_feeder & (number > 0))
    limit_w = np.full(zones, NO_LIMIT_W, np.int64)
    limit_w[station] = STATION_LIMIT_W
    meters, stores = np.arange(assets + zones, dtype=np.int32), np.arange(assets, dtype=np.int32)
    blank = np.full(zones, np.nan)
    return Topology(
        **{name: getattr(empty_topology(), name) for name in _LEFT_EMPTY},
        number=1,
        zone=[f"zone-{k}" for k in range(zones)],
        zone_id=number.astype(np.int32),
        zone_parent=parent.astype(np.int32),
        zone_kind=["station"] * zones,
        zone_name=[f"Zone {k}" for k in range(zones)],
        import_limit_w=limit_w,
        export_limit_w=limit_w,
        zone_lat=blank,
        zone_lon=blank,
        meter=[f"meter-{k}" for k in range(len(meters))],
        meter_id=meters,
        meter_home=(meters % PARTITIONS).astype(np.int16),
        row_meter=meters,
        row_zone=np.concatenate([station[stores % len(station)], number]).astype(np.int32),
        row_kind=np.full(len(meters), MeterKind.STORAGE.code, np.int8),
        row_member=[""] * len(meters),
        row_registers=np.full(len(meters), 1 << Register.STATE_OF_CHARGE.code, np.int8),
        row_max_wh=np.full(len(meters), 50_000, np.int64),
        row_pool=np.zeros(len(meters), np.bool_),
        row_valid_from_s=np.full(len(meters), NEVER_S),
        row_valid_to_s=np.full(len(meters), FOREVER_S),
        series_meter=stores,
        series_register=np.full(assets, Register.STATE_OF_CHARGE.code, np.int8),
        series_partition=(stores % PARTITIONS).astype(np.int16),
        series_slot=(stores // PARTITIONS).astype(np.int32),
        assets=[_storage(k) for k in range(assets)],
    )


_LEFT_EMPTY = (
    "members",
    "exchange_series",
    "exchange_at_s",
    "exchange_last_wh",
    "exchange_first_wh",
    "exchange_blank",
)


def _storage(k: int) -> Asset:
    return Asset(
        asset=f"asset-{k:06}",
        meter=f"meter-{k}",
        kind=AssetKind.STORAGE,
        up_kw=Decimal(UP_KW),
        down_kw=Decimal(DOWN_KW),
        energy_kwh=Decimal(ENERGY_KWH),
        efficiency=None,
        cost_per_mwh=Decimal(40 + k % COSTS),
        reserve_kwh=None,
        due_kwh=None,
        due_at=None,
        rebound=None,
    )


def _record(zone: str, partition: int, power_w: int, now_s: float) -> LiveRecord:
    return LiveRecord(
        zone=zone,
        partition=partition,
        epoch=1,
        topology=1,
        now_s=int(now_s),
        written_at_s=now_s,
        last_received_at_s=now_s,
        meters=10**6,
        heard=10**6,  # of all meters that the network has
        newest_s=int(now_s),
        withdrawn_w=max(power_w, 0),
        injected_w=max(-power_w, 0),
        charged_w=0,
        discharged_w=0,
        soc_wh=None,
        window_start_s=None,
        withdrawn_wh=0,
        injected_wh=0,
        charged_wh=0,
        discharged_wh=0,
        withdrawn_expected_wh=0,
        injected_expected_wh=0,
        charged_expected_wh=0,
        discharged_expected_wh=0,
    )
