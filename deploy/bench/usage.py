"""What processes use: processor time and memory."""

import os
from collections.abc import Mapping
from pathlib import Path

import psutil

ELSEWHERE = "elsewhere"
"""Processor time of all processes that are no part of the benchmark: what a figure may have lost to them."""


class ProcessorTimes:
    """Processor time of the parts of a benchmark from the making of this object on."""

    def __init__(self, parts: Mapping[str, psutil.Process]) -> None:
        """`parts` by name; of several balancers, `balancer-0`, …, the sum is told as `balancer`."""
        self._parts = parts
        self._before = self._read()

    def seconds(self) -> dict[str, float]:
        """Seconds of each part since then; `bench` is this process, with those that it started beside the parts."""
        now = self._read()
        used = {name: now[name] - self._before[name] for name in now}
        ours = used.pop("ours")
        busy = used.pop("busy")
        told: dict[str, float] = {}
        for name, seconds in used.items():
            kind = name.partition("-")[0]
            told[kind] = told.get(kind, 0.0) + seconds
        return told | {"bench": ours - sum(told.values()), ELSEWHERE: max(0.0, busy - ours)}

    def _read(self) -> dict[str, float]:
        """Since the start of each, of this process and all its children, and of the whole machine."""
        times = psutil.cpu_times()
        idle = times.idle + times.iowait
        return {name: cpu_seconds(process) for name, process in self._parts.items()} | {
            "ours": cpu_seconds(psutil.Process(os.getpid())),
            "busy": sum(times) - times.guest - times.guest_nice - idle,
        }


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time of a process and its children since their start, ended ones too: PostgreSQL works in children."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def rss_bytes_max(process: psutil.Process) -> int:
    """The most memory that a process has held."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise psutil.NoSuchProcess(process.pid)
