"""The history that an evaluation looks at: of one zone, from files or from a running system; and its options."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.running_system import find_database
from shared.errors import BilansError

if TYPE_CHECKING:
    from shared.forecast.history import History

TopologyOption = Annotated[Path | None, typer.Option(help="A topology's folder, with --readings.")]
ReadingsOption = Annotated[Path | None, typer.Option(help="A readings file of that topology.")]
DataDirOption = Annotated[
    Path | None, typer.Option(help="Instead of files: data folder of a running system; else BILANS_DATABASE_URL.")
]
ZoneOption = Annotated[str, typer.Option(help="The zone; the root where none is given.")]
WeeksOption = Annotated[int, typer.Option(min=1, max=104, help="How many weeks, up to the newest day.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print nothing but the line of JSON.")]

_BEFORE_DAYS = 112
"""What is read before the weeks that are evaluated: a season for forecasts, and what days are compared with."""


def read_zone_history(
    topology: Path | None, readings: Path | None, data_dir: Path | None, zone: str, weeks: int
) -> "tuple[str, History]":
    """The zone (the root where `zone` is empty) and its history, over `weeks` and what goes before them.

    Raises BilansError when the options do not go together, nothing is found, or there is no such zone.
    """
    zones, whole = _read(topology, readings, data_dir, 7 * weeks + _BEFORE_DAYS)
    zone = zone or zones[0]
    if zone not in zones:
        raise BilansError(f"There is no zone {zone!r}.", f"Zones are {', '.join(zones[:5])} …")
    place = zones.index(zone)
    return zone, whole.of(slice(place, place + 1))


def _read(
    topology: Path | None, readings: Path | None, data_dir: Path | None, days: int
) -> "tuple[Sequence[str], History]":
    if (topology is None) != (readings is None):
        raise BilansError("--topology and --readings go together.", "Give both, or --data-dir alone.")
    if topology is not None and readings is not None:
        from deploy.forecast.from_files import read_history as from_files

        return from_files(topology, readings)
    from deploy.forecast.from_database import read_history as from_database

    return asyncio.run(from_database(find_database(data_dir, os.environ), days))
