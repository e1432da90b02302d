"""`bilans demo`: everything on this machine, a replayed week, the live page; nothing is left of it afterwards."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as RichConsole

from deploy.console import Console
from deploy.demo_week import endless_weeks
from deploy.embedded.ports import remembered_ports
from deploy.replay.ahead import read_ahead
from deploy.replay.pacing import paced
from deploy.replay.sender import ReadingSender, encode_lanes
from deploy.running_system import RunningSystem
from deploy.supervisor import Supervisor
from deploy.up_options import UpOptions
from shared.limits import QUARTER_S

RURAL_WEEK = Path(__file__).with_name("rural_week")
SPEED = float(QUARTER_S)
"""A quarter of an hour a second."""


class Story(StrEnum):
    """What the demo can tell."""

    CONGESTION = "congestion"


_REMOVER = Path(__file__).with_name("remove_when_left.py")


def demo(
    port: Annotated[int, typer.Option(help="Port of the API and the live page.")] = 8000,
    story: Annotated[
        Story | None, typer.Option(help="Tell a story: a congestion that flexibility holds, with simulated assets.")
    ] = None,
) -> None:
    """Runs Bilans with a rural network of 6,936 meters, a quarter of an hour a second, until Ctrl-C.

    It starts empty each time, and its data are removed at the end.

    Examples: ./bilans demo · ./bilans demo --story congestion
    """
    with _temporary_folder() as folder:
        (ingest_port,) = _another_port(folder, port)
        options = UpOptions(
            data_dir=folder / "data", topology=RURAL_WEEK, port=port, ingest_port=ingest_port, clock="event"
        )
        asyncio.run(Supervisor(options, Console()).run(_feed if story is None else _tell_congestion))


async def _feed(system: RunningSystem) -> None:
    """Says what is to be seen, then sends the weeks until it is cancelled."""
    _show_what_is_there(system)
    stop = asyncio.Event()  # never set: the supervisor cancels this task
    sender = ReadingSender(system.ingest, "", stop)
    try:
        weeks = read_ahead(endless_weeks(RURAL_WEEK / "readings.parquet"))
        async for chunk in paced(weeks, SPEED, stop):
            await sender.send(await asyncio.to_thread(encode_lanes, chunk))
    finally:
        await sender.close()


async def _tell_congestion(system: RunningSystem) -> None:
    """Tells the story of a congestion, then sends the weeks on until it is cancelled."""
    from deploy.story.congestion import STATION, tell

    _show_what_is_there(system)
    RichConsole(stderr=True, highlight=False).print(f"  The story is about the station {STATION}.\n")
    await tell(system, RURAL_WEEK)


def _show_what_is_there(system: RunningSystem) -> None:
    console = RichConsole(stderr=True, highlight=False)
    api = system.api
    console.print(
        f"\n  [bold]{api}[/bold]  the live page: a week of June 2016, a quarter of an hour each second\n"
        f"  {api}/v1/zones/CLUSTER/live\n"
        f"  {api}/v1/zones/CLUSTER/balance?from=2016-06-06T00:00:00Z&to=2016-06-13T00:00:00Z&resolution=hour\n"
        f"  {api}/docs  all that can be asked\n"
        "  Ctrl-C ends it and removes its data.\n",
        soft_wrap=True,
    )


def _another_port(folder: Path, taken: int) -> list[int]:
    """A free port other than `taken`, for ingest."""
    return [port for port in remembered_ports(folder / "ports.json", 2) if port != taken][:1]


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder that is removed at the end, also when this process is killed: then by one that waits for that."""
    folder = Path(tempfile.mkdtemp(prefix="bilans-demo-"))
    # A session of its own: Ctrl-C in the terminal must not end it.
    command = [sys.executable, "-S", "-E", str(_REMOVER), str(folder)]
    remover = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, cwd="/")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        assert remover.stdin is not None
        remover.stdin.close()
        remover.wait()
