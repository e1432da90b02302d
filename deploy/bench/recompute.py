"""`bilans bench recompute`: many weeks of the rural network from the archive to all totals of all zones and windows."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.report import Report, show

WEEKS = 52


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(recompute)


def recompute(
    weeks: Annotated[int, typer.Option(min=1, help="How often the week is repeated; registers rise on.")] = WEEKS,
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of the log.")] = 4,
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Measures how fast `bilans verify` recomputes all totals from a compacted archive; needs no Kafka or PostgreSQL.

    Every zone and window is held against totals worked out from the week's energies. A year takes 320 MB of disk and
    2 GB of memory.

    Example: ./bilans bench recompute --weeks 4
    """
    from deploy.bench.progress import BenchProgress
    from deploy.bench.recompute_run import recompute_weeks

    report = Report("recompute", {"weeks": weeks, "partitions": partitions})
    with BenchProgress() as progress:
        run = recompute_weeks(weeks, partitions, progress)
    report.exact = run.difference_wh == 0 and run.missing_readings == 0
    report.checks = {
        "difference_wh": run.difference_wh,
        "missing_readings": run.missing_readings,
        "rows": run.rows,
    }
    report.figures = {
        "readings": run.readings,
        "series": run.series,
        "readings_per_second": round(run.readings / run.seconds),
        "seconds": round(run.seconds, 2),
        "reading_seconds": round(run.reading_seconds, 2),
        "counting_seconds": round(run.counting_seconds, 2),
        "cpu_seconds": round(run.cpu_seconds, 2),
        "archived_readings": run.archived_readings,
        "archive_bytes": run.archive_bytes,
        "rss_bytes": run.rss_bytes,
    }
    raise typer.Exit(show(report, save))
