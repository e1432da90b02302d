"""The demo's story, as it is told: minutes long, so it goes with the fault runs."""

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.system import ENVIRONMENT, bilans_command, free_ports

TOLD_S_MAX = 600
END_S_MAX = 60


def test_a_congestion_is_told_from_green_to_green_and_what_was_ordered_is_delivered(tmp_path: Path) -> None:
    told = tell(tmp_path)
    assert told["states"][0] == told["states"][-1] == "green"
    assert [state for state in told["states"] if state != "stale"].index("red") >= 1
    room, relief = told["orders"]
    assert (room["direction"], relief["direction"]) == ("up", "down")
    for order in (room, relief):
        sign = 1 if order["direction"] == "up" else -1
        windows = {row["window_start"] for row in order["verification"]}
        for start in windows:
            held_kw = sum(row["setpoint_kw"] for row in order["dispatch"] if row["window_start"] == start)
            assert round(held_kw, 3) == sign * order["kw"]
        assert all(row["acknowledgement"] == "accepted" for row in order["dispatch"])
        # Assets follow to the watt-hour; what the meter-before baseline makes of the sun's course is not theirs.
        delivered_kw = sum(row["delivered_kw"] for row in order["verification"])
        assert delivered_kw > 0.7 * order["kw"] * len(windows)
    storages = [row for row in relief["dispatch"] if row["asset"].startswith("A-B")]
    plants = [row for row in relief["dispatch"] if row["asset"].startswith("A-G")]
    assert storages and plants and all(row["setpoint_kw"] < 0 for row in storages + plants)


def tell(folder: Path) -> dict[str, Any]:
    """Runs the demo until the story is told; its last line."""
    (port,) = free_ports(1)
    with (folder / "demo.log").open("wb") as errors:
        process = subprocess.Popen(
            bilans_command("demo", "--story", "congestion", "--port", str(port)),
            env=ENVIRONMENT | {"TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    give_up = threading.Timer(TOLD_S_MAX, process.kill)
    give_up.start()
    try:
        assert process.stdout.readline().startswith("ready")
        line = process.stdout.readline()
        assert line, (folder / "demo.log").read_text()
        told: dict[str, Any] = json.loads(line)
        process.send_signal(signal.SIGINT)
        assert process.wait(END_S_MAX) == 0, (folder / "demo.log").read_text()
        return told
    finally:
        give_up.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
