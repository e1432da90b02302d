"""`bilans bench drain`: readings that stand in Kafka, from the first fetch to the last row committed in PostgreSQL."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from deploy.bench.report import Report, show

READINGS_ARROW = 20_000_000
READINGS_JSON = 3_000_000
"""A few seconds of work on a small machine: long enough that the first and last half second do not decide."""


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(drain)


def drain(
    readings: Annotated[
        int | None, typer.Option(help="How many; else a few seconds' work.", show_default=False)
    ] = None,
    meters: Annotated[int, typer.Option(help="Meters of the synthetic cluster.")] = 100_000,
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["arrow", "json"], typer.Option(help="arrow: the log; json: bilans.readings.json, through ingest.")
    ] = "arrow",
    per_message: Annotated[
        int | None, typer.Option(help="Readings a message: json 1, arrow 32,768 at most.", show_default=False)
    ] = None,
    partitions: Annotated[int, typer.Option(help="Partitions of the topics.")] = 4,
    balancers: Annotated[int, typer.Option(help="How many balancers share them.")] = 1,
    clock: Annotated[
        Literal["wall", "event"],
        typer.Option(help="wall: every window has ended and gets revisions; event: now goes with the readings."),
    ] = "wall",
    warm_rounds: Annotated[
        int, typer.Option(min=1, help="Rounds committed before; with 192 the balancer's memory of 48 hours is full.")
    ] = 1,
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Measures how fast a full log becomes committed rows; 1 % of the readings come twice, 1 % late.

    Example: ./bilans bench drain --format json --per-message 100 --readings 5000000
    """
    from deploy.bench.drain_run import DrainOptions, drain_once
    from deploy.bench.progress import BenchProgress
    from deploy.bench.stack import run
    from shared.limits import MESSAGE_READINGS_MAX

    options = DrainOptions(
        readings=readings or (READINGS_ARROW if format == "arrow" else READINGS_JSON),
        meters=meters,
        format=format,
        per_message=per_message or (MESSAGE_READINGS_MAX if format == "arrow" else 1),
        partitions=partitions,
        balancers=balancers,
        clock=clock,
        warm_rounds=warm_rounds,
    )
    report = Report("drain", asdict(options))
    with BenchProgress() as progress:
        outcome = run(drain_once(options, progress))
    report.exact = outcome.exact
    report.checks = {
        "difference_wh": outcome.published.difference_wh,
        "rows": outcome.published.rows,
        "messages_left": outcome.messages_left,
        "received": outcome.outcomes["received"],
        "delivered": outcome.deliveries,
    }
    per_second = options.readings / outcome.seconds
    report.figures = {
        "readings_per_second": round(per_second),
        "raw_readings_per_second": round(outcome.raw.readings_per_second),
        "ratio_of_raw": round(per_second / outcome.raw.readings_per_second, 3),
        "seconds": round(outcome.seconds, 3),
        "archive_lag": outcome.archive_lag,
        "archived_seconds": round(outcome.archived_seconds, 3),
        "rss_bytes": outcome.rss_bytes,
        **{f"{name}_cpu_seconds": round(seconds, 2) for name, seconds in outcome.cpu_seconds.items()},
        "raw_cpu_seconds": round(outcome.raw.cpu_seconds, 2),
    }
    raise typer.Exit(show(report, save))
