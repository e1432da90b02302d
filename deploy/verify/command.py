"""`bilans verify`: recomputes everything from the archive and compares it with what is published."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.cache_folder import kernel_cache_folder
from deploy.running_system import find_archive, find_database
from deploy.verify.progress import VerifyProgress

EXIT_DIFFERENT = 1


def verify(
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Data folder of the running system; else BILANS_DATABASE_URL and BILANS_ARCHIVE."),
    ] = None,
    no_wait: Annotated[
        bool,
        typer.Option("--no-wait", help="End with exit code 2 where recounts or the archive would be waited for."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print nothing but the line of JSON; no progress either.")
    ] = False,
) -> None:
    """Recomputes all totals from the archive, and compares them with the published rows and the books.

    The last line on stdout is JSON. Exit code 1 when anything differs, by one Wh or one delivery: the first
    differences are on stderr. Late readings that still wait in the queue are left out. PostgreSQL and the archive
    suffice: nothing else need run.

    Example: ./bilans verify --data-dir bilans-data
    """
    # Before any kernel is imported: where `bilans up` keeps the compiled ones. Compiling them takes most of a minute.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(kernel_cache_folder()))
    from deploy.verify.run import verify as run_verification

    with VerifyProgress(quiet=as_json) as progress:
        result = asyncio.run(
            run_verification(
                find_database(data_dir, os.environ),
                find_archive(data_dir, os.environ),
                wait=not no_wait,
                progress=progress,
            )
        )
    for line in result.named:
        print(line, file=sys.stderr)
    if not as_json:
        for note in result.notes:
            print(f"Note: {note}.", file=sys.stderr)
        print(
            f"{result.readings:,} readings recomputed, {len(result.keys):,} windows of {result.zones:,} zones compared:"
            f" {'all is right' if result.right else f'{result.differences + len(result.books):,} differences'}."
        )
    print(result.last_line(), flush=True)
    raise typer.Exit(0 if result.right else EXIT_DIFFERENT)
