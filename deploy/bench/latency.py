"""`bilans bench latency`: how soon a reading is on the live topic and in a committed row, at a fixed rate."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from deploy.bench.report import Figure, Report, show

if TYPE_CHECKING:
    from deploy.bench.latency_samples import Float64Array

_PERCENTS = {"p50": 50.0, "p99": 99.0, "p99_9": 99.9, "max": 100.0}
_MICROSECONDS_MAX = 3_600_000_000


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(latency)


def latency(
    rate: Annotated[int, typer.Option(help="Readings a second, offered whatever is taken.")] = 100_000,
    seconds: Annotated[float, typer.Option(help="How long is counted.")] = 30.0,
    warm_seconds: Annotated[float, typer.Option(help="How long is sent before that.")] = 5.0,
    per_request: Annotated[int, typer.Option(help="Readings a request.")] = 1_000,
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["ndjson", "arrow"], typer.Option(help="The form of the bodies.")
    ] = "ndjson",
    meters: Annotated[int, typer.Option(help="Meters of the synthetic cluster.")] = 100_000,
    partitions: Annotated[int, typer.Option(help="Partitions of the topics.")] = 4,
    balancers: Annotated[int, typer.Option(help="How many balancers share them.")] = 1,
    clock: Annotated[
        Literal["wall", "event"],
        typer.Option(help="wall: every window has ended and gets revisions; event: now goes with the readings."),
    ] = "wall",
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Measures the time from a request being due to its acknowledgement, to the live topic, and to committed rows.

    Requests go out at fixed instants (an open loop). A round of all meters is a quarter of an hour later than the one
    before, so with each round windows end everywhere: at 100,000 readings a second and meters some 700 times real time.

    Example: ./bilans bench latency --rate 50000 --seconds 60
    """
    from deploy.bench.latency_run import LatencyOptions, latency_once
    from deploy.bench.progress import BenchProgress
    from deploy.bench.stack import run

    options = LatencyOptions(rate, seconds, warm_seconds, per_request, format, meters, partitions, balancers, clock)
    report = Report("latency", asdict(options))
    with BenchProgress() as progress:
        outcome = run(latency_once(options, progress))
    report.checks = {"difference_wh": outcome.published.difference_wh, "unseen": outcome.unseen}
    report.exact = outcome.published.difference_wh == outcome.unseen == 0
    report.columns = ("milliseconds", "samples", *_PERCENTS)
    report.figures = {"offered_per_second": rate, "achieved_per_second": round(outcome.achieved_rate)}
    for name, times_s in (
        ("acknowledged", outcome.acknowledged_s),
        ("live", outcome.live_s),
        ("committed", outcome.committed_s),
    ):
        if report.exact:
            found = _percentiles_ms(times_s)
            report.rows.append((name, len(times_s), *found.values()))
            report.figures |= {f"{name}_{percent}_ms": figure for percent, figure in found.items()}
    report.figures |= {f"{name}_cpu_seconds": round(used_s, 2) for name, used_s in outcome.cpu_seconds.items()}
    raise typer.Exit(show(report, save))


def _percentiles_ms(times_s: "Float64Array") -> dict[str, Figure]:
    """By HdrHistogram, to three digits."""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram(1, _MICROSECONDS_MAX, 3)
    for microseconds in (times_s * 1e6).astype(int).tolist():
        histogram.record_value(max(1, microseconds))
    return {name: round(histogram.get_value_at_percentile(percent) / 1000, 1) for name, percent in _PERCENTS.items()}
