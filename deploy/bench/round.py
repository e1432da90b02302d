"""`bilans bench round`: one round of readings of all meters of a distribution network, from Kafka to rows."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.report import Report, show


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(round)


def round(  # noqa: A001 - the name of the sub-command
    meters: Annotated[int, typer.Option(help="Meters, each with both energy registers, 200 a station.")] = 6_000_000,
    partitions: Annotated[int, typer.Option(help="Partitions of the topics.")] = 4,
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Measures how long one reading of every series takes from Kafka to committed rows; 1 % come twice, 1 % late.

    With six million meters it takes some ten minutes, most of them for what comes before: loading the topology.

    Example: ./bilans bench round --meters 600000
    """
    from deploy.bench.progress import BenchProgress
    from deploy.bench.round_run import RoundOptions, round_once
    from deploy.bench.stack import run

    options = RoundOptions(meters, partitions)
    report = Report("round", asdict(options))
    with BenchProgress() as progress:
        outcome = run(round_once(options, progress))
    report.exact = outcome.exact
    report.checks = {
        "difference_wh": outcome.published.difference_wh,
        "rows": outcome.published.rows,
        "messages_left": outcome.messages_left,
        "received": outcome.outcomes["received"],
        "delivered": outcome.deliveries,
    }
    report.figures = {
        "seconds": outcome.seconds,
        "series": outcome.series,
        "readings_per_second": int(outcome.series / outcome.seconds),
        "rss_bytes": outcome.rss_bytes,
        **{f"{name}_seconds": seconds for name, seconds in outcome.before_seconds.items()},
        **{f"{name}_cpu_seconds": used for name, used in outcome.cpu_seconds.items()},
    }
    report.figures = {
        name: float(f"{figure:.4g}") if isinstance(figure, float) else figure for name, figure in report.figures.items()
    }
    raise typer.Exit(show(report, save))
