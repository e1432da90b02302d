"""Child processes that never outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

_WRAPPER = Path(__file__).with_name("die_with_parent.py")
LOG_BYTES_MAX = 20 * 1024 * 1024
"""A log longer than this is set aside (one older one is kept) when its process starts."""


def start_child(
    program: Sequence[str],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    user: tuple[int, int] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts `program` in `folder`, its output appended to `log`; call it from the main thread.

    It leads a session of its own, so Ctrl-C in the terminal reaches only this process, which then stops its children in
    order. `death_signal` is what it gets when this process ends in any way. `user` is (uid, gid) to run it as another
    user; the folder is entered before the user changes, so it need not be able to get there by its path.
    """
    user_argument = "-" if user is None else f"{user[0]}:{user[1]}"
    # -S -E: without site packages and the user's settings Python starts in 10 ms.
    wrapper = [sys.executable, "-S", "-E", str(_WRAPPER), str(os.getpid()), str(int(death_signal)), user_argument]
    with open_log(log) as output:
        return subprocess.Popen(
            [*wrapper, *program],
            cwd=folder,
            env=dict(environment) if environment is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )


def open_log(log: Path) -> IO[bytes]:
    """Opens `log` for appending; one that has grown too long is set aside first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".old.log"))
    return log.open("ab")


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, for a person to see why a start failed."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def stop_child(child: subprocess.Popen[bytes], how: signal.Signals, timeout_s: float) -> bool:
    """Asks the child to end and waits for it; after `timeout_s` it is killed. Tells whether it ended by itself."""
    if child.poll() is None:
        child.send_signal(how)
    try:
        child.wait(timeout_s)
        return True
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return False


def processes_in(folder: Path) -> list[psutil.Process]:
    """The processes whose working folder is `folder`: what is left of a server whose parent or master was killed."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder.resolve()):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # it ended just now, or belongs to somebody else
    return found


def wait_until_left(folder: Path, timeout_s: float) -> None:
    """Waits until no process works in `folder` any more; after `timeout_s` those that do are killed."""
    until = time.monotonic() + timeout_s
    while (left := processes_in(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=5)
