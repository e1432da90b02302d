"""Runs simulated lives: `python -m tests.simulation SEED`, or `--seeds N` for the seeds 0 to N − 1."""

import asyncio
import logging
import sys
from typing import Annotated

import typer
from rich.progress import track

from tests.simulation.world import simulate


def run(
    seed: Annotated[int | None, typer.Argument(help="The seed to replay.", show_default=False)] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds, from 0 on.")] = 500,
) -> None:
    """Simulates a partition's life: log, store and owners, with the faults that the seed decides.

    Example: python -m tests.simulation 1234
    """
    logging.disable(logging.WARNING if seed is None else logging.NOTSET)
    chosen = range(seeds) if seed is None else [seed]
    failed = 0
    for one in track(chosen, description="simulated lives"):
        try:
            life = asyncio.run(simulate(one))
        except AssertionError as error:
            failed += 1
            print(f"seed {one}: {error}; replay it with: python -m tests.simulation {one}", file=sys.stderr)
        else:
            if seed is not None:
                print(life)
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(run)
