"""`bilans bench signals`: one look at all zones together, and what thousands of assets hold."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.report import Report, show


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(signals)


def signals(
    zones: Annotated[int, typer.Option(min=10, help="Zones of the network.")] = 1000,
    assets: Annotated[int, typer.Option(min=1, help="Storages, spread over the stations.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that are measured.")] = 20,
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Measures a round of signals, in which every zone and every asset has changed, from memory to JSON.

    Told are median rounds, by the clock and in processor time: of all zones without any assets (lights, headroom,
    JSON); what all assets hold in every zone (newest readings to columns); and both together, with cost curves and
    JSON. Each round's envelopes are held against sums in plain Python.

    Example: ./bilans bench signals --zones 1000 --assets 10000
    """
    from deploy.bench.progress import BenchProgress
    from deploy.bench.signals_run import measure_signals

    report = Report("signals", {"zones": zones, "assets": assets, "rounds": rounds})
    report.columns = ("what", "ms", "cpu_ms")
    with BenchProgress() as progress:
        progress.step(f"{zones:,} zones without assets")
        bare = measure_signals(zones, 0, rounds)
        progress.step(f"{zones:,} zones with {assets:,} assets")
        full = measure_signals(zones, assets, rounds)
    for what, timing in (
        ("round", bare.whole),
        ("envelope", full.envelope),
        ("round_with_assets", full.whole),
    ):
        report.rows.append((what, timing.ms, timing.cpu_ms))
        report.figures |= {f"{what}_ms": timing.ms, f"{what}_cpu_ms": timing.cpu_ms}
    report.figures["bytes_a_zone"] = full.bytes_a_zone
    report.checks = {"difference_w": bare.difference_w + full.difference_w}
    report.exact = report.checks["difference_w"] == 0
    raise typer.Exit(show(report, save))
