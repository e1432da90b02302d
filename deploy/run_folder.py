"""The data folder of a running system: whose it is, its processes, its addresses."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from shared.errors import BilansError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
FREE_BYTES_MIN = 200_000_000
"""An empty PostgreSQL and Kafka take 100 MB; the rest is room to do anything."""


@contextmanager
def hold(data_dir: Path) -> Iterator[Path]:
    """Makes `data_dir` and its folder `run` where they are missing, and keeps others out while it is held.

    Gives the folder `run`. The lock ends with the process, in whatever way that ends. Raises BilansError when another
    instance holds the folder, or it cannot be written to.
    """
    run = data_dir / "run"
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = os.open(run / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise folder_error(data_dir, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            raise BilansError(
                f"The data folder {data_dir} is in use by another Bilans (process {holder}).",
                "Stop that one, or choose another --data-dir.",
            ) from None
        _check_space(data_dir)
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield run
    finally:
        os.close(lock)


def _check_space(folder: Path) -> None:
    """A start without room would fail somewhere in the middle, in the words of one of the stores."""
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_MIN:
        raise BilansError(
            f"The disk is full at {folder}: {free / 1e6:.0f} MB are free.", f"Make {FREE_BYTES_MIN / 1e6:.0f} MB free."
        )


def folder_error(folder: Path, error: OSError) -> BilansError:
    """What a person can do about a folder that cannot be used."""
    if error.errno in DISK_FULL:
        return BilansError(f"The disk is full at {folder}.", "Make room, then start again: what is stored stays.")
    return BilansError(f"{folder} cannot be used: {error.strerror}.", "Choose a folder of yours with --data-dir.")


def write_pid(run: Path, name: str, pid: int) -> None:
    """Notes the process of a part in `run/NAME.pid`, whole at every moment."""
    staged = run / f".{name}.pid"
    staged.write_text(f"{pid}\n")
    staged.replace(run / f"{name}.pid")


def forget_pid(run: Path, name: str) -> None:
    """Removes `run/NAME.pid`."""
    (run / f"{name}.pid").unlink(missing_ok=True)


def write_addresses(run: Path, addresses: dict[str, str]) -> None:
    """Writes `run/addresses.json`, which holds the database's password: for this user's eyes only."""
    staged = run / ".addresses.json"
    staged.unlink(missing_ok=True)
    file = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(file, "wb") as opened:
        opened.write(orjson.dumps(addresses, option=orjson.OPT_INDENT_2))
    staged.replace(run / "addresses.json")


def forget_addresses(run: Path) -> None:
    """Removes `run/addresses.json`: nothing answers there any more."""
    (run / "addresses.json").unlink(missing_ok=True)
