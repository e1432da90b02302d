"""`bilans rejected`: shows rejected readings, sends them again, and lets a stopped topic go on."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.rejected.advice import warnings
from deploy.rejected.display import (
    counts_line,
    description_of,
    fields_of,
    make_console,
    original_fields,
    print_json,
    table_of,
)
from deploy.rejected.selection import Selection, read_selection
from deploy.rejected.store import ToRetry, count_by_reason, find, missing_numbers, newest, to_retry
from deploy.running_system import find_database
from deploy.stores_answer import stores_answer
from shared.database.engine import connect, make_engine
from shared.database.fuse_row import FuseRow, take_fuse_row
from shared.errors import BilansError
from shared.instants import format_instant
from shared.topics import READINGS_JSON
from shared.words import RejectReason

rejected = typer.Typer(no_args_is_help=True, help="Shows rejected readings, and sends them again.")

MANY = 100
"""A retry of more than these asks a person first: each one that is rejected again is one more in the books."""

_T = TypeVar("_T")

_DataDir = Annotated[
    Path | None, typer.Option(help="Data folder of the running system; else BILANS_DATABASE_URL says where it is.")
]
_Reasons = Annotated[list[RejectReason] | None, typer.Option("--reason", help="Only this reason; may come twice.")]
_Meter = Annotated[str, typer.Option(help="Only of this meter, as the sender wrote it.")]
_Since = Annotated[str, typer.Option(help="Rejected at this instant or later, like 2026-05-01T10:00:00Z.")]
_Until = Annotated[str, typer.Option(help="Rejected before this instant.")]
_Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, one object a line.")]


@rejected.command("list")
def list_(
    reason: _Reasons = None,
    meter: _Meter = "",
    since: _Since = "",
    until: _Until = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    data_dir: _DataDir = None,
    as_json: _Json = False,
) -> None:
    """Lists rejected readings, the newest first, and how many there are for each reason.

    Example: ./bilans rejected list --reason unknown_meter --since 2026-05-01T00:00:00Z --data-dir bilans-data
    """
    selection = read_selection(reasons=reason, meter=meter, since=since, until=until)

    async def ask(connection: AsyncConnection) -> None:
        readings = await newest(connection, selection, limit)
        if as_json:
            for one in readings:
                print_json(fields_of(one))
            return
        console = make_console()
        if readings:
            console.print(table_of(readings))
        console.print(counts_line(await count_by_reason(connection, selection), len(readings)), soft_wrap=True)

    _ask(data_dir, ask)


@rejected.command()
def show(
    number: Annotated[int, typer.Argument(min=0, help="Its number in the list.", show_default=False)],
    data_dir: _DataDir = None,
    as_json: _Json = False,
) -> None:
    """Shows all of one rejected reading, its original bytes, and what to do about it.

    Example: ./bilans rejected show 17 --data-dir bilans-data
    """
    found = _ask(data_dir, lambda connection: find(connection, number))
    if found is None:
        raise BilansError(f"There is no rejected reading {number}.", "`./bilans rejected list` has their numbers.")
    one, original = found
    if as_json:
        print_json(fields_of(one) | original_fields(original))
    else:
        print(description_of(one, original))


@rejected.command()
def retry(
    numbers: Annotated[list[int] | None, typer.Argument(help="Their numbers in the list.", show_default=False)] = None,
    reason: _Reasons = None,
    meter: _Meter = "",
    since: _Since = "",
    until: _Until = "",
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that were sent again before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Data folder of the running system; else BILANS_DATABASE_URL, BILANS_API, BILANS_INGEST."),
    ] = None,
    api_key: Annotated[
        str, typer.Option(envvar="BILANS_API_KEY", help="The system's key, where it has one.", show_default=False)
    ] = "",
    as_json: _Json = False,
) -> None:
    """Sends rejected readings again, byte for byte and in their order, for instance after the topology was mended.

    Each is a new delivery: it counts again in the books, and one that is rejected again gets a new number.

    Example: ./bilans rejected retry --reason unknown_meter --data-dir bilans-data
    """
    from deploy.rejected.sending import Sending

    selection = read_selection(numbers, reason, meter, since, until)
    if selection.everything and not everything:
        raise BilansError("Which ones is not said.", "Give numbers, --reason, --meter, --since, --until, or --all.")
    if everything and not selection.everything:
        raise BilansError("--all goes with no other choice.", "Leave it out, or all else.")
    asked = _ask(data_dir, lambda connection: _look(connection, selection, again=again))
    _confirm(asked, yes=yes)
    sending = Sending(data_dir, api_key, selection, again=again)
    try:
        asyncio.run(sending.run(asked))
    finally:
        sending.report(asked, as_json=as_json)
    raise typer.Exit(sending.exit_code)


@rejected.command()
def resume(data_dir: _DataDir = None, as_json: _Json = False) -> None:
    """Lets ingest read the JSON topic again after its fuse has blown; the lines that wait there are read then.

    Example: ./bilans rejected resume --data-dir bilans-data
    """
    row = asyncio.run(_resume(find_database(data_dir)))
    if as_json:
        blown = row and {"topic": row.topic, "reason": row.reason, "blown_at": _instant(row)}
        print_json({"resumed": row is not None, "fuse": blown})
    elif row is None:
        print("The fuse holds: there is nothing to resume.")
    else:
        print(
            f"The fuse of {row.topic} blew at {_instant(row)}: {row.reason}.\n"
            "Ingest reads the topic again within about a second, from where it stopped. If what waits there is as bad, "
            "the fuse blows again; `up --fuse off` lets it all through."
        )


def _confirm(asked: ToRetry, *, yes: bool) -> None:
    """Says what to know before; over many a person at a terminal is asked. Raises typer.Abort on a no."""
    for warning in warnings(asked.counts):
        print(warning, file=sys.stderr)
    total = sum(asked.counts.values())
    if total > MANY and not yes and sys.stdin.isatty() and sys.stderr.isatty():
        typer.confirm(f"Send {total:,} readings again?", abort=True, err=True)


async def _look(connection: AsyncConnection, selection: Selection, *, again: bool) -> ToRetry:
    if missing := await missing_numbers(connection, selection.numbers):
        listed = ", ".join(map(str, missing))
        raise BilansError(f"There is no rejected reading {listed}.", "`./bilans rejected list` has their numbers.")
    return await to_retry(connection, selection, again=again)


async def _resume(database_url: str) -> FuseRow | None:
    with stores_answer():
        connection = await connect(database_url, application_name="bilans rejected")
        try:
            return await take_fuse_row(connection, READINGS_JSON)
        finally:
            await connection.close()


def _ask(data_dir: Path | None, question: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
    """Asks the database of the system. Raises BilansError when it is not known or does not answer."""
    database_url = find_database(data_dir)

    async def ask() -> _T:
        engine = make_engine(database_url, connections_max=1)
        try:
            with stores_answer():
                async with engine.connect() as connection:
                    return await question(connection)
        finally:
            await engine.dispose()

    return asyncio.run(ask())


def _instant(row: FuseRow) -> str:
    return format_instant(int(row.blown_at.timestamp()))
