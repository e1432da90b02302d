"""`bilans bench kernel`: nanoseconds a reading under the exact edge rule, series in order and shuffled."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.report import Report, show

SERIES = [10_000, 1_000_000, 12_000_000]


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(kernel)


def kernel(
    series: Annotated[
        list[int] | None, typer.Option(help="Number of series; may be given again. Else 10 thousand, 1 and 12 million.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that are measured, one reading of each series.")] = 7,
    save: Annotated[Path | None, typer.Option(help="Add the JSON line to this file.", show_default=False)] = None,
) -> None:
    """Measures the balance kernel alone; beside it the plain reference, and how fast this machine copies memory.

    A round is one quarter of an hour of every series. Told is the median round, by the clock and in processor time.

    Example: ./bilans bench kernel --series 1000000
    """
    from deploy.bench.kernel_run import copy_bytes_per_second, measure_kernel, measure_reference
    from deploy.bench.progress import BenchProgress

    counts = series or SERIES
    report = Report("kernel", {"rounds": rounds, "series": " ".join(map(str, counts))})
    report.columns = ("series", "order", "ns_a_reading", "cpu_ns_a_reading", "state_bytes_a_series")
    differences = 0
    with BenchProgress() as progress:
        for count in counts:
            for order in ("in order", "shuffled"):
                progress.step(f"{count:,} series, {order}")
                run = measure_kernel(count, rounds, shuffled=order == "shuffled")
                differences += run.difference_wh
                report.rows.append((count, order, run.ns, run.cpu_ns, run.state_bytes))
                report.figures[f"ns_{order.replace(' ', '_')}_{count}"] = run.ns
        progress.step("the plain reference")
        reference = measure_reference()
        report.rows.append((reference.series, "plain reference", reference.ns, reference.cpu_ns, None))
        report.figures["ns_reference"] = reference.ns
        progress.step("copying memory")
        bandwidth = copy_bytes_per_second()
        report.rows.append((None, f"copies {bandwidth / 1e9:.1f} GB/s", None, None, None))
        report.figures["copy_bytes_per_second"] = round(bandwidth)
    report.checks = {"difference_wh": differences + reference.difference_wh}
    report.exact = report.checks["difference_wh"] == 0
    raise typer.Exit(show(report, save))
