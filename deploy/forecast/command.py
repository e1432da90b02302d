"""`bilans forecast evaluate`: forecasts as they would have been issued over the last weeks, held to what came."""

import os
import time
from collections.abc import Iterable

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

forecast = typer.Typer(no_args_is_help=True, help="How good forecasts of net power would have been.")


@forecast.callback()
def _forecast() -> None:
    """How good forecasts of net power would have been."""


@forecast.command()
def evaluate(
    topology: TopologyOption = None,
    readings: ReadingsOption = None,
    data_dir: DataDirOption = None,
    zone: ZoneOption = "",
    weeks: WeeksOption = 13,
    as_json: JsonOption = False,
) -> None:
    """Issues a forecast every three hours of the last weeks, each from what was before it, and scores them by horizon.

    Errors are those of mean power in a quarter of an hour. Day-ahead are the forecasts issued at 00:00 for that day and
    at 12:00 for the next, local time. Skill is 1 - MAE / MAE of the seasonal naive forecast. The last line is JSON.

    Example: ./bilans forecast evaluate --topology tests/data/homes --readings tests/data/homes/readings.parquet
    """
    # Before any kernel is imported: where `bilans up` keeps the compiled ones. Compiling them takes most of a minute.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(kernel_cache_folder()))
    from deploy.forecast.report import last_line, scores_by_horizon, table_of
    from shared.forecast.walk_forward import newest_weeks, walk_forward

    began_s = time.perf_counter()
    zone, history = read_zone_history(topology, readings, data_dir, zone, weeks)
    first, end = newest_weeks(history, weeks)
    console = Console(stderr=True)

    def follow(local_days: Iterable[int]) -> Iterable[int]:
        return track(list(local_days), "days", console=console, disable=as_json or not console.is_terminal)

    scores = scores_by_horizon(walk_forward(history, first, end, follow), 0)
    if not as_json:
        Console(width=None if console.is_terminal else 160).print(table_of(f"{zone}, {weeks} weeks", scores))
    print(last_line(zone, scores, time.perf_counter() - began_s), flush=True)
