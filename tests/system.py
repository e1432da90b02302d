"""A whole running system for tests: `bilans up` as a process of its own, with its own Kafka and PostgreSQL."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.running_system import RunningSystem, find_running_system

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
"""As `./bilans` sets it."""
READY_S_MAX = 180
"""The first start on a machine compiles the kernels; later ones take seconds."""
STOP_S_MAX = 20
HANDLED_S_MAX = 120


def bilans_command(*arguments: str) -> list[str]:
    """The command line of `bilans` in this environment."""
    return [sys.executable, "-m", "deploy.command_line", *arguments]


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class SystemUnderTest:
    """`bilans up` on a data folder of its own; it can be stopped and started again on the same folder."""

    def __init__(self, folder: Path, topology: Path, *options: str) -> None:
        """`folder` gets data and logs; `options` go to `up` as they are."""
        self.data_dir = folder / "data"
        self._log = folder / "up.log"
        port, ingest_port = free_ports(2)
        self._command = bilans_command("up", "--topology", str(topology), "--data-dir", str(self.data_dir))
        self._command += ["--port", str(port), "--ingest-port", str(ingest_port), *options]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it and waits for its line `ready`."""
        with self._log.open("ab") as errors:
            self._process = subprocess.Popen(
                self._command,
                env=ENVIRONMENT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        give_up = threading.Timer(READY_S_MAX, self._process.kill)
        give_up.start()
        line = self._process.stdout.readline()
        give_up.cancel()
        if not line.startswith("ready"):
            self._end(signal.SIGTERM)
            raise AssertionError(f"`bilans up` said {line!r}, its log:\n{self.log()}")

    def stop(self) -> None:
        """Ends it as Ctrl-C does; it must end in order."""
        if self._process is not None:
            code = self._end(signal.SIGINT)
            assert code == 0, f"`bilans up` ended with {code}, its log:\n{self.log()}"

    def _end(self, how: signal.Signals) -> int:
        """Ends the process, if need be by force; its exit code."""
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            return process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            assert process.stdout is not None
            process.stdout.close()

    def log(self) -> str:
        """What `bilans up` and its parts have said: the ends of their logs."""
        logs = [self._log, *sorted((self.data_dir / "logs").glob("*.log"))]
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-3_000:]}" for log in logs if log.exists())

    @property
    def addresses(self) -> RunningSystem:
        """Where it answers."""
        return find_running_system(self.data_dir)

    def kill(self, name: str) -> int:
        """Kills a part (`balancer-0`, `kafka`, `postgres` …) with SIGKILL; the process id that it had."""
        process_id = int((self.data_dir / "run" / f"{name}.pid").read_text())
        os.kill(process_id, signal.SIGKILL)
        return process_id

    def get(self, path: str) -> Any:
        """A JSON answer of the API; it must be 200."""
        answer = httpx.get(self.addresses.api + path, timeout=60)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post_readings(self, body: bytes, content_type: str = "application/x-ndjson") -> dict[str, Any]:
        """Sends a body to ingest; it must be taken. The answer."""
        headers = {"Content-Type": content_type}
        answer = httpx.post(f"{self.addresses.ingest}/v1/readings", content=body, headers=headers, timeout=60)
        assert answer.status_code == 202, f"{answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def start_replay(self, file: Path, *options: str) -> "RunningReplay":
        """Starts `bilans replay` of `file` to it."""
        return RunningReplay(bilans_command("replay", str(file), "--data-dir", str(self.data_dir), *options))

    def replay(self, file: Path, *options: str) -> dict[str, Any]:
        """Replays `file`, waiting until it is published; its last line."""
        return self.start_replay(file, "--wait", *options).report()

    def load_topology(self, folder: Path) -> None:
        """Loads another topology; returns when the running services follow it."""
        command = bilans_command("topology", "load", str(folder), "--data-dir", str(self.data_dir))
        subprocess.run(command, env=ENVIRONMENT, check=True, timeout=120, capture_output=True)

    def wait_handled(self, received: int) -> dict[str, Any]:
        """Returns the books once so many deliveries are handled and nothing waits in the logs."""
        return self._wait_books(lambda books: books["received"] >= received and books["lag"] == 0)

    def wait_in_balance(self, received: int) -> dict[str, Any]:
        """Returns the books once so many deliveries are in the balance, late ones too."""
        return self._wait_books(
            lambda books: (
                books["received"] >= received and books["lag"] == books["pending"] == books["recomputing"] == 0
            )
        )

    def _wait_books(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        until = time.monotonic() + HANDLED_S_MAX
        while True:
            books: dict[str, Any] = self.get("/v1/audit")
            if condition(books):
                return books
            assert time.monotonic() < until, f"not handled within {HANDLED_S_MAX} s: {books}"
            time.sleep(0.1)


class RunningReplay:
    """A `bilans replay` under way."""

    def __init__(self, command: list[str]) -> None:
        """Starts `command`."""
        self.errors = ""
        """What it said on standard error, once it has ended."""
        self._process = subprocess.Popen(
            command,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def report(self, code: int = 0, timeout_s: int = 300) -> dict[str, Any]:
        """Waits for its end with exit code `code`; its last line."""
        try:
            out, errors = self._process.communicate(timeout=timeout_s)
        finally:
            self._process.kill()
            self._process.wait()
        assert self._process.returncode == code, f"exit code {self._process.returncode}: {errors}"
        self.errors = errors
        report: dict[str, Any] = json.loads(out.splitlines()[-1])
        return report

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None


@contextmanager
def running_bilans(folder: Path, topology: Path, *options: str) -> Iterator[SystemUnderTest]:
    """A system that runs inside the `with` block; what it said is shown when it does not start or stop well."""
    system = SystemUnderTest(folder, topology, *options)
    system.start()
    try:
        yield system
    finally:
        system.stop()
