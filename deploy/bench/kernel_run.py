"""The kernel's measurement: rounds of regular quarters of an hour, whose sums are known by arithmetic."""

import statistics
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.balance.changes import MEASURED, Changes, clear, empty_changes
from shared.balance.held import with_more_room
from shared.balance.kernel import MEMORY_FULL, apply_readings
from shared.balance.memory import GAPS, Int8Array, Int32Array, Int64Array, SeriesMemory, empty_memory
from shared.balance.placement import Placement, regular_records, with_regular
from shared.balance.reference import ReferenceBalance, ReferencePlace, ReferenceSeries
from shared.limits import MEMORY_S, QUARTER_S
from shared.words import MeterKind, Outcome, Register

ZONE_SERIES = 200
"""Series of a zone: a transformer station's customers."""
START_S = 1_767_225_600
"""2026-01-01T00:00:00Z."""
_LARGE_SERIES, _SHORT_MEMORY_S = 2_000_000, 3600
"""More series than this remember an hour: 48 hours of 12 million would be 38 GB."""
_WARM_ROUNDS = GAPS + 2
"""Rounds before the measured ones: the pages are there then, and the cadence is known."""
_REFERENCE_SERIES, _REFERENCE_ROUNDS = 500, 8
_COPY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KernelRun:
    """What one number of series in one order took."""

    series: int
    ns: float
    """Nanoseconds a reading, by the clock: the median round."""
    cpu_ns: float
    """The same in processor time, which other work on the machine disturbs less."""
    state_bytes: float | None
    """Bytes of memory and placement a series."""
    difference_wh: int
    """Sum of all differences between what was counted and what must be."""


