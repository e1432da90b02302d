"""Ports are free, told apart, and the same again after a restart."""

import socket
from pathlib import Path

from deploy.embedded.ports import LOOPBACK, PORTS, is_free, remembered_ports


def test_ports_are_remembered_while_they_are_free(tmp_path: Path) -> None:
    first = remembered_ports(tmp_path / "ports.json", 3)
    assert len(set(first)) == 3
    assert all(port in PORTS for port in first)
    assert remembered_ports(tmp_path / "ports.json", 3) == first


def test_a_port_that_somebody_took_is_given_up(tmp_path: Path) -> None:
    (first,) = remembered_ports(tmp_path / "ports.json", 1)
    with socket.socket() as taken:
        taken.bind((LOOPBACK, first))
        taken.listen()
        assert not is_free(first)
        (second,) = remembered_ports(tmp_path / "ports.json", 1)
    assert second != first


def test_a_damaged_memory_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("[1,")
    assert len(remembered_ports(tmp_path / "ports.json", 2)) == 2


def test_ports_lie_outside_those_of_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert lowest >= PORTS.stop
