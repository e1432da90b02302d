"""Loads a topology into a running system and waits for those who follow it."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.running_system import find_running_system
from deploy.stores_answer import stores_answer
from shared.database.engine import connect
from shared.database.migrate import migrate
from shared.errors import BilansError
from shared.settings import Settings, read_settings
from shared.topology.following import TopologyCounts, count_topology, wait_until_followed
from shared.topology.load import load_folder
from shared.topology.store import newest_logged_number

FOLLOWED_S_MAX = 60.0
"""How long services may take to follow: they look twice a second, a restarted one is back within seconds."""
RECOMPUTED_S_MAX = 3600.0
"""How long recomputing may take with --wait: from the archive, years of a cluster."""
SILENT_S_MAX = 30.0
"""How long the API may be silent: one that died is started again within seconds."""
_QUESTION_S = 0.5


@dataclass(frozen=True, slots=True)
class LoadedTopology:
    """What a load has come to."""

    number: int
    changed: bool
    """Whether it is a new topology; else the newest one has the same content."""
    counts: TopologyCounts


async def load_and_wait(
    folder: Path, data_dir: Path | None, *, wait: bool, timeout_s: float | None, show: Callable[[str], None]
) -> LoadedTopology:
    """Loads `folder` into the system under `data_dir` (or the one that BILANS_… names), and waits until it is followed.

    With `wait` until older windows are recomputed, too. `show` is told what is going on. Raises TopologyErrors, and
    BilansError when a part does not answer or the time is over.
    """
    settings, api = _system(data_dir)
    with stores_answer():
        await asyncio.to_thread(migrate, settings.database_url)  # the database may be a new one
        connection = await connect(settings.database_url, application_name="bilans topology load")
        try:
            before = await newest_logged_number(connection)
            show(f"checking and loading {folder}")
            number = await load_folder(settings, folder)
            show(f"topology {number} is loaded; waiting for ingest and balancers to follow it")
            await wait_until_followed(connection, number, FOLLOWED_S_MAX if timeout_s is None else timeout_s)
            if wait:
                timeout_s = RECOMPUTED_S_MAX if timeout_s is None else timeout_s
                await _wait_until_recomputed(api, settings.api_key, timeout_s, show)
            return LoadedTopology(number, number != before, await count_topology(connection, number))
        finally:
            await connection.close()


async def _wait_until_recomputed(api: str, api_key: str, timeout_s: float, show: Callable[[str], None]) -> None:
    """Returns when the books say that no window is left to recompute; `show` is told how many are.

    Raises BilansError when the API cannot be asked, or the time is over.
    """
    show("waiting until older windows are recomputed")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    answered_at = time.monotonic()
    ends_at = answered_at + timeout_s
    async with httpx.AsyncClient(base_url=api, headers=headers, timeout=10.0) as client:
        while True:
            left, now = await _recomputing(client, api), time.monotonic()
            if left == 0:
                return
            if left is not None:
                answered_at = now
                show(f"recomputing older windows from the archive: {left:,} or more to go")
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