def measure_kernel(series: int, rounds: int, *, shuffled: bool) -> KernelRun:
    """Measures `rounds` rounds of `series` readings each, and checks every sum."""
    memory, placement = empty_memory(series), regular_placement(series)
    changes = empty_changes(1 << (2 * (series // ZONE_SERIES + 1) - 1).bit_length())
    slots = np.arange(series, dtype=np.int32)
    if shuffled:
        slots = np.random.default_rng(0).permutation(slots)
    version, outcome = np.zeros(series, np.int32), np.zeros(series, np.int8)
    took: list[tuple[float, float]] = []
    memory_s = MEMORY_S if series <= _LARGE_SERIES else _SHORT_MEMORY_S
    difference_wh = 0
    for number in range(_WARM_ROUNDS + rounds):
        instants_s = np.full(series, START_S + number * QUARTER_S, np.int64)
        outcome[:] = 0
        columns = (slots, instants_s, value_wh(slots, number), version)
        memory, seconds, cpu_seconds = _apply(memory, placement, changes, columns, outcome, memory_s)
        if number >= _WARM_ROUNDS:
            took.append((seconds, cpu_seconds))
        difference_wh += _difference_wh(changes, series, number)
        clear(changes)
    ns, cpu_ns = (round(statistics.median(column) / series * 1e9, 2) for column in zip(*took, strict=True))
    return KernelRun(
        series,
        ns,
        cpu_ns,
        state_bytes=round(_bytes(memory, placement) / series, 1),
        difference_wh=difference_wh,
    )


def _apply(
    memory: SeriesMemory,
    placement: Placement,
    changes: Changes,
    columns: tuple[Int32Array, Int64Array, Int64Array, Int32Array],
    outcome: Int8Array,
    memory_s: int,
) -> tuple[SeriesMemory, float, float]:
    """Applies a round; the memory after, and the seconds and processor seconds that it took."""
    began_s, began_cpu_s = time.perf_counter(), time.thread_time()
    reached, outcomes = 0, np.zeros(len(Outcome), np.int64)
    while reached < len(outcome):
        reached = apply_readings(memory, placement, changes, *columns, reached, memory_s, outcome, outcomes)
        if reached < len(outcome):
            assert outcome[reached] == MEMORY_FULL, outcome[reached]
            memory = with_more_room(memory, memory_s)
    return memory, time.perf_counter() - began_s, time.thread_time() - began_cpu_s


def regular_placement(series: int) -> Placement:
    """Consumers, ZONE_SERIES of them side by side in each zone."""
    zones = -(-series // ZONE_SERIES)
    none = np.zeros(0, np.int64)
    return with_regular(
        Placement(
            regular=regular_records(0),
            register=np.full(series, Register.WITHDRAWN.code, np.int8),
            meter=np.arange(series, dtype=np.int32),
            first_place=np.arange(series + 1, dtype=np.int32),
            zone=(np.arange(series) // ZONE_SERIES).astype(np.int32),
            kind=np.full(series, MeterKind.CONSUMER.code, np.int8),
            pool=np.zeros(series, np.int8),
            energy_wh_max=np.full(series, 10_000, np.int64),
            valid_from_s=np.zeros(series, np.int64),
            valid_to_s=np.full(series, 2**62, np.int64),
            zone_parent=np.full(zones, -1, np.int32),
            zone_id=np.arange(zones, dtype=np.int32),
            first_exchange=np.zeros(series + 1, np.int32),
            exchange_at_s=none,
            exchange_last_wh=none,
            exchange_first_wh=none,
            exchange_blank=none.astype(np.int8),
        )
    )


def value_wh(slots: npt.NDArray[np.integer], number: int) -> Int64Array:
    """The registers in a round: each rises by 10 to 98 Wh a quarter, in its own way."""
    wide = slots.astype(np.int64)
    values: Int64Array = wide % 97 * 1000 + number * (wide % 89 + 10)
    return values


def _difference_wh(changes: Changes, series: int, number: int) -> int:
    """How far a round's changes are from what they must be; a row too many, or one too few, counts with all it has."""
    energy_wh = np.arange(series) % 89 + 10 if number else np.zeros(series, np.int64)
    begins = np.arange(0, series, ZONE_SERIES)
    expected, counted = np.add.reduceat(energy_wh, begins), np.minimum(series - begins, ZONE_SERIES) * (number > 0)
    used = int(changes.used[0])
    found_wh, found = np.zeros(len(begins), np.int64), np.zeros(len(begins), np.int64)
    right = changes.window_s[:used] == START_S + (number - 1) * QUARTER_S
    np.add.at(found_wh, changes.zone[:used][right], changes.sums[:used, 2 * MeterKind.CONSUMER.code][right])
    np.add.at(found, changes.zone[:used][right], changes.sums[:used, MEASURED][right])
    stray_wh = np.abs(changes.sums[:used][~right]).sum()
    return int(np.abs(found_wh - expected).sum() + np.abs(found - counted).sum() + stray_wh)


def _bytes(memory: SeriesMemory, placement: Placement) -> int:
    per_series = (placement.regular, placement.register, placement.first_place, placement.first_exchange)
    return sum(array.nbytes for array in (*memory, *per_series))


def measure_reference() -> KernelRun:
    """Measures the plain reference in Python at the same job, which is what the kernel is held equal to."""
    places = [ReferencePlace(k // ZONE_SERIES, MeterKind.CONSUMER, False, 10_000) for k in range(_REFERENCE_SERIES)]
    zones = places[-1].zone + 1
    balance = ReferenceBalance([ReferenceSeries(Register.WITHDRAWN, (place,)) for place in places], [-1] * zones)
    slots = np.arange(_REFERENCE_SERIES)
    began_s, began_cpu_s = time.perf_counter(), time.thread_time()
    for number in range(_REFERENCE_ROUNDS):
        for slot, value in zip(slots.tolist(), value_wh(slots, number).tolist(), strict=True):
            balance.apply(slot, START_S + number * QUARTER_S, value, 0)
    totals = balance.totals()
    readings = _REFERENCE_SERIES * _REFERENCE_ROUNDS
    ns, cpu_ns = (time.perf_counter() - began_s) / readings * 1e9, (time.thread_time() - began_cpu_s) / readings * 1e9
    expected_wh = int((slots % 89 + 10).sum()) * (_REFERENCE_ROUNDS - 1)
    found_wh = sum(sums[2 * MeterKind.CONSUMER.code] for sums in totals.values())
    return KernelRun(_REFERENCE_SERIES, round(ns), round(cpu_ns), None, abs(found_wh - expected_wh))


def copy_bytes_per_second() -> float:
    """How fast one core copies memory, read and written bytes together: the bound of any kernel that goes in order."""
    source, target = np.ones(_COPY_BYTES, np.uint8), np.ones(_COPY_BYTES, np.uint8)
    took = []
    for _ in range(5):
        began_s = time.perf_counter()
        np.copyto(target, source)
        took.append(time.perf_counter() - began_s)
    return 2 * _COPY_BYTES / min(took)
