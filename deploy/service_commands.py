"""`bilans ingest`, `balancer` and `api`: one service, configured by the `BILANS_…` variables alone."""

import os
import sys
from typing import NoReturn


def ingest() -> None:
    """Runs one ingest against the Kafka and PostgreSQL that BILANS_KAFKA and BILANS_DATABASE_URL name."""
    _become("services.ingest")


def balancer() -> None:
    """Runs one balancer against the Kafka and PostgreSQL that BILANS_KAFKA and BILANS_DATABASE_URL name."""
    _become("services.balancer")


def api() -> None:
    """Runs one API against the Kafka and PostgreSQL that BILANS_KAFKA and BILANS_DATABASE_URL name."""
    _become("services.api")


def _become(module: str) -> NoReturn:
    # The process itself becomes the service, so that signals and exit codes are the service's own.
    os.execv(sys.executable, [sys.executable, "-m", module])
