"""`bilans bench`: the benchmarks, each a sub-command in a file of its own."""

from importlib import import_module
from importlib.util import find_spec

import typer

_PARTS = ("kernel", "drain", "ingest", "latency", "restart", "scale", "peers", "recompute", "plot")
"""Modules of this package; each has `register(app)`, which adds its sub-command."""

bench = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Measures Bilans on this machine. Each checks that the answer is right before it tells a speed.",
)


@bench.callback()
def _bench() -> None:
    """Measures Bilans on this machine: progress and a table for people, one JSON object as the last line.

    Every run has a Kafka, a PostgreSQL and a data folder of its own, and leaves nothing behind. A wrong answer is
    told as such, without a speed, and ends with exit code 1.

    Example: ./bilans bench drain --readings 20000000 --meters 100000 --save bench.jsonl
    """


for _part in _PARTS:
    if find_spec(f"deploy.bench.{_part}") is not None:
        import_module(f"deploy.bench.{_part}").register(bench)
