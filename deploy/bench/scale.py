"""`bilans bench scale`: what more partitions and balancers bring, and how time grows with what is to be done."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.report import Report, show


class Growth(StrEnum):
    """What may grow."""

    PARTS = "parts"
    READINGS = "readings"
    METERS = "meters"
    ZONES = "zones"
    WINDOWS = "windows"


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(scale)


def scale(
    by: Annotated[
        list[Growth] | None,
        typer.Option(help="What grows; may be given again. Else all of it.", show_default=False),
    ] = None,
    readings: Annotated[int, typer.Option(help="Readings of a run in the middle.")] = 10_000_000,
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Drains a full log (as `bench drain` does) again and again, while one thing grows. All of it takes 20 minutes.

    Example: ./bilans bench scale --by parts --save bench.jsonl
    """
    from deploy.bench.drain_run import drain_once
    from deploy.bench.progress import BenchProgress
    from deploy.bench.scale_steps import steps
    from deploy.bench.stack import run

    report = Report("scale", {"by": " ".join(by) if by else "all", "readings": readings})
    report.columns = ("by", "what", "seconds", "readings_per_second", "rows", "cpu_seconds", "balancer_cpu_seconds")
    difference_wh, all_right = 0, True
    for step in steps(readings, by or list(Growth)):
        with BenchProgress() as progress:
            progress.step(f"by {step.by}: {step.what}")
            outcome = run(drain_once(step.options, progress))
        difference_wh += outcome.published.difference_wh
        all_right = all_right and outcome.exact
        ours = {name: used for name, used in outcome.cpu_seconds.items() if name not in ("bench", "elsewhere")}
        balancers = sum(used for name, used in ours.items() if name.startswith("balancer"))
        per_second = round(step.options.readings / outcome.seconds)
        row = (step.by, step.what, outcome.seconds, per_second, outcome.published.rows, sum(ours.values()), balancers)
        report.rows.append(row)
    report.exact = all_right
    report.checks = {"difference_wh": difference_wh}
    raise typer.Exit(show(report, save))
