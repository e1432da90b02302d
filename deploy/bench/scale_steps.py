"""The runs of `bilans bench scale`: one thing grows, the others stand as far as they can."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.bench.drain_run import DrainOptions
from shared.limits import MESSAGE_READINGS_MAX

_METERS = 100_000
_SERIES_A_METER = 1.25
_ROUNDS = 80
_PARTS = ((1, 1), (2, 1), (4, 1), (2, 2), (4, 2), (4, 4))
"""Partitions and balancers."""
_FACTORS = (0.25, 0.5, 1, 2)
_STATION_METERS = (1000, 400, 200, 100, 50)


@dataclass(frozen=True, slots=True)
class Step:
    """One drain: what grows, and where it stands."""

    by: str
    what: str
    options: DrainOptions


def steps(readings: int, wanted: Sequence[str]) -> Iterator[Step]:
    """The runs, by what grows, in `wanted`'s order."""
    for by in wanted:
        for what, options in _KINDS[by](readings):
            yield Step(by, what, options)


def _options(
    readings: float, meters: float = _METERS, *, partitions: int = 4, balancers: int = 1, station_meters: int = 200
) -> DrainOptions:
    return DrainOptions(
        int(readings),
        int(meters),
        per_message=MESSAGE_READINGS_MAX,
        partitions=partitions,
        balancers=balancers,
        station_meters=station_meters,
    )


def _parts(readings: int) -> Iterator[tuple[str, DrainOptions]]:
    for partitions, balancers in _PARTS:
        what = f"{partitions} partitions, {balancers} balancers"
        yield what, _options(readings, partitions=partitions, balancers=balancers)


def _readings(readings: int) -> Iterator[tuple[str, DrainOptions]]:
    for factor in _FACTORS:
        yield f"{int(factor * readings)}", _options(factor * readings)


def _meters(readings: int) -> Iterator[tuple[str, DrainOptions]]:
    """So many meters, each with the same number of readings."""
    for factor in _FACTORS:
        meters = factor * readings / _ROUNDS / _SERIES_A_METER
        yield f"{int(meters)}", _options(factor * readings, meters)


def _zones(readings: int) -> Iterator[tuple[str, DrainOptions]]:
    """The same meters in more and more stations."""
    for station_meters in _STATION_METERS:
        yield f"{_METERS // station_meters}", _options(readings, station_meters=station_meters)


def _windows(readings: int) -> Iterator[tuple[str, DrainOptions]]:
    """The same readings of fewer and fewer meters, in as many zones: more and more windows."""
    for factor in (1, 2, 4, 8):
        meters = _METERS / factor
        windows = int(readings / meters / _SERIES_A_METER)
        yield f"{windows}", _options(readings, meters, station_meters=200 // factor)


_KINDS = {"parts": _parts, "readings": _readings, "meters": _meters, "zones": _zones, "windows": _windows}
