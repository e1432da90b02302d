"""`bilans topology`: checks a folder of CSV files, and loads it into a running system."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from shared.topology.check import check_folder
from shared.topology.rows import TopologyErrors

topology = typer.Typer(no_args_is_help=True, help="Checks and loads a folder of zones and meters.")

EXIT_WRONG = 2

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of zones.csv, meters.csv …", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON on standard output.")]

_errors = Console(stderr=True, highlight=False, soft_wrap=True)


@topology.command()
def check(folder: _Folder, as_json: _Json = False) -> None:
    """Checks a folder as a whole and says everything that is wrong, with file and line; changes nothing.

    Example: ./bilans topology check my-cluster
    """
    with _explained(as_json), _errors.status(f"checking {folder}"):
        content = check_folder(folder)
    counts = {
        "zones": len(content.zones),
        "members": len(content.members),
        "meter_rows": len(content.meters),
        "assets": len(content.assets),
        "exchanges": len(content.exchanges),
    }
    if as_json:
        _print_json({"errors": [], **counts})
    else:
        print(f"{folder} is right: {_listed(counts)}.")


@topology.command()
def load(
    folder: _Folder,
    data_dir: Annotated[
        Path | None, typer.Option(help="Data folder of the running system; else BILANS_KAFKA and BILANS_DATABASE_URL.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when older windows are recomputed, too (asks the API).")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds to wait for the services once it is loaded.", show_default="60; with --wait 3600"),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Checks a folder and loads it whole or not at all; returns when every running service follows it.

    The same content as the topology in force changes nothing.

    Example: ./bilans topology load my-cluster --data-dir bilans-data --wait
    """
    from deploy.topology_loading import load_and_wait

    begun = time.monotonic()
    with _explained(as_json), _errors.status("looking for the database") as status:
        loaded = asyncio.run(load_and_wait(folder, data_dir, wait=wait, timeout_s=timeout, show=status.update))
    seconds = round(time.monotonic() - begun, 2)
    counts = asdict(loaded.counts)
    if as_json:
        _print_json({"topology": loaded.number, "changed": loaded.changed, **counts, "seconds": seconds})
    elif loaded.changed:
        print(f"Topology {loaded.number} is in force after {seconds} s: {_listed(counts)}.")
    else:
        print(f"Topology {loaded.number} is in force already, with the same content: nothing was changed.")


@contextmanager
def _explained(as_json: bool) -> Iterator[None]:
    """Prints everything that is wrong in a folder, and ends with exit code 2."""
    try:
        yield
    except TopologyErrors as errors:
        if as_json:
            _print_json({"errors": [asdict(error) for error in errors.errors]})
        else:
            for error in errors.errors:
                print(error, file=sys.stderr)
            print(f"bilans: {errors.headline}", file=sys.stderr)
        raise typer.Exit(EXIT_WRONG) from None


def _listed(counts: dict[str, int]) -> str:
    """`107 zones, 4,616 members …`, what there is none of left out."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)


def _print_json(document: dict[str, object]) -> None:
    print(orjson.dumps(document).decode(), flush=True)
