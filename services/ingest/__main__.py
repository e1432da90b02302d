"""`python -m services.ingest`: one ingest process, told by the variables `BILANS_…` what to do."""

import sys

from services.ingest.app import build_app
from shared.http_server import run_service

if __name__ == "__main__":
    sys.exit(run_service("ingest", lambda settings: settings.ingest_port, build_app))
