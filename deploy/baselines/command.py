"""`bilans baseline evaluate`: what orders would have been held against over the last weeks, beside what came."""

import os
import time
from datetime import time as time_of_day
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from deploy.cache_folder import kernel_cache_folder
from deploy.forecast.zone_history import (
    DataDirOption,
    JsonOption,
    ReadingsOption,
    TopologyOption,
    WeeksOption,
    ZoneOption,
    read_zone_history,
)
from shared.errors import BilansError

baseline = typer.Typer(no_args_is_help=True, help="How good baselines of orders would have been.")

_MINUTES_A_WINDOW = 15


@baseline.callback()
def _baseline() -> None:
    """How good baselines of orders would have been."""


@baseline.command()
def evaluate(
    topology: TopologyOption = None,
    readings: ReadingsOption = None,
    data_dir: DataDirOption = None,
    zone: ZoneOption = "",
    weeks: WeeksOption = 13,
    at: Annotated[list[str] | None, typer.Option(help="Local time at which the event begins; may be repeated.")] = None,
    minutes: Annotated[int, typer.Option(min=15, max=1440, help="How long the event lasts.")] = 60,
    ahead_minutes: Annotated[int, typer.Option(min=0, max=2880, help="How long before it is ordered.")] = 60,
    as_json: JsonOption = False,
) -> None:
    """Puts an event that never was on each day of the last weeks, and holds each method's baseline to what came.

    The last columns are of what would have been chosen: by its error on placebo days, or meter-before for want of a
    method within 20 %. The last line is JSON.

    Example: ./bilans baseline evaluate --topology tests/data/homes --readings tests/data/homes/readings.parquet
    """
    # Before any kernel is imported: where `bilans up` keeps the compiled ones. Compiling them takes most of a minute.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(kernel_cache_folder()))
    from deploy.baselines.report import last_line, table_of
    from deploy.baselines.weeks import try_at

    began_s = time.perf_counter()
    times = [_local_time(text) for text in at or ["08:00", "12:00", "18:00"]]
    if minutes % _MINUTES_A_WINDOW:
        raise BilansError(f"--minutes is {minutes}.", "Set it to a multiple of 15: events are made of windows.")
    zone, history = read_zone_history(topology, readings, data_dir, zone, weeks)
    console = Console(stderr=True)
    shown = track(times, "times of the day", console=console, disable=as_json or not console.is_terminal)
    found = try_at(history, weeks, shown, minutes * 60, ahead_minutes * 60)
    trials = {f"{moment:%H:%M}": trial for moment, trial in found}
    if not as_json:
        title = f"{zone}, {weeks} weeks, events of {minutes} minutes, ordered {ahead_minutes} before"
        Console(width=None if console.is_terminal else 160).print(table_of(title, trials))
    print(last_line(zone, minutes, ahead_minutes, trials, time.perf_counter() - began_s), flush=True)


def _local_time(text: str) -> time_of_day:
    try:
        moment = time_of_day.fromisoformat(text)
    except ValueError as error:
        raise BilansError(f"--at {text!r} is no time of the day.", "Write it like 12:00.") from error
    if moment.tzinfo is not None or (moment.hour * 60 + moment.minute) % _MINUTES_A_WINDOW or moment.second:
        raise BilansError(f"--at {text!r} is not where a window begins.", "Write a local time like 12:15.")
    return moment
