"""`python -m services.balancer`: one balancer process, told by the variables `BILANS_…` what to do."""

import logging
import sys

from services.balancer.app import make_app
from shared.errors import BilansError
from shared.http_server import bind, run_app
from shared.settings import read_settings


def main() -> int:
    """Runs until SIGTERM; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    try:
        settings = read_settings()
        listening = bind(settings.host, settings.balancer_port)
    except BilansError as error:
        sys.stderr.write(f"bilans balancer: {error}\n")
        return 2
    app = make_app(settings)
    run_app(app, listening)
    return 1 if app.state.crew.failed else 0


if __name__ == "__main__":
    sys.exit(main())
