"""Where a running Bilans answers: its addresses, from its data folder or from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from shared.errors import BilansError


@dataclass(frozen=True, slots=True)
class RunningSystem:
    """The addresses of a running system; `kafka` and `database_url` are empty where they are not known."""

    api: str
    """The API's base URL, without a slash at its end."""
    ingest: str
    """Ingest's base URL, without a slash at its end."""
    kafka: str
    """Kafka's bootstrap addresses."""
    database_url: str
    """`postgresql://user:password@host:port/name`."""


def find_running_system(data_dir: Path | None, environment: Mapping[str, str] = os.environ) -> RunningSystem:
    """The system that runs under `data_dir`; without it the one that BILANS_API and BILANS_INGEST name.

    Raises BilansError when no address is known. Whether anything answers there is for the caller to see.
    """
    if data_dir is not None:
        return _read_addresses(data_dir)
    api, ingest = environment.get("BILANS_API", ""), environment.get("BILANS_INGEST", "")
    if not api or not ingest:
        raise BilansError(
            "Where Bilans runs is not known.",
            "Give --data-dir DIR, the folder of the running system, or set BILANS_API and BILANS_INGEST, "
            "for example BILANS_API=http://127.0.0.1:8000 BILANS_INGEST=http://127.0.0.1:8001.",
        )
    return RunningSystem(
        api=_base_url(api),
        ingest=_base_url(ingest),
        kafka=environment.get("BILANS_KAFKA", ""),
        database_url=environment.get("BILANS_DATABASE_URL", ""),
    )


def find_database(data_dir: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """The database's URL of the system that runs under `data_dir`; without it the one in BILANS_DATABASE_URL.

    Raises BilansError when it is not known.
    """
    url = _read_addresses(data_dir).database_url if data_dir is not None else environment.get("BILANS_DATABASE_URL", "")
    if not url:
        raise BilansError(
            "Where Bilans keeps its database is not known.",
            "Give --data-dir DIR, the folder of the running system, or set BILANS_DATABASE_URL.",
        )
    return url


def find_archive(data_dir: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """The archive's folder or URL: BILANS_ARCHIVE where it is set, else the one under the data folder.

    Raises BilansError when it is not known.
    """
    data_dir = data_dir or (Path(environment["BILANS_DATA_DIR"]) if environment.get("BILANS_DATA_DIR") else None)
    location = environment.get("BILANS_ARCHIVE", "") or (str(data_dir / "archive") if data_dir is not None else "")
    if not location:
        raise BilansError(
            "Where Bilans keeps its archive is not known.",
            "Give --data-dir DIR, the folder of the running system, or set BILANS_ARCHIVE.",
        )
    return location


def _read_addresses(data_dir: Path) -> RunningSystem:
    file = data_dir / "run" / "addresses.json"
    try:
        addresses = orjson.loads(file.read_bytes())
        return RunningSystem(
            api=_base_url(addresses["api"]),
            ingest=_base_url(addresses["ingest"]),
            kafka=addresses["kafka"],
            database_url=addresses["database_url"],
        )
    except FileNotFoundError:
        raise BilansError(
            f"No Bilans runs under {data_dir} ({file} is not there).",
            f"Start it with `./bilans up --topology DIR --data-dir {data_dir}`.",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"{file} cannot be read: {error}."
        raise BilansError(what, "Start `./bilans up` again: it writes it anew.") from error


def _base_url(address: str) -> str:
    """`address` as a base URL: `host:port` is taken for HTTP."""
    return (address if "://" in address else f"http://{address}").rstrip("/")
