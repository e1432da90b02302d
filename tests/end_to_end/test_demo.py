"""`bilans demo`: the week moves before one's eyes, and nothing is left of it, however it ends."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.system import ENVIRONMENT, READY_S_MAX, bilans_command, free_ports

SEEN_S_MAX = 60
END_S_MAX = 10
KILLED_END_S_MAX = 30


@contextmanager
def running_demo(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The demo with its temporary data in `folder`: its process and the API's address."""
    (port,) = free_ports(1)
    environment = ENVIRONMENT | {"TMPDIR": str(folder)}
    with (folder / "demo.log").open("wb") as errors:
        process = subprocess.Popen(
            bilans_command("demo", "--port", str(port)),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    give_up = threading.Timer(READY_S_MAX, process.kill)
    give_up.start()
    try:
        line = process.stdout.readline()
        assert line.split() == ["ready", f"http://127.0.0.1:{port}"], (folder / "demo.log").read_text()
        yield process, f"http://127.0.0.1:{port}"
    finally:
        give_up.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def live_until(api: str, holds: Any) -> dict[str, Any]:
    """The live state of the cluster once `holds` of it is true."""
    until = time.monotonic() + SEEN_S_MAX
    while True:
        live: dict[str, Any] = httpx.get(f"{api}/v1/zones/CLUSTER/live", timeout=30).json()
        if holds(live):
            return live
        assert time.monotonic() < until, live
        time.sleep(0.1)


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return children


def folders_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("bilans-demo-*"))


def test_the_week_moves_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    with running_demo(tmp_path) as (process, api):
        first = live_until(api, lambda live: live["at"] is not None and live["heard"] > 6_000)
        began = time.monotonic()
        later = live_until(api, lambda live: _hours(first, live) >= 2)
        assert 4 < time.monotonic() - began < 20, "a quarter of an hour is to take a second"
        assert later["state"] != "stale"
        assert later["withdrawn_w"] > 0
        assert httpx.get(f"{api}/", timeout=30).headers["Content-Type"].startswith("text/html")
        audit = httpx.get(f"{api}/v1/audit", timeout=30).json()
        assert audit["applied"] > 8 * 7_000
        assert (audit["unchanged"], audit["rejected"], audit["difference"]) == (0, {}, 0)
        children = children_of(process)
        assert len(folders_in(tmp_path)) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(END_S_MAX) == 0
        assert psutil.wait_procs(children, timeout=2)[1] == []
        assert folders_in(tmp_path) == []


def test_a_killed_demo_leaves_no_process_and_no_data(tmp_path: Path) -> None:
    with running_demo(tmp_path) as (process, _):
        children = children_of(process)
        os.kill(process.pid, signal.SIGKILL)
        assert psutil.wait_procs(children, timeout=KILLED_END_S_MAX)[1] == []
        assert folders_in(tmp_path) == []


def _hours(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    start, end = (datetime.fromisoformat(live["at"]) for live in (earlier, later))
    return (end - start).total_seconds() / 3600
