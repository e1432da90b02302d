"""`python -m services.balancer`: one balancer process, told by the variables `BILANS_…` what to do."""

import sys

from services.balancer.app import make_app
from shared.http_server import run_service

if __name__ == "__main__":
    sys.exit(run_service("balancer", lambda settings: settings.balancer_port, make_app))
