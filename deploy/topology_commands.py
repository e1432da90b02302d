"""`bilans topology`: checks a folder of CSV files, and loads it into a running system."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import asyncpg
import httpx
import orjson
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from deploy.running_system import find_running_system
from shared.database.engine import connect
from shared.database.migrate import migrate
from shared.errors import BilansError
from shared.settings import Settings, read_settings
from shared.topology.check import check_folder
from shared.topology.following import TopologyCounts, count_topology, wait_until_followed
from shared.topology.load import load_folder
from shared.topology.rows import TopologyErrors
from shared.topology.store import newest_logged_number

topology = typer.Typer(no_args_is_help=True, help="Checks and loads a folder of zones and meters.")

EXIT_WRONG = 2
FOLLOWED_S_MAX = 60.0
"""How long services may take to follow: they look twice a second, a restarted one is back within seconds."""
RECOMPUTED_S_MAX = 3600.0
"""How long recomputing may take with --wait: from the archive, years of a cluster."""
SILENT_S_MAX = 30.0
"""How long the API may be silent: one that died is started again within seconds."""
_QUESTION_S = 0.5

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
        float | None, typer.Option(help="Seconds to wait for the services.", show_default="60; with --wait 3600")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Checks a folder and loads it whole or not at all; returns when every running service follows it.

    The same content as the topology in force changes nothing.

    Example: ./bilans topology load my-cluster --data-dir bilans-data --wait
    """
    settings, api = _system(data_dir)
    timeout_s = timeout if timeout is not None else RECOMPUTED_S_MAX if wait else FOLLOWED_S_MAX
    begun = time.monotonic()
    with _explained(as_json):
        number, changed, counts = asyncio.run(_load(settings, folder, api if wait else None, timeout_s))
    seconds = round(time.monotonic() - begun, 2)
    if as_json:
        _print_json({"topology": number, "changed": changed, **asdict(counts), "seconds": seconds})
    elif changed:
        print(f"Topology {number} is in force after {seconds} s: {_listed(asdict(counts))}.")
    else:
        print(f"Topology {number} is in force already, with the same content: nothing was changed.")


async def _load(
    settings: Settings, folder: Path, api: str | None, timeout_s: float
) -> tuple[int, bool, TopologyCounts]:
    """Loads and waits; the number, whether it is a new one, and what it holds. `api`: wait for recomputing there."""
    ends_at = time.monotonic() + timeout_s
    with _stores_answer(), _errors.status("looking for the database") as status:
        await asyncio.to_thread(migrate, settings.database_url)  # the database may be a new one
        connection = await connect(settings.database_url, application_name="bilans topology load")
        try:
            before = await newest_logged_number(connection)
            status.update(f"checking and loading {folder}")
            number = await load_folder(settings, folder)
            status.update(f"topology {number} is loaded; waiting for ingest and balancers to follow it")
            await wait_until_followed(connection, number, max(ends_at - time.monotonic(), 1.0))
            if api is not None:
                status.update("waiting until older windows are recomputed")
                await _wait_until_recomputed(api, settings.api_key, ends_at)
            return number, number != before, await count_topology(connection, number)
        finally:
            await connection.close()


@contextmanager
def _stores_answer() -> Iterator[None]:
    """Says in a person's words that the database or Kafka cannot be reached."""
    way_out = "Is Bilans running? `./bilans up` starts it."
    try:
        yield
    except (OSError, asyncpg.PostgresError, SQLAlchemyError) as error:
        raise BilansError(f"The database does not answer as it should: {error}.", way_out) from error
    except KafkaError as error:
        raise BilansError(f"Kafka does not answer as it should: {error}.", way_out) from error


async def _wait_until_recomputed(api: str, api_key: str, ends_at: float) -> None:
    """Returns when the books say that no window is left to recompute.

    Raises BilansError when the API cannot be asked, or the time is over.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    answered_at = time.monotonic()
    async with httpx.AsyncClient(base_url=api, headers=headers, timeout=10.0) as client:
        while True:
            left, now = await _recomputing(client, api), time.monotonic()
            if left == 0:
                return
            if left is not None:
                answered_at = now
            elif now - answered_at > SILENT_S_MAX:
                raise BilansError(
                    f"The topology is loaded and followed, but {api} does not tell whether all is recomputed.",
                    "Is the API running? BILANS_API or --data-dir says where it is.",
                )
            if now > ends_at:
                to_go = "" if left is None else f" ({left:,} windows to go)"
                raise BilansError(
                    f"The topology is loaded and followed, but the time is over before all is recomputed{to_go}.",
                    f"`recomputing` in {api}/v1/audit goes to 0; --timeout SECONDS waits longer.",
                )
            await asyncio.sleep(_QUESTION_S)


async def _recomputing(client: httpx.AsyncClient, api: str) -> int | None:
    """Windows that are still to be recomputed; None while the API does not answer."""
    try:
        answer = await client.get("/v1/audit")
    except httpx.TransportError:
        return None
    if answer.status_code in (401, 403):
        raise BilansError(f"{api} asks for a key.", "Set BILANS_API_KEY.")
    return int(answer.json()["recomputing"]) if answer.status_code == 200 else None


def _system(data_dir: Path | None) -> tuple[Settings, str]:
    """The settings with which to load, and the API's base URL."""
    if data_dir is None:
        return read_settings(os.environ), os.environ.get("BILANS_API", "") or "http://127.0.0.1:8000"
    system = find_running_system(data_dir)
    addresses = {
        "BILANS_KAFKA": system.kafka,
        "BILANS_DATABASE_URL": system.database_url,
        "BILANS_DATA_DIR": str(data_dir),
    }
    return read_settings({**os.environ, **addresses}), system.api


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
