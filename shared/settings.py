"""What a service is told by its environment: the variables `BILANS_…`, read once at its start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.errors import BilansError
from shared.limits import REVISIONS_DAYS, REVISIONS_DAYS_MAX, SETTLEMENT_DAYS

ClockMode = Literal["wall", "event"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one service."""

    kafka: str
    """Kafka's bootstrap addresses, `host:port[,host:port]` (BILANS_KAFKA)."""
    database_url: str
    """`postgresql://user:password@host:port/name` (BILANS_DATABASE_URL)."""
    data_dir: Path
    """Where a service keeps files (BILANS_DATA_DIR)."""
    host: str
    """The address on which a service listens (BILANS_HOST)."""
    port: int
    """The API's port (BILANS_PORT)."""
    ingest_port: int
    """Ingest's port (BILANS_INGEST_PORT)."""
    balancer_port: int
    """The port of a balancer's probes and metrics (BILANS_BALANCER_PORT; 0 takes any free one)."""
    instance: str
    """The name of this process, unique among its kind (BILANS_INSTANCE)."""
    clock: ClockMode
    """What `now` is: the wall clock, or the time of the readings (BILANS_CLOCK; design section 3)."""
    api_key: str
    """The key that every route but the probes demands; empty: none (BILANS_API_KEY)."""
    partitions: int
    """Partitions of `bilans.readings` (BILANS_PARTITIONS); fixed once the topics exist."""
    archive: str
    """The folder or fsspec URL of the archive (BILANS_ARCHIVE)."""
    checkpoints: Path
    """The folder of the balancers' checkpoints (BILANS_CHECKPOINTS)."""
    fuse: bool
    """Whether ingest stops the JSON topic when nearly all of it is bad (BILANS_FUSE, on or off)."""
    revisions_days: int
    """How long all revisions of a closed window are kept, from its start (BILANS_REVISIONS_DAYS); later only its newest
    is, and `as_of` is refused for it. More than settlement looks back over (limits.SETTLEMENT_DAYS)."""
    penalty_percent: int = 100
    """What a Wh that an order is short of costs, in percent of its price (BILANS_PENALTY_PERCENT)."""
    offer_s: int = 300
    """How long an offer of flexibility stands, in seconds of wall time (BILANS_OFFER_S)."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `environment`.

    Raises BilansError when a needed variable is missing or one cannot be understood.
    """

    def needed(name: str, example: str) -> str:
        value = environment.get(name, "")
        if not value:
            raise BilansError(f"{name} is not set.", f"Set it, for example {name}={example}, or use `./bilans up`.")
        return value

    def whole(name: str, default: int) -> int:
        text = environment.get(name, "") or str(default)
        if not text.isdecimal():
            raise BilansError(f"{name} is {text!r}, not a whole number.", f"Set it like {name}={default}.")
        return int(text)

    clock = environment.get("BILANS_CLOCK", "") or "wall"
    if clock not in ("wall", "event"):
        raise BilansError(f"BILANS_CLOCK is {clock!r}.", "Set it to wall or event.")
    fuse = environment.get("BILANS_FUSE", "") or "on"
    if fuse not in ("on", "off"):
        raise BilansError(f"BILANS_FUSE is {fuse!r}.", "Set it to on or off.")
    data_dir = Path(environment.get("BILANS_DATA_DIR", "") or "bilans-data")
    host = environment.get("BILANS_HOST", "") or "127.0.0.1"
    api_key = environment.get("BILANS_API_KEY", "")
    if host not in LOOPBACK_HOSTS and not api_key:
        raise BilansError(
            f"Bilans does not listen on {host} without a key.",
            "Set BILANS_API_KEY to a secret of your own, or leave the host at 127.0.0.1.",
        )
    revisions_days = whole("BILANS_REVISIONS_DAYS", REVISIONS_DAYS)
    if revisions_days <= SETTLEMENT_DAYS:
        raise BilansError(
            f"BILANS_REVISIONS_DAYS is {revisions_days}, but settlement looks back over {SETTLEMENT_DAYS} days.",
            f"Set it to more, like {REVISIONS_DAYS}.",
        )
    if revisions_days > REVISIONS_DAYS_MAX:
        raise BilansError(
            f"BILANS_REVISIONS_DAYS is {revisions_days}.", f"Set it to {REVISIONS_DAYS_MAX} at most: that keeps all."
        )
    return Settings(
        kafka=needed("BILANS_KAFKA", "127.0.0.1:9092"),
        database_url=needed("BILANS_DATABASE_URL", "postgresql://bilans:secret@127.0.0.1:5432/bilans"),
        data_dir=data_dir,
        host=host,
        port=whole("BILANS_PORT", 8000),
        ingest_port=whole("BILANS_INGEST_PORT", 8001),
        balancer_port=whole("BILANS_BALANCER_PORT", 0),
        instance=environment.get("BILANS_INSTANCE", "") or f"{os.uname().nodename}-{os.getpid()}",
        clock="event" if clock == "event" else "wall",
        api_key=api_key,
        partitions=whole("BILANS_PARTITIONS", 4),
        archive=environment.get("BILANS_ARCHIVE", "") or str(data_dir / "archive"),
        checkpoints=Path(environment.get("BILANS_CHECKPOINTS", "") or data_dir / "checkpoints"),
        fuse=fuse == "on",
        revisions_days=revisions_days,
        penalty_percent=whole("BILANS_PENALTY_PERCENT", 100),
        offer_s=whole("BILANS_OFFER_S", 300),
    )


LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
"""Hosts that only this machine can reach."""
