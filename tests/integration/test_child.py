"""A child never outlives its parent, however that ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.embedded.child import LOG_BYTES_MAX, processes_in, start_child, stop_child, wait_until_left

PARENT = """
import signal, sys, time
from pathlib import Path
from deploy.embedded.child import start_child
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with Ctrl-C ignored
folder = Path(sys.argv[1])
child = start_child([sys.executable, "-c", "import time; time.sleep(300)"], folder=folder, log=folder / "log")
print(child.pid, flush=True)
time.sleep(300)
"""
ROOT = Path(__file__).parents[2]


def is_over(pid: int) -> bool:
    """Whether the process has ended; one that only waits to be collected has."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_child_ends_when_its_parent_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not is_over(child)
        parent.send_signal(how)
    until = time.monotonic() + 5
    while not is_over(child):
        assert time.monotonic() < until, "the child outlived its parent"
        time.sleep(0.02)


def test_a_child_whose_parent_is_already_gone_does_not_start(tmp_path: Path) -> None:
    wrapper = ROOT / "deploy" / "embedded" / "die_with_parent.py"
    say_pid = [sys.executable, "-c", "import os; print(os.getpid())"]
    gone = subprocess.run(say_pid, capture_output=True, text=True, check=True)
    made = tmp_path / "made"
    command = [sys.executable, str(wrapper), gone.stdout.strip(), "9", "-", "/bin/sh", "-c", f"echo > {made}"]
    assert subprocess.run(command, check=False).returncode == 1
    assert not made.exists()


def test_ctrl_c_in_the_terminal_does_not_reach_the_child(tmp_path: Path) -> None:
    child = start_child([sys.executable, "-c", "import time; time.sleep(300)"], folder=tmp_path, log=tmp_path / "log")
    try:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
    finally:
        stop_child(child, signal.SIGKILL, 5)


def test_a_child_that_does_not_heed_the_signal_is_killed(tmp_path: Path) -> None:
    child = start_child(["/bin/sh", "-c", "trap '' TERM; echo deaf; sleep 300"], folder=tmp_path, log=tmp_path / "log")
    while "deaf" not in (tmp_path / "log").read_text():
        time.sleep(0.02)
    assert stop_child(child, signal.SIGTERM, 0.2) is False
    assert child.returncode == -signal.SIGKILL


def test_what_is_left_in_a_folder_is_found_and_ended(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], cwd=tmp_path)
    with child:
        while not processes_in(tmp_path):
            time.sleep(0.02)
        wait_until_left(tmp_path, timeout_s=0.2)
        child.wait(5)
    assert processes_in(tmp_path) == []


def test_a_log_that_has_grown_too_long_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with log.open("wb") as file:
        file.truncate(LOG_BYTES_MAX + 1)
    child = start_child(["/bin/sh", "-c", "echo new"], folder=tmp_path, log=log)
    assert child.wait(5) == 0
    assert log.read_text() == "new\n"
    assert (tmp_path / "part.old.log").stat().st_size == LOG_BYTES_MAX + 1
