"""`python -m services.ingest`: one ingest process, told by the variables `BILANS_…` what to do."""

import logging
import sys

from shared.errors import BilansError
from shared.http_server import bind, run_app
from shared.settings import read_settings


def main() -> int:
    """Runs until SIGTERM; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    try:
        settings = read_settings()
        listening = bind(settings.host, settings.ingest_port)
    except BilansError as error:
        sys.stderr.write(f"bilans ingest: {error}\n")
        return 2
    from services.ingest.app import build_app  # seconds, with the kernels: what is wrong above is said before

    run_app(build_app(settings), listening)
    return 0


if __name__ == "__main__":
    sys.exit(main())
