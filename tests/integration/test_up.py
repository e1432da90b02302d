"""`bilans up`: restarts what dies, keeps what was stored, leaves nothing behind, and says what is wrong in one line."""

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.system import ROOT, SystemUnderTest, bilans_command, free_ports

BACK_S_MAX = 30
PARTS = ("api", "ingest", "balancer-0", "balancer-1", "kafka", "postgres")


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster of one meter."""
    folder = tmp_path_factory.mktemp("topology")
    (folder / "zones.csv").write_text("zone,parent,kind\nC,,cluster\n")
    (folder / "meters.csv").write_text("meter,zone,kind,registers\nm,C,consumer,1.8.0\n")
    return folder


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, topology: Path) -> Iterator[SystemUnderTest]:
    """A system with two balancers, for all tests here."""
    system = SystemUnderTest(tmp_path_factory.mktemp("up"), topology, "--balancers", "2")
    try:
        system.start()
        yield system
    finally:
        system.stop()


def pid(system: SystemUnderTest, name: str) -> int:
    return int((system.data_dir / "run" / f"{name}.pid").read_text())


def is_over(process_id: int) -> bool:
    try:
        return bool(psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_for(what: Callable[[], bool], message: str) -> None:
    until = time.monotonic() + BACK_S_MAX
    while not what():
        assert time.monotonic() < until, message
        time.sleep(0.05)


def is_ready(system: SystemUnderTest) -> bool:
    try:
        return httpx.get(f"{system.addresses.api}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_it_notes_its_processes_and_addresses_for_this_user_only(system: SystemUnderTest) -> None:
    for name in PARTS:
        assert psutil.pid_exists(pid(system, name))
    addresses = system.data_dir / "run" / "addresses.json"
    assert stat.S_IMODE(addresses.stat().st_mode) == 0o600
    assert is_ready(system)


@pytest.mark.parametrize("name", PARTS)
def test_what_is_killed_is_started_again_at_the_same_address(system: SystemUnderTest, name: str) -> None:
    addresses = system.addresses
    old = system.kill(name)
    wait_for(lambda: pid(system, name) != old, f"{name} was not started again:\n{system.log()}")
    wait_for(lambda: is_ready(system), f"not ready after {name} was killed:\n{system.log()}")
    assert system.addresses == addresses


def test_a_second_one_on_the_same_folder_is_refused(system: SystemUnderTest) -> None:
    port, ingest_port = map(str, free_ports(2))
    options = ["--data-dir", str(system.data_dir), "--port", port, "--ingest-port", ingest_port]
    ended = subprocess.run(bilans_command("up", *options), cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "is in use by another Bilans" in ended.stderr


def test_a_port_that_is_taken_is_named(system: SystemUnderTest, tmp_path: Path) -> None:
    port = system.addresses.api.rsplit(":", 1)[1]
    options = ["--data-dir", str(tmp_path / "data"), "--port", port, "--ingest-port", str(free_ports(1)[0])]
    ended = subprocess.run(bilans_command("up", *options), cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == f"bilans: Port {port} of 127.0.0.1 is taken or not ours. Choose another with --port.\n"


def test_a_wrong_topology_is_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "zones.csv").write_text("zone,parent,kind\nC,nowhere,cluster\n")
    (tmp_path / "meters.csv").write_text("meter,zone,kind,registers\n")
    ports = map(str, free_ports(2))
    options = ["--topology", str(tmp_path), "--data-dir", str(tmp_path / "data")]
    options += ["--port", next(ports), "--ingest-port", next(ports)]
    ended = subprocess.run(bilans_command("up", *options), cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "zones.csv" in ended.stderr
    assert "nowhere" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()


def test_ctrl_c_ends_it_in_order_and_the_data_are_there_the_next_time(system: SystemUnderTest) -> None:
    reading = b'{"meter": "m", "register": "1.8.0", "ts": "2026-05-01T10:00:00Z", "value": 1}'
    system.post_readings(reading)
    before = system.wait_handled(1)
    processes = [pid(system, name) for name in PARTS]
    started = time.monotonic()
    system.stop()
    assert time.monotonic() - started < 10
    assert all(is_over(process_id) for process_id in processes)
    assert not (system.data_dir / "run" / "addresses.json").exists()
    system.start()
    after = system.wait_handled(1)
    assert (after["received"], after["applied"]) == (before["received"], before["applied"])


def test_sigkill_of_up_leaves_no_process_behind(system: SystemUnderTest) -> None:
    processes = [pid(system, name) for name in PARTS]
    holder = int((system.data_dir / "run" / "lock").read_text())
    os.kill(holder, signal.SIGKILL)
    for process_id in processes:
        wait_for(lambda gone=process_id: is_over(gone), f"process {process_id} outlived `up`")  # type: ignore[misc]
    with pytest.raises(AssertionError, match="ended with -9"):
        system.stop()
    system.start()  # and the folder can be used again at once
    assert is_ready(system)
