"""`bilans bench peers`: the same job on the same topic of the same Kafka, one after another, each in its processes."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.report import Report, show
from shared.errors import BilansError

READINGS = 1_000_000
METERS = 10_000


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(peers)


def peers(
    readings: Annotated[int, typer.Option(help="Messages on the topic, each with one reading.")] = READINGS,
    meters: Annotated[int, typer.Option(help="Meters of the synthetic cluster.")] = METERS,
    only: Annotated[
        list[str] | None,
        typer.Option(help="bilans, loop, quixstreams, bytewax or kafka-streams; may be repeated.", show_default=False),
    ] = None,
    partitions: Annotated[int, typer.Option(help="Partitions of the topic.")] = 4,
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Quarter-hourly sums of each zone from JSON readings, as Bilans and as its peers work them out.

    1 % of the readings come twice, 1 % late, and the answer must be exact: a peer whose answer is wrong gets no speed.
    The peers do less (deploy/bench/peer_job.py says what). A peer that is not installed is listed as that.

    Example: ./bilans bench peers --readings 2000000 --only bilans --only kafka-streams --save bench.jsonl
    """
    from deploy.bench.peers_run import BILANS, COLUMNS, PeersOptions, check_names, run_peers
    from deploy.bench.progress import BenchProgress
    from deploy.bench.stack import run

    options = PeersOptions(readings, meters, partitions, check_names(only or []))
    report = Report(
        "peers",
        {
            "readings": readings,
            "meters": meters,
            "partitions": partitions,
            "only": " ".join(options.names),
        },
        columns=COLUMNS,
    )
    with BenchProgress() as progress:
        rows = run(run_peers(options, progress))
    if not any(row.seconds is not None for row in rows):
        raise BilansError(f"None of these ran: {rows[0].name}: {rows[0].note}.")
    # What a peer gets wrong is its own affair: it is told so, and gets no speed.
    report.exact = all(row.exact for row in rows if row.name == BILANS) and any(row.exact for row in rows)
    report.checks = {f"{row.figure_name}_difference_wh": row.difference_wh for row in rows if row.seconds is not None}
    report.rows = [row.cells() for row in rows]
    report.figures = {f"{row.figure_name}_readings_per_second": row.readings_per_second for row in rows if row.exact}
    raise typer.Exit(show(report, save))
