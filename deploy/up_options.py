"""What `up` is asked for, and what its parts are told through their environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.cache_folder import kernel_cache_folder
from shared.errors import BilansError
from shared.settings import LOOPBACK_HOSTS, ClockMode

PORT_MAX = 65_535
BALANCERS_MAX = 64
"""More than one per partition would stand idle; so many partitions no single machine needs."""


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The options of `up`, checked by `check_options`."""

    data_dir: Path
    topology: Path | None
    host: str = "127.0.0.1"
    port: int = 8000
    ingest_port: int = 8001
    balancers: int = 1
    clock: ClockMode = "wall"
    auth: bool | None = None
    """None: on where a key is set."""
    fuse: bool | None = None
    """Whether the JSON topic is stopped when nearly all of it is bad; None: as BILANS_FUSE says, else on."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The addresses of Kafka and PostgreSQL."""

    kafka: str
    database_url: str


def check_options(options: UpOptions, environment: Mapping[str, str]) -> None:
    """Raises BilansError where the options contradict each other or what is allowed."""
    for name, port in (("--port", options.port), ("--ingest-port", options.ingest_port)):
        if not 1 <= port <= PORT_MAX:
            raise BilansError(f"{name} {port} is no port.", f"Give one from 1 to {PORT_MAX}.")
    if options.port == options.ingest_port:
        raise BilansError(f"--port and --ingest-port are both {options.port}.", "Give each its own.")
    if not 1 <= options.balancers <= BALANCERS_MAX:
        raise BilansError(f"--balancers {options.balancers} cannot be.", f"Give 1 to {BALANCERS_MAX}.")
    if options.topology is not None and not options.topology.is_dir():
        raise BilansError(
            f"There is no folder {options.topology}.", "--topology names a folder with zones.csv and meters.csv."
        )
    has_key = bool(environment.get("BILANS_API_KEY"))
    if options.host not in LOOPBACK_HOSTS and options.auth is False:
        raise BilansError("--auth off is for loopback addresses.", f"Leave it out to listen on {options.host}.")
    if options.host not in LOOPBACK_HOSTS and not has_key:
        raise BilansError(
            f"Bilans does not listen on {options.host} without a key.",
            "Set BILANS_API_KEY to a secret of your own, or leave --host at 127.0.0.1.",
        )
    if options.auth and not has_key:
        raise BilansError("--auth on needs a key.", "Set BILANS_API_KEY to a secret of your own.")


def external_stores(environment: Mapping[str, str]) -> Stores | None:
    """The stores that the environment names; None: the embedded ones. Raises BilansError when it names only one."""
    kafka, database_url = environment.get("BILANS_KAFKA", ""), environment.get("BILANS_DATABASE_URL", "")
    if bool(kafka) != bool(database_url):
        missing = "BILANS_DATABASE_URL" if kafka else "BILANS_KAFKA"
        raise BilansError(
            f"{missing} is not set, but its counterpart is.", "Set both, or neither for the embedded ones."
        )
    return Stores(kafka, database_url) if kafka else None


def service_environment(options: UpOptions, stores: Stores, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of every service, but for BILANS_INSTANCE and the balancers' ports."""
    own = {
        "BILANS_KAFKA": stores.kafka,
        "BILANS_DATABASE_URL": stores.database_url,
        "BILANS_DATA_DIR": str(options.data_dir),
        "BILANS_HOST": options.host,
        "BILANS_PORT": str(options.port),
        "BILANS_INGEST_PORT": str(options.ingest_port),
        "BILANS_CLOCK": options.clock,
        "PYTHONUNBUFFERED": "1",
    }
    if options.auth is False:
        own["BILANS_API_KEY"] = ""
    if options.fuse is not None:
        own["BILANS_FUSE"] = "on" if options.fuse else "off"
    for name in ("BILANS_ARCHIVE", "BILANS_CHECKPOINTS"):
        # The services work in the data folder: a relative path means the folder in which `up` was called.
        if (value := environment.get(name, "")) and "://" not in value:
            own[name] = str(Path(value).absolute())
    if not environment.get("NUMBA_CACHE_DIR"):
        own["NUMBA_CACHE_DIR"] = str(kernel_cache_folder(fallback=options.data_dir / "numba"))
    return {**environment, **own}
