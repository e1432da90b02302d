"""`bilans bench ingest`: readings a second from a sender's hands to the log's acknowledgement."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from deploy.bench.report import Report, show

_PER_MESSAGE = {"ndjson": 20_000, "arrow": 65_536, "json-topic": 1}
"""Bodies of 2 MB, as a head-end or `replay` sends them; a reading a message, as a meter's gateway does."""


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(ingest)


def ingest(
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["ndjson", "arrow", "json-topic"], typer.Option(help="Bodies over HTTP, or bilans.readings.json.")
    ] = "ndjson",
    seconds: Annotated[float, typer.Option(help="How long is sent over HTTP.")] = 10.0,
    readings: Annotated[int, typer.Option(help="How many stand in the JSON topic.")] = 3_000_000,
    per_message: Annotated[
        int | None,
        typer.Option(help="Readings a body (ndjson 20,000, arrow 65,536) or a message (1).", show_default=False),
    ] = None,
    meters: Annotated[int, typer.Option(help="Meters of the synthetic cluster.")] = 100_000,
    senders: Annotated[int, typer.Option(help="Processes that send over HTTP.")] = 2,
    connections: Annotated[int, typer.Option(help="Keep-alive connections of each of them.")] = 2,
    partitions: Annotated[int, typer.Option(help="Partitions of the topics.")] = 4,
    balancer: Annotated[bool, typer.Option("--balancer", help="A balancer handles them at the same time.")] = False,
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Measures how many readings a second ingest takes into the log, and that each is there once.

    Example: ./bilans bench ingest --format arrow --seconds 20
    """
    from deploy.bench.ingest_run import IngestOptions, ingest_once
    from deploy.bench.progress import BenchProgress
    from deploy.bench.stack import run

    size = per_message or _PER_MESSAGE[format]
    options = IngestOptions(format, seconds, readings, size, meters, senders, connections, partitions, balancer)
    report = Report("ingest", asdict(options))
    with BenchProgress() as progress:
        outcome = run(ingest_once(options, progress))
    report.exact = outcome.log.exact
    report.checks = asdict(outcome.log)
    report.figures = {
        "readings_per_second": round(outcome.readings / outcome.seconds),
        "megabytes_per_second": round(outcome.bytes / outcome.seconds / 1e6, 1),
        "readings": outcome.readings,
        "seconds": round(outcome.seconds, 3),
        "refused_requests": outcome.refused,
        **_request_times(outcome.request_s),
        "rss_bytes": outcome.rss_bytes,
        **{f"{name}_cpu_seconds": round(used_s, 2) for name, used_s in outcome.cpu_seconds.items()},
    }
    raise typer.Exit(show(report, save))


def _request_times(request_s: list[float]) -> dict[str, float]:
    if not request_s:
        return {}
    import numpy as np

    p50, p99 = np.percentile(request_s, [50, 99]) * 1000
    return {"request_p50_ms": round(float(p50), 1), "request_p99_ms": round(float(p99), 1)}
