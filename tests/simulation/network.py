"""The network of a simulation: a few meters, and the changes that topologies make to them one after the other."""

from dataclasses import replace
from random import Random

import numpy as np

from shared.balance.placement import Placement, place
from shared.balance.reference import ReferenceBalance, ReferenceExchange, ReferencePlace, ReferenceSeries
from shared.topology.index import FOREVER_S, Topology, empty_topology
from shared.words import MeterKind, Register
from tests.unit.small_topology import small_topology

SLOTS = 6


def topologies(random: Random, begin_s: int, end_s: int, count: int) -> dict[int, Topology]:
    """Topologies 0 (empty) to `count`: a meter moves or is exchanged, a zone hangs elsewhere, the pool changes."""

    def some_instant() -> int:
        return random.randrange(begin_s // 450, end_s // 450) * 450 + random.choice((0, 0, 17))

    made = {0: empty_topology()}
    for number in range(1, count + 1):
        topology = small_topology(
            number,
            load_moves_at_s=random.choice((FOREVER_S, some_instant())),
            other_below_station=random.random() < 0.5,
        )
        pool = np.array([True, True, random.random() < 0.5, random.random() < 0.5])
        made[number] = replace(_exchanged(topology, random, some_instant()), row_pool=pool)
    return made


def _exchanged(topology: Topology, random: Random, at_s: int) -> Topology:
    """The same, perhaps with an exchange of the load's or the battery's register (rule 13)."""
    if random.random() < 0.4:
        return topology
    blank = random.random() < 0.3
    return replace(
        topology,
        exchange_series=np.array([random.choice((0, 3))], np.int32),
        exchange_at_s=np.array([at_s], np.int64),
        exchange_last_wh=np.array([0 if blank else random.randrange(3000)], np.int64),
        exchange_first_wh=np.array([0 if blank else random.randrange(100)], np.int64),
        exchange_blank=np.array([blank]),
    )


def reference_of(topology: Topology) -> ReferenceBalance:
    """The plain balance of the same network, without readings; zones by index."""
    placement = place(topology, 0, SLOTS)
    series = [_series(placement, slot) for slot in range(SLOTS)]
    return ReferenceBalance(series, topology.zone_parent.tolist())


def _series(placement: Placement, slot: int) -> ReferenceSeries:
    places = range(placement.first_place[slot], placement.first_place[slot + 1])
    exchanges = range(placement.first_exchange[slot], placement.first_exchange[slot + 1])
    kinds = {kind.code: kind for kind in MeterKind}
    return ReferenceSeries(
        next(register for register in Register if register.code == placement.register[slot]),
        tuple(
            ReferencePlace(
                int(placement.zone[p]),
                kinds[int(placement.kind[p])],
                bool(placement.pool[p]),
                int(placement.energy_wh_max[p]),
                int(placement.valid_from_s[p]),
                int(placement.valid_to_s[p]),
            )
            for p in places
        ),
        tuple(
            ReferenceExchange(int(placement.exchange_at_s[x]), None, None)
            if placement.exchange_blank[x]
            else ReferenceExchange(
                int(placement.exchange_at_s[x]),
                int(placement.exchange_last_wh[x]),
                int(placement.exchange_first_wh[x]),
            )
            for x in exchanges
        ),
    )
