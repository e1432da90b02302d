"""`bilans replay`: sends a readings file to a running system."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.replay.pacing import parse_speed
from deploy.replay.report import ReplayReport
from deploy.replay.run import Order, Replay, ReplayOptions
from deploy.running_system import RunningSystem, find_running_system
from shared.errors import BilansError

EXIT_INTERRUPTED = 130


def replay(
    file: Annotated[Path, typer.Argument(help="Readings: Parquet, CSV or gzipped CSV.", show_default=False)],
    data_dir: Annotated[
        Path | None, typer.Option(help="Data folder of the running system; else BILANS_API and BILANS_INGEST.")
    ] = None,
    speed: Annotated[str, typer.Option(help="max, realtime, or a multiple of real time like 60x.")] = "max",
    order: Annotated[str, typer.Option(help="time: by the readings' instants; file: as they stand.")] = "time",
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when all, late readings too, is in the published balance.")
    ] = False,
    api_key: Annotated[
        str, typer.Option(envvar="BILANS_API_KEY", help="The system's key, where it has one.", show_default=False)
    ] = "",
) -> None:
    """Sends a readings file to a running Bilans; the last line on stdout is JSON.

    Example: ./bilans replay readings.parquet --data-dir bilans-data --wait
    """
    system = find_running_system(data_dir, os.environ)
    options = ReplayOptions(file=file, speed=parse_speed(speed), order=_order(order), wait=wait, api_key=api_key)
    raise typer.Exit(asyncio.run(_run(options, system)))


def _order(text: str) -> Order:
    if text == "time":
        return "time"
    if text == "file":
        return "file"
    raise BilansError(f"--order {text} is not understood.", "Give time or file.")


async def _run(options: ReplayOptions, system: RunningSystem) -> int:
    """Runs to the end, an error or Ctrl-C; prints the last line in each case once something was sent."""
    run = Replay(options, system)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, run.stop)
    try:
        report = await run.run()
    except BilansError:
        failed = run.report_of_failure()
        if failed.sent:
            _print(failed)
        raise
    _print(report)
    return EXIT_INTERRUPTED if run.stopped else 0


def _print(report: ReplayReport) -> None:
    if rejections := report.rejections():
        print(f"Rejected: {rejections}. `./bilans rejected list` shows them.", file=sys.stderr)
    if report.books.pending > 0:
        print(
            f"{report.books.pending:,} late readings are not in the balance yet; they come by themselves.",
            file=sys.stderr,
        )
    print(report.last_line(), flush=True)
