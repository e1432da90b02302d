"""`bilans forecast evaluate`: forecasts as they would have been issued over the last weeks, held to what came."""

import asyncio
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from deploy.cache_folder import kernel_cache_folder
from deploy.running_system import find_database
from shared.errors import BilansError

forecast = typer.Typer(no_args_is_help=True, help="How good forecasts of net power would have been.")

_LEARNT_FROM_DAYS = 112
"""What is read before the weeks that are evaluated: a season to learn from, and some weeks to know what is usual."""


@forecast.callback()
def _forecast() -> None:
    """How good forecasts of net power would have been."""


@forecast.command()
def evaluate(
    topology: Annotated[Path | None, typer.Option(help="A topology's folder, with --readings.")] = None,
    readings: Annotated[Path | None, typer.Option(help="A readings file of that topology.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Instead of files: data folder of a running system; else BILANS_DATABASE_URL.")
    ] = None,
    zone: Annotated[str, typer.Option(help="The zone; the root where none is given.")] = "",
    weeks: Annotated[int, typer.Option(min=1, max=104, help="How many weeks, up to the newest day.")] = 13,
    as_json: Annotated[bool, typer.Option("--json", help="Print nothing but the line of JSON.")] = False,
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
    if (topology is None) != (readings is None):
        raise BilansError("--topology and --readings go together.", "Give both, or --data-dir alone.")
    if topology is not None and readings is not None:
        from deploy.forecast.from_files import read_history as from_files

        zones, whole = from_files(topology, readings)
    else:
        from deploy.forecast.from_database import read_history as from_database

        days = 7 * weeks + _LEARNT_FROM_DAYS
        zones, whole = asyncio.run(from_database(find_database(data_dir, os.environ), days))
    zone = zone or zones[0]
    if zone not in zones:
        raise BilansError(f"There is no zone {zone!r}.", f"Zones are {', '.join(zones[:5])} …")
    only = slice(zones.index(zone), zones.index(zone) + 1)
    history = whole.of(only)
    first, end = newest_weeks(history, weeks)
    console = Console(stderr=True)

    def follow(local_days: Iterable[int]) -> Iterable[int]:
        return track(list(local_days), "days", console=console, disable=as_json or not console.is_terminal)

    scores = scores_by_horizon(walk_forward(history, first, end, follow), 0)
    if not as_json:
        Console(width=None if console.is_terminal else 160).print(table_of(f"{zone}, {weeks} weeks", scores))
    print(last_line(zone, scores, time.perf_counter() - began_s), flush=True)
