"""`bilans bench forecast`: one forecast of all zones of a network from its history, with and without learning."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.report import Report, show


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(forecast)


def forecast(
    zones: Annotated[int, typer.Option(min=1, help="How many zones; the rural network has 107.")] = 107,
    days: Annotated[int, typer.Option(min=14, help="Days of history; the service keeps 112.")] = 112,
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Measures what a forecast of 48 hours costs once the history is read; needs no Kafka or PostgreSQL.

    The first forecast is with learning, as once a local day, the next one without, as each quarter of an hour. Zones
    that are forecast alone must get the same.

    Example: ./bilans bench forecast --zones 1000
    """
    from deploy.bench.forecast_run import forecast_zones

    report = Report("forecast", {"zones": zones, "days": days})
    run = forecast_zones(zones, days)
    report.exact = run.unlike_zones == 0 and run.without_forecast == 0
    report.checks = {"unlike_zones": run.unlike_zones, "without_forecast": run.without_forecast}
    report.figures = {
        "first_cpu_ms": round(1000 * run.first_cpu_s, 1),
        "first_ms": round(1000 * run.first_s, 1),
        "next_cpu_ms": round(1000 * run.next_cpu_s, 1),
        "next_ms": round(1000 * run.next_s, 1),
    }
    raise typer.Exit(show(report, save))
