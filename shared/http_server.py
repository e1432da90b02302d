"""How a service listens: uvicorn on uvloop, bound before anything else starts, ended quickly and cleanly by SIGTERM."""

import logging
import signal
import socket
import sys
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from shared.errors import BilansError
from shared.service_log import configure_log
from shared.settings import Settings, read_settings

_SWITCH_S = 0.0005
"""A thread that works in Python hands over so soon when another one waits: the event loop must not wait 5 ms (Python's
own figure) each time that it has sent or received something while a worker builds a flush."""
_GRACE_S = 5
"""Requests under way get this long to end; a sender sees its connection close after that."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port` (0: any free one).

    Raises BilansError when the port is taken or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise BilansError(
            f"Bilans cannot listen on {host} port {port}: {error.strerror or error}.",
            "End what uses the port, or choose another one.",
        ) from error


def run_app(app: ASGIApp, listening: socket.socket) -> None:
    """Serves `app` on `listening` until SIGTERM or SIGINT; then raises SystemExit with code 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn takes the signals over, and raises the one it met again when it has ended in order.
        signal.signal(number, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[listening])


def run_service(name: str, port_of: Callable[[Settings], int], make_app: Callable[[Settings], ASGIApp]) -> int:
    """One service process, from its variables `BILANS_…` to SIGTERM.

    Returns 2 when they or the port cannot be used, having said why in one line.
    """
    configure_log()
    sys.setswitchinterval(_SWITCH_S)
    try:
        settings = read_settings()
        listening = bind(settings.host, port_of(settings))
    except BilansError as error:
        sys.stderr.write(f"bilans {name}: {error}\n")
        return 2
    run_app(make_app(settings), listening)
    return 0
