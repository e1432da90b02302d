"""The API as a process: `python -m services.api`, configured by the variables `BILANS_…`."""

import contextlib
import logging
import socket
import sys

import uvicorn

from services.api.application import make_application
from services.api.live_stream import LiveStream
from services.api.service import make_service
from shared.clock import SystemClock
from shared.errors import BilansError
from shared.service_log import configure_log
from shared.settings import read_settings

_GRACE_S = 3
"""How long open requests may take after a stop; streams end at once."""

_KEEP_ALIVE_S = 30


class _Server(uvicorn.Server):
    """Ends the viewers' streams when it is told to stop, so that it need not wait for them."""

    def __init__(self, config: uvicorn.Config, stream: LiveStream) -> None:
        super().__init__(config)
        self._stream = stream

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stream.stop()
        await super().shutdown(sockets)


def main() -> int:
    """Serves until told to stop; the exit code is 2 when the settings cannot be used."""
    configure_log()
    # A broker that is away is said once by us, not many times a second by its client.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = read_settings()
    except BilansError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    service = make_service(settings, SystemClock())
    config = uvicorn.Config(
        make_application(service),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    with contextlib.suppress(KeyboardInterrupt):  # the server has already stopped in order
        _Server(config, service.stream).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
