"""Waits for what a service says in its log: it says itself when it begins."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from shared.errors import BilansError

_LINE_S_MAX = 120.0


async def wait_for_line(logs: Mapping[Path, int], text: str) -> float:
    """The wall time of the first line that has `text`, in any of `logs` behind its byte; exact to milliseconds.

    Raises BilansError when there is none for minutes.
    """
    until = time.monotonic() + _LINE_S_MAX
    while True:
        found = [at_s for log, begin in logs.items() if (at_s := _find(log, text, begin)) is not None]
        if found:
            return min(found)
        if time.monotonic() > until:
            names = ", ".join(log.name for log in logs)
            raise BilansError(f"{names} does not say {text!r} within {_LINE_S_MAX:.0f} s.")
        await asyncio.sleep(0.005)


def log_size(log: Path) -> int:
    """How long the log is now."""
    return log.stat().st_size if log.exists() else 0


def _find(log: Path, text: str, from_byte: int) -> float | None:
    if not log.exists():
        return None
    with log.open("rb") as file:
        file.seek(from_byte)
        lines = file.read().decode(errors="replace").splitlines(keepends=True)
    line = next((line for line in lines if text in line and line.endswith("\n")), None)
    # `2026-05-01 10:15:00,123 INFO …` in local time, as shared.service_log writes it.
    return None if line is None else datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
