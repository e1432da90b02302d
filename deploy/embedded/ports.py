"""Free ports of this machine, chosen once and remembered, so that clients find a server again after a restart."""

import json
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port`; connections of an earlier one that still close do not count."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def remembered_ports(file: Path, count: int) -> list[int]:
    """`count` ports of the loopback address: those in `file` if all are free, else new ones, written there.

    New ones are bound together before any is let go, so that no two are the same.
    """
    try:
        ports = [int(port) for port in json.loads(file.read_text())]
    except (OSError, ValueError, TypeError):
        ports = []
    if len(ports) == count and all(is_free(port) for port in ports):
        return ports
    sockets = [socket.socket() for _ in range(count)]
    try:
        for probe in sockets:
            probe.bind((LOOPBACK, 0))
        ports = [int(probe.getsockname()[1]) for probe in sockets]
    finally:
        for probe in sockets:
            probe.close()
    file.write_text(json.dumps(ports))
    return ports
