"""What processes use: processor time and memory."""

from pathlib import Path

import psutil


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time of a process and its children since their start; PostgreSQL works in children."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def rss_bytes_max(process: psutil.Process) -> int:
    """The most memory that a process has held."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise psutil.NoSuchProcess(process.pid)
