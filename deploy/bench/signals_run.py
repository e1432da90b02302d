"""The measurement of signals: rounds in which everything changed, and what they must say worked out in plain Python."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import orjson

from deploy.bench.signals_network import DOWN_KW, ENERGY_KWH, PARTITIONS, UP_KW, Parts, feed, make_parts
from services.api.signals.live_table import zones_now
from services.api.signals.signals_sweep import ZoneSignal
from shared.words import LightState

_WARM_ROUNDS = 2
_MINUTES = (15, 60, 240)

_Result = TypeVar("_Result")
_Whole = npt.NDArray[np.int64]


@dataclass(slots=True)
class Timing:
    """How long something took, each time."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    @property
    def ms(self) -> float:
        """The median in milliseconds by the clock."""
        return round(statistics.median(self.seconds) * 1000, 2)

    @property
    def cpu_ms(self) -> float:
        """The median in milliseconds of processor time."""
        return round(statistics.median(self.cpu_seconds) * 1000, 2)

    def of(self, work: Callable[[], _Result]) -> _Result:
        """Does the work and notes how long it took."""
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        result = work()
        self.seconds.append(time.perf_counter() - began_s)
        self.cpu_seconds.append(time.thread_time() - began_cpu_s)
        return result


@dataclass(frozen=True, slots=True)
class SignalsRun:
    """What rounds over one network took."""

    envelope: Timing
    """From the newest readings to what every zone can hold."""
    whole: Timing
    """From live records and newest readings to the JSON of every zone."""
    bytes_a_zone: int
    difference_w: int
    """Sum of all differences between what was told and what must be."""


def measure_signals(zones: int, assets: int, rounds: int) -> SignalsRun:
    """Measures `rounds` rounds over so many zones and assets, and checks each."""
    parts = make_parts(zones, assets)
    envelope, whole = Timing(), Timing()
    chance = np.random.default_rng(0)
    difference_w, size = 0, 0
    for number in range(_WARM_ROUNDS + rounds):
        net_w = chance.integers(-190_000, 190_000, zones) // PARTITIONS * PARTITIONS
        content_wh = chance.integers(0, ENERGY_KWH * 1000 + 1, assets)
        feed(parts, net_w, content_wh)
        envelope.of(partial(parts.board.envelopes, zones_now(parts.view, parts.terms)))
        told, bodies = whole.of(partial(_round, parts))
        difference_w += _difference_w(parts, told, net_w, content_wh)
        size = sum(map(len, bodies))
        if number == _WARM_ROUNDS - 1:
            envelope, whole = Timing(), Timing()
    return SignalsRun(envelope, whole, size // zones, difference_w)


def _round(parts: Parts) -> tuple[Sequence[ZoneSignal], Sequence[bytes]]:
    told = parts.sweep.sweep(everything=False)
    return told, [orjson.dumps(one.answer) for one in told]


def _difference_w(parts: Parts, told: Sequence[ZoneSignal], net_w: _Whole, content_wh: _Whole) -> int:
    """How far what was told is from what must be; a zone that was not told counts with all it has, and one W."""
    zone = parts.topology.row_zone[: len(content_wh)].tolist()
    held = {"up": (UP_KW * 1000, content_wh), "down": (DOWN_KW * 1000, ENERGY_KWH * 1000 - content_wh)}
    limit_w = parts.topology.import_limit_w.tolist()
    by_zone = {one.zone: one for one in told}
    difference = 0
    for name, (power_w, energy_wh) in held.items():
        flow_w = (net_w if name == "down" else -net_w).tolist()
        room_w = [max(limit - flow, 0) if limit >= 0 else 2**62 for limit, flow in zip(limit_w, flow_w, strict=True)]
        for number, minutes in enumerate(_MINUTES):
            each_w = [min(power_w, energy * 60 // minutes) for energy in energy_wh.tolist()]
            expected_w = _clipped(parts, zone, each_w, room_w)
            for index, most_w in enumerate(expected_w):
                one = by_zone.get(parts.topology.zone[index])
                found_w = -1 if one is None else round(one.answer["envelope"][number][f"{name}_kw"] * 1000)  # type: ignore[index]
                difference += abs(found_w - most_w)
    return difference + sum(_wrong_state(by_zone, parts, index, net_w) for index in range(len(net_w)))


def _clipped(parts: Parts, zone: list[int], each_w: list[int], room_w: list[int]) -> list[int]:
    """What each zone can hold: sums from below, cut off by each zone's room, and by that of the zones above."""
    parent = parts.topology.zone_parent.tolist()
    total_w = [0] * len(parent)
    for where, power_w in zip(zone, each_w, strict=True):
        total_w[where] += power_w
    above_w = list(room_w)
    for index in range(len(parent) - 1, -1, -1):
        total_w[index] = min(total_w[index], room_w[index])
        if parent[index] >= 0:
            total_w[parent[index]] += total_w[index]
    for index, up in enumerate(parent):
        if up >= 0:
            above_w[index] = min(above_w[index], above_w[up])
    return [min(own_w, most_w) for own_w, most_w in zip(total_w, above_w, strict=True)]


def _wrong_state(by_zone: dict[str, ZoneSignal], parts: Parts, index: int, net_w: _Whole) -> int:
    """1 where a zone above 80 % of its limit is not amber, or one is stale; one that was above may still be amber."""
    one, limit_w = by_zone.get(parts.topology.zone[index]), int(parts.topology.import_limit_w[index])
    if one is None:
        return 1
    above = limit_w >= 0 and 100 * abs(int(net_w[index])) > 80 * limit_w
    return int(one.state is not LightState.AMBER if above else one.state not in (LightState.GREEN, LightState.AMBER))
