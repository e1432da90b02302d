"""`bilans bench`: the benchmarks, each a sub-command in a file of its own."""

import os

import typer

from deploy.bench import drain, forecast, ingest, kernel, latency, peers, plot, recompute, restart, scale, signals
from deploy.bench import round as one_round
from deploy.cache_folder import kernel_cache_folder

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
    # Before any kernel is imported: Numba's own place for its cache does not see changes of other files.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(kernel_cache_folder()))


for _part in (kernel, drain, one_round, ingest, latency, restart, scale, peers, recompute, signals, forecast, plot):
    _part.register(bench)
