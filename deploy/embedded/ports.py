"""Free ports of this machine, chosen once and remembered, so that clients find a server again after a restart."""

import itertools
import json
import random
import socket
from pathlib import Path

from shared.errors import BilansError

LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below the ports that the system gives to outgoing connections: while a server is down, one of those must not take its
port, nor may a client that tries to reach it be connected to itself (TCP allows that)."""


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

    Raises BilansError when there are no free ones.
    """
    try:
        ports = [int(port) for port in json.loads(file.read_text())]
    except (OSError, ValueError, TypeError):
        ports = []
    if len(ports) == count and all(is_free(port) for port in ports):
        return ports
    candidates = random.sample(PORTS, k=len(PORTS))
    ports = list(itertools.islice((port for port in candidates if is_free(port)), count))
    if len(ports) < count:
        raise BilansError(f"No port of {PORTS.start} to {PORTS.stop} is free.", "End programs that listen there.")
    file.write_text(json.dumps(ports))
    return ports
