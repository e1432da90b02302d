"""`bilans bench restart`: from the death of a balancer to the moment at which it has caught up."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.report import Report, show


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(restart)


def restart(
    meters: Annotated[int, typer.Option(help="Meters of the synthetic cluster.")] = 100_000,
    hours: Annotated[int, typer.Option(min=1, help="Hours of readings in memory when it dies.")] = 48,
    kills: Annotated[int, typer.Option(min=1, help="How often it is killed.")] = 3,
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Measures kill -9 of the only balancer, started again at once, to all that was sent meanwhile being committed.

    Example: ./bilans bench restart --meters 10000 --hours 4
    """
    from deploy.bench.progress import BenchProgress
    from deploy.bench.restart_run import RestartOptions, restart_once
    from deploy.bench.stack import run

    report = Report("restart", {"meters": meters, "hours": hours, "kills": kills})
    with BenchProgress() as progress:
        outcome = run(restart_once(RestartOptions(meters, hours, kills), progress))
    report.exact = outcome.difference_wh == 0
    report.checks = {"difference_wh": outcome.difference_wh}
    report.figures = {
        "caught_up_seconds_longest": round(max(outcome.caught_up_s), 2),
        "caught_up_seconds": ", ".join(f"{seconds:.2f}" for seconds in outcome.caught_up_s),
        "checkpoint_bytes": outcome.checkpoint_bytes,
        "rss_bytes": outcome.rss_bytes,
    }
    raise typer.Exit(show(report, save))
