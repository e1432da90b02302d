"""`bilans baseline evaluate`: what orders would have been held against over the last weeks, beside what came."""

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import time as time_of_day
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from deploy.cache_folder import kernel_cache_folder
from deploy.running_system import find_database
from shared.errors import BilansError

if TYPE_CHECKING:
    from shared.forecast.history import History

baseline = typer.Typer(no_args_is_help=True, help="How good baselines of orders would have been.")

_MINUTES_A_WINDOW = 15
_LEARNT_FROM_DAYS = 112
"""What is read before the weeks that are evaluated: a season for forecasts, and what days are compared with."""


@baseline.callback()
def _baseline() -> None:
    """How good baselines of orders would have been."""


@baseline.command()
def evaluate(
    topology: Annotated[Path | None, typer.Option(help="A topology's folder, with --readings.")] = None,
    readings: Annotated[Path | None, typer.Option(help="A readings file of that topology.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Instead of files: data folder of a running system; else BILANS_DATABASE_URL.")
    ] = None,
    zone: Annotated[str, typer.Option(help="The zone; the root where none is given.")] = "",
    weeks: Annotated[int, typer.Option(min=1, max=104, help="How many weeks, up to the newest day.")] = 13,
    at: Annotated[list[str] | None, typer.Option(help="Local time at which the event begins; may be repeated.")] = None,
    minutes: Annotated[int, typer.Option(min=15, max=1440, help="How long the event lasts.")] = 60,
    ahead_minutes: Annotated[int, typer.Option(min=0, max=2880, help="How long before it is ordered.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print nothing but the line of JSON.")] = False,
) -> None:
    """Puts an event that never was on each day of the last weeks, and holds each method's baseline to what came.

    The last columns are of what would have been chosen: by its error on placebo days, or meter-before for want of a
    method within 20 %. The last line is JSON.

    Example: ./bilans baseline evaluate --topology tests/data/homes --readings tests/data/homes/readings.parquet
    """
    # Before any kernel is imported: where `bilans up` keeps the compiled ones. Compiling them takes most of a minute.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(kernel_cache_folder()))
    from deploy.baselines.report import last_line, table_of
    from deploy.baselines.weeks import only_zone, try_at

    began_s = time.perf_counter()
    times = [_local_time(text) for text in at or ["08:00", "12:00", "18:00"]]
    if minutes % _MINUTES_A_WINDOW:
        raise BilansError(f"--minutes is {minutes}.", "Set it to a multiple of 15: events are made of windows.")
    zones, whole = _read(topology, readings, data_dir, 7 * weeks + _LEARNT_FROM_DAYS)
    zone = zone or zones[0]
    if zone not in zones:
        raise BilansError(f"There is no zone {zone!r}.", f"Zones are {', '.join(zones[:5])} …")
    history = only_zone(whole, zones.index(zone))
    console = Console(stderr=True)
    shown = track(times, "times of the day", console=console, disable=as_json or not console.is_terminal)
    found = try_at(history, weeks, shown, minutes * 60, ahead_minutes * 60)
    trials = {f"{moment:%H:%M}": trial for moment, trial in found}
    if not as_json:
        title = f"{zone}, {weeks} weeks, events of {minutes} minutes, ordered {ahead_minutes} before"
        Console(width=None if console.is_terminal else 160).print(table_of(title, trials))
    print(last_line(zone, minutes, ahead_minutes, trials, time.perf_counter() - began_s), flush=True)


def _read(
    topology: Path | None, readings: Path | None, data_dir: Path | None, days: int
) -> tuple[Sequence[str], "History"]:
    """All zones, and their history from files or from the tables of a running system."""
    if (topology is None) != (readings is None):
        raise BilansError("--topology and --readings go together.", "Give both, or --data-dir alone.")
    if topology is not None and readings is not None:
        from deploy.forecast.from_files import read_history as from_files

        return from_files(topology, readings)
    from deploy.forecast.from_database import read_history as from_database

    return asyncio.run(from_database(find_database(data_dir, os.environ), days))


def _local_time(text: str) -> time_of_day:
    try:
        moment = time_of_day.fromisoformat(text)
    except ValueError as error:
        raise BilansError(f"--at {text!r} is no time of the day.", "Write it like 12:00.") from error
    if moment.tzinfo is not None or (moment.hour * 60 + moment.minute) % _MINUTES_A_WINDOW or moment.second:
        raise BilansError(f"--at {text!r} is not where a window begins.", "Write a local time like 12:15.")
    return moment
