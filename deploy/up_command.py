"""`bilans up`: runs the whole system on this machine."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from deploy.console import Console
from deploy.supervisor import Supervisor
from deploy.up_options import UpOptions


def up(
    topology: Annotated[
        Path | None, typer.Option(help="Folder with zones.csv, meters.csv …; without it the one loaded before.")
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="Where everything is stored; made where it is missing.")] = Path(
        "bilans-data"
    ),
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than loopback needs BILANS_API_KEY.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the API and the live page.")] = 8000,
    ingest_port: Annotated[int, typer.Option(help="Port that takes readings.")] = 8001,
    balancers: Annotated[int, typer.Option(help="How many balancers share the partitions.")] = 1,
    clock: Annotated[
        Literal["wall", "event"], typer.Option(help="What `now` is: the wall clock, or the readings' time.")
    ] = "wall",
    auth: Annotated[
        Literal["on", "off"] | None, typer.Option(help="Whether BILANS_API_KEY is demanded; off only on loopback.")
    ] = None,
    fuse: Annotated[
        Literal["on", "off"] | None,
        typer.Option(help="Whether the JSON topic is stopped when nearly all of it is bad; off is for tests."),
    ] = None,
) -> None:
    """Runs Bilans with its own Kafka and PostgreSQL until Ctrl-C; what it stored is there the next time.

    With BILANS_KAFKA and BILANS_DATABASE_URL set, those are used instead. Prints one line `ready` when it can serve.

    Example: ./bilans up --topology my-cluster --data-dir bilans-data
    """
    options = UpOptions(
        data_dir=data_dir.absolute(),
        topology=topology.absolute() if topology else None,
        host=host,
        port=port,
        ingest_port=ingest_port,
        balancers=balancers,
        clock=clock,
        auth=None if auth is None else auth == "on",
        fuse=None if fuse is None else fuse == "on",
    )
    asyncio.run(Supervisor(options, Console()).run())
